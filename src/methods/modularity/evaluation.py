"""Answers of many sub-networks on the same images: what the search asks thousands of times."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.slicing import SlicedNetwork, SlicePlan
from src.networks.slicing.recalibration import Norm, even_batches

Value = TypeVar("Value")
Job = TypeVar("Job")


class Evaluator:
    """Logits of sub-networks (kept kernels) of one network on fixed images.

    ``images`` float (n, C, H, W), normalised; prepared once, on the model's device. Networks with batch norm need
    ``calibration_images`` (m, C, H, W): the statistics of every candidate are recomputed on them before it is judged.
    Answers are remembered up to ``memory`` bytes, the oldest forgotten first, so kept parents and duplicates cost
    nothing; as much again may hold what candidates share. ``workers`` threads judge candidates side by side, each
    with one intra-op thread, so that an answer has the same bits for any number of workers. ``evaluated`` counts the
    forward passes over all images.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: SlicePlan,
        images: Tensor,
        *,
        batch: int = 128,
        workers: int = 1,
        calibration_images: Tensor | None = None,
        memory: int = 256 << 20,
    ) -> None:
        has_norm = any(isinstance(m, Norm) and m.running_mean is not None for m in model.modules())
        if has_norm and (calibration_images is None or len(calibration_images) < 2):
            raise UserError("calibration_images: missing; a network with batch norm needs them (2 at least)")
        reference = next(model.parameters())
        self.network = SlicedNetwork(model, plan)
        self._images = self._prepared(images, reference, batch)
        self._calibration: list[Tensor] = []
        if has_norm and calibration_images is not None:
            self._calibration = self._prepared(calibration_images, reference, batch)
        self.workers = workers
        self.evaluated = 0
        self._memory = memory
        self._memo: OrderedDict[tuple[int, bytes], Tensor] = OrderedDict()
        self._shared: _Shared | None = None
        self._shared_for = -1

    def logits(self, keep: Tensor, column: int) -> Tensor:
        """float32 (P, n): for each row of ``keep`` bool (P, K) the sub-network's logit of class ``column``.

        Only this row of the last layer is computed. Equal rows are computed once.
        """
        keep = keep.cpu()
        keys = [(column, row.tobytes()) for row in np.packbits(keep.numpy(), axis=1)]
        answers = {key: self._memo[key] for key in keys if key in self._memo}
        first = {key: index for index, key in reversed(list(enumerate(keys))) if key not in answers}
        if todo := sorted(first.values()):
            columns = [column] if self.network.plan.output else None
            rows = self._judged([keep[index] for index in todo], columns)
            for index, row in zip(todo, rows, strict=True):
                # a network without one output layer answers with all classes
                answers[keys[index]] = row[:, 0 if columns else column].clone()
        self._remember(answers)
        return torch.stack([answers[key] for key in keys])

    def all_logits(self, keep: Tensor) -> Tensor:
        """float32 (n, N): the logits of all classes of the sub-network ``keep`` bool (K,); not remembered."""
        return self._judged([keep.cpu()], None)[0]

    def _judged(self, candidates: list[Tensor], columns: Sequence[int] | None) -> Tensor:
        """Logits float32 (P, n, outputs) of each candidate, on the CPU; they are waited for once.

        Those that share a beginning are run one after the other.
        """
        starts = [self.network.first_step(keep) for keep in candidates]
        logits: dict[int, Tensor] = {}
        for start in sorted(set(starts)):
            chosen = [index for index, first in enumerate(starts) if first == start]
            judge = partial(self._one, columns=columns, shared=self._beginning(start))
            logits.update(zip(chosen, self._in_threads(judge, [candidates[i] for i in chosen]), strict=True))
        self.evaluated += len(candidates)
        return torch.stack([logits[index] for index in range(len(candidates))]).cpu()

    @torch.inference_mode()
    def _one(self, keep: Tensor, columns: Sequence[int] | None, shared: "_Shared") -> Tensor:
        tensors = self.network.cut(keep, columns)
        tensors = {name: _channels_last(tensor) for name, tensor in tensors.items()}
        if self._calibration:
            tensors, _ = self.network.recalibrated(tensors, shared.calibration, shared.start)
        parts = [self.network.finish(tensors, state, shared.start) for state in shared.images]
        return torch.cat(parts).float()

    def _beginning(self, start: int) -> "_Shared":
        """The states before step ``start``, which all sub-networks share that lose no kernel earlier.

        Only the last one is kept: a study of one layer after the other, as of their sensitivity, asks for each in turn.
        """
        if self._shared is None or self._shared_for != start:
            self._shared = None  # before the next is computed: only one fits in the memory that was promised
            (self._shared,) = self._in_threads(self._compute_beginning, [start])
            self._shared_for = start
        return self._shared

    @torch.inference_mode()
    def _compute_beginning(self, start: int) -> "_Shared":
        network = self.network
        images = [network.start(part) for part in self._images]
        calibration = [network.start(part) for part in self._calibration]
        if start == 0:
            return _Shared(0, images, calibration)
        batches = len(images) + len(calibration)
        if batches * _state_bytes(network.run(network.base, images[0], 0, start)) > self._memory:
            return _Shared(0, images, calibration)
        tensors = {name: _channels_last(tensor) for name, tensor in network.base.items()}
        if calibration:
            tensors, calibration = network.recalibrated(tensors, calibration, 0, start)
        return _Shared(start, [network.run(tensors, state, 0, start) for state in images], calibration)

    def _in_threads(self, call: Callable[[Job], Value], jobs: Sequence[Job]) -> list[Value]:
        """``call`` for all jobs, always in worker threads with one intra-op thread each."""
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(call, jobs))
        finally:
            torch.set_num_threads(before)  # the initialiser also sets the number for threads yet to come

    def _remember(self, answers: dict[tuple[int, bytes], Tensor]) -> None:
        for key, row in answers.items():
            self._memo[key] = row
            self._memo.move_to_end(key)
        size = sum(map(_bytes, list(self._memo.items())[:1])) * len(self._memo)  # all entries are of one size
        while size > self._memory and len(self._memo) > 1:
            size -= _bytes(self._memo.popitem(last=False))

    @staticmethod
    def _prepared(images: Tensor, reference: Tensor, batch: int) -> list[Tensor]:
        images = images.to(reference.device, reference.dtype)
        return [_channels_last(part) for part in even_batches(images, batch)]


class _Shared(NamedTuple):
    start: int
    images: list[Any]
    calibration: list[Any]


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _state_bytes(state: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state)


def _bytes(entry: tuple[tuple[int, bytes], Tensor]) -> int:
    (_, key), row = entry
    return len(key) + row.numel() * row.element_size() + 200  # Python's own objects
