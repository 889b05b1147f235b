"""Answers of many sub-networks on the same images: what the search asks thousands of times."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.modularity.sharing import boundaries_between, depths_to_save, in_order
from src.networks.slicing import Runner, SlicedNetwork, SlicePlan
from src.networks.slicing.recalibration import Norm, even_batches

Value = TypeVar("Value")
Job = TypeVar("Job")
MEMORY = 256 << 20


class Judge(Protocol):
    """Computes sub-networks' logits on fixed images; ``Evaluator`` asks it for those that it does not remember."""

    name: str
    plan: SlicePlan

    def judged(self, keep: Tensor, columns: Sequence[Sequence[int] | None]) -> Tensor:
        """float32 (P, n, outputs) on the CPU, waited for once.

        Args:
            keep: bool (P, K) on the CPU.
            columns: for each row the classes that are asked for, equally many; None: all.
        """


class Evaluator:
    """Remembers what a judge has answered, up to ``memory`` bytes, the oldest forgotten first.

    So kept parents and duplicates cost nothing. ``evaluated`` counts the forward passes over all images.
    """

    def __init__(self, judge: Judge, memory: int = MEMORY) -> None:
        self.judge = judge
        self.evaluated = 0
        self._memory = memory
        self._memo: OrderedDict[tuple[int, bytes], Tensor] = OrderedDict()

    @property
    def way(self) -> Any:
        """How sub-networks are run, one of ``search_settings.Way``."""
        return self.judge.name

    def logits(self, keep: Tensor, columns: int | Sequence[int]) -> Tensor:
        """float32 (P, n): for each row of ``keep`` bool (P, K) the sub-network's logit of its class.

        Only this row of the last layer is computed. Equal questions are answered once. ``columns``: the class of each
        row, or of all.
        """
        keep = keep.cpu()
        of_row = [columns] * len(keep) if isinstance(columns, int) else columns
        packed = np.packbits(keep.numpy(), axis=1)
        keys = [(column, row.tobytes()) for column, row in zip(of_row, packed, strict=True)]
        answers = {key: self._memo[key] for key in keys if key in self._memo}
        first = {key: index for index, key in reversed(list(enumerate(keys))) if key not in answers}
        if todo := sorted(first.values()):
            has_output = bool(self.judge.plan.output)  # a network without one output layer answers with all classes
            asked = [[of_row[index]] if has_output else None for index in todo]
            rows = self.judge.judged(keep[todo], asked)
            self.evaluated += len(todo)
            for index, row in zip(todo, rows, strict=True):
                answers[keys[index]] = row[:, 0 if has_output else of_row[index]].clone()
        self._remember(answers)
        return torch.stack([answers[key] for key in keys])

    def all_logits(self, keep: Tensor) -> Tensor:
        """float32 (n, N): the logits of all classes of the sub-network ``keep`` bool (K,); not remembered."""
        self.evaluated += 1
        return self.judge.judged(keep[None].cpu(), [None])[0]

    def _remember(self, answers: dict[tuple[int, bytes], Tensor]) -> None:
        for key, row in answers.items():
            self._memo[key] = row
            self._memo.move_to_end(key)
        size = sum(map(_bytes, list(self._memo.items())[:1])) * len(self._memo)  # all entries are of one size
        while size > self._memory and len(self._memo) > 1:
            size -= _bytes(self._memo.popitem(last=False))


class OneByOne:
    """Judges sub-networks one after the other in each of some threads; what they share is computed once.

    ``images`` float (n, C, H, W), normalised; prepared once, on the model's device. Networks with batch norm need
    ``calibration_images`` (m, C, H, W): the statistics of every candidate are recomputed on them before it is judged.
    ``workers`` threads judge candidates side by side, each with one intra-op thread, so that an answer has the same
    bits for any number of workers. ``memory``: bytes of maps that may be held for what candidates share.
    ``runner``: how they are run; None: by the network's own code.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: SlicePlan,
        images: Tensor,
        *,
        runner: Runner | None = None,
        batch: int | None = None,
        workers: int = 1,
        calibration_images: Tensor | None = None,
        memory: int = MEMORY,
    ) -> None:
        has_norm = any(isinstance(m, Norm) and m.running_mean is not None for m in model.modules())
        if has_norm and (calibration_images is None or len(calibration_images) < 2):
            raise UserError("calibration_images: missing; a network with batch norm needs them (2 at least)")
        self.runner: Any = runner or SlicedNetwork(model, plan, channels_last=True)
        self.name, self.plan = self.runner.name, plan
        self.workers = workers
        self._memory = memory
        batch = batch or self.runner.batch
        calibration = self._started(calibration_images, batch) if has_norm and calibration_images is not None else []
        self._nothing_shared = _Shared(0, self._started(images, batch), calibration)
        self._shared = self._nothing_shared

    def judged(self, keep: Tensor, columns: Sequence[Sequence[int] | None]) -> Tensor:
        """See ``Judge``."""
        order = in_order(keep, self.plan)
        common = boundaries_between(keep[order], self.plan, self.runner.boundaries)
        start = self._first_cut(keep)
        jobs = [(keep[index], columns[index]) for index in order.tolist()]
        root = self._beginning(start)
        size = max(1, min(8, -(-len(jobs) // self.workers)))  # runs long enough to share, and enough for all threads
        runs = [slice(first, first + size) for first in range(0, len(jobs), size)]
        answers = self._in_threads(lambda run: self._run_of(jobs[run], common[run], root), runs)
        logits = torch.stack([row for rows in answers for row in rows])
        return logits[order.argsort()].cpu()

    @torch.inference_mode()
    def _run_of(
        self, jobs: Sequence[tuple[Tensor, Sequence[int] | None]], common: Sequence[int], root: "_Shared"
    ) -> list[Tensor]:
        """Logits (n, outputs) of each; ``common``: the step up to which each shares its states with the next."""
        answers: list[Tensor] = []
        states = [root]
        for number, (keep, columns) in enumerate(jobs):
            while number and states[-1].start > max(root.start, common[number - 1]):
                states.pop()
            weights = self.runner.cut(keep, columns)
            for depth in depths_to_save(common[number : len(jobs) - 1], states[-1].start):
                advanced = self._advanced(weights, states[-1], depth)
                if sum(state.bytes for state in [*states[1:], advanced]) * self.workers > self._memory:
                    break
                states.append(advanced)
            answers.append(self._finished(weights, states[-1]))
        return answers

    def _first_cut(self, keep: Tensor) -> int:
        """The first step in which some of the sub-networks differ from the whole network."""
        cut = [not keep[:, part].all() for part in self.plan.slices()]
        return self.runner.boundaries[cut.index(True)] if any(cut) else 0

    def _beginning(self, start: int) -> "_Shared":
        """The states before step ``start``, which all sub-networks share that lose no kernel earlier.

        Only the last one is kept: a study of one layer after the other, as of their sensitivity, asks for each in turn.
        """
        if self._shared.start != start:
            self._shared = self._nothing_shared  # before the next is computed: only one fits in the memory
            if start:
                (self._shared,) = self._in_threads(self._compute_beginning, [start])
        return self._shared

    @torch.inference_mode()
    def _compute_beginning(self, start: int) -> "_Shared":
        weights = self.runner.cut(torch.ones(self.plan.kernels, dtype=torch.bool))
        first = self._nothing_shared._replace(images=self._nothing_shared.images[:1], calibration=[])
        batches = len(self._nothing_shared.images) + len(self._nothing_shared.calibration)
        if (
            not self._nothing_shared.calibration
            and batches * self._advanced(weights, first, start).bytes > self._memory
        ):
            return self._nothing_shared
        advanced = self._advanced(weights, self._nothing_shared, start)
        return advanced if advanced.bytes <= self._memory else self._nothing_shared

    def _advanced(self, weights: Any, shared: "_Shared", stop: int) -> "_Shared":
        calibration = shared.calibration
        if calibration:
            weights, calibration = self.runner.recalibrated(weights, calibration, shared.start, stop)
        images = [self.runner.run(weights, state, shared.start, stop) for state in shared.images]
        return _Shared(stop, images, calibration)

    def _finished(self, weights: Any, shared: "_Shared") -> Tensor:
        if shared.calibration:
            weights, _ = self.runner.recalibrated(weights, shared.calibration, shared.start)
        return torch.cat([self.runner.finish(weights, state, shared.start) for state in shared.images])

    def _in_threads(self, call: Callable[[Job], Value], jobs: Sequence[Job]) -> list[Value]:
        """``call`` for all jobs, always in worker threads with one intra-op thread each."""
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return list(pool.map(call, jobs))
        finally:
            torch.set_num_threads(before)  # the initialiser also sets the number for threads yet to come

    @torch.inference_mode()
    def _started(self, images: Tensor, batch: int | None) -> list[Any]:
        return [self.runner.start(part) for part in even_batches(images, batch or len(images))]


class _Shared(NamedTuple):
    """The states of all images, and of those that batch norm is calibrated on, before step ``start``."""

    start: int
    images: list[Any]
    calibration: list[Any]

    @property
    def bytes(self) -> int:
        """Of the states; a map that is also the remembered one counts once."""
        tensors = {id(tensor): tensor for state in [*self.images, *self.calibration] for tensor in state}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _bytes(entry: tuple[tuple[int, bytes], Tensor]) -> int:
    (_, key), row = entry
    return len(key) + row.numel() * row.element_size() + 200  # Python's own objects
