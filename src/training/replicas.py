"""One network trained by several processes, each on its groups of every batch.

The gradients are sums over the groups, so the weights are those of one process, up to the order of a sum.
Each process may split its share into passes as it likes, and replay it, before the processes meet.
"""

import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed

from src.core.orphans import end_with_parent
from src.data.epoch_loader import cut
from src.training.determinism import settle
from src.training.ghost_norm import GhostNorm, momentum_per_group

if TYPE_CHECKING:
    from src.training.micro_batches import MicroBatches


class Replicas(DDPStrategy):
    """Lightning's processes and groups, without its wrapper: that expects one backward pass per call.

    The processes are forked, or spawned where they use GPUs: CUDA survives no fork, and to a spawned process learner,
    data and callbacks are pickled. Scripts that start themselves again, as ``ddp`` does, would each begin a job of
    their own.
    """

    def __init__(self, spawned: bool) -> None:
        super().__init__(start_method="spawn" if spawned else "fork")
        self.threads = torch.get_num_threads()

    def setup_environment(self) -> None:
        """Called in each process: it computes as its parent does, and does not outlive it."""
        end_with_parent()
        settle(self.threads)
        quieten()
        super().setup_environment()

    def configure_ddp(self) -> None:
        """Nothing to wrap."""


def quieten() -> None:
    """Lightning's tips and device lines are not ours to show; warnings until the caller's filters end."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for text in (
        "LeafSpec",  # Lightning#21326
        "does not have many workers",  # images are in memory
        "exists and is not empty",  # we resume in place
        "sync_dist",  # what is logged has been summed over the processes
    ):
        warnings.filterwarnings("ignore", f".*{text}.*")


@torch.no_grad()
def sum_gradients(batches: "MicroBatches") -> None:
    """Replace gradients and running statistics of this process's share by those of the whole batch."""
    tensors: list[Tensor] = []
    for parameter in batches.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            tensors.append(parameter.grad)
    rows, ghost = batches.rows, batches.ghost_batch
    assert ghost is not None
    count = rows.first - rows.start
    groups, before = len(cut(rows.whole, ghost)), rows.start // ghost
    ours = len(cut(count, ghost)) if count else 0
    earlier = batches.buffers_before()
    statistics: list[tuple[Tensor, Tensor]] = []
    for module in batches.model.modules():
        if isinstance(module, GhostNorm):
            norm: Any = module
            rest = 1 - momentum_per_group(norm.momentum, groups)
            for kind in ("running_mean", "running_var"):
                value = getattr(norm, kind)
                old = earlier[id(value)]
                # the running statistics are a sum over the groups: ours as they weigh at the end of the batch
                value.sub_(rest**ours * old).mul_(rest ** (groups - before - ours))
                statistics.append((value, rest**groups * old))
    works = [
        distributed.all_reduce(tensor, async_op=True) for tensor in [*tensors, *(value for value, _ in statistics)]
    ]
    for work in works:
        work.wait()
    for value, old in statistics:
        value.add_(old)


def share_state(batches: "MicroBatches") -> None:
    """Every process learns what the others had to do to fit, so that any of them can tell and resume it."""
    states: list[dict[str, Any]] = [{} for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(states, batches.state_dict())
    for state in states:
        batches.load_state_dict(state)
