"""How much each kernel matters to each class: the mean L1 norm of its map (CNNSplitter, Qi et al., ASE 2022)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.seeds import stream
from src.networks.activations import capture, evaluating
from src.networks.slicing import KernelGroup, SlicePlan, Tap

Where = Literal["before_pool", "after_pool"]
Order = Literal["l1", "random"]


class Importance(NamedTuple):
    """``values`` float32 (N, K): class by kernel. ``counts`` int64 (N,): images used. ``events``: fallbacks taken."""

    values: Tensor
    counts: Tensor
    events: list[str]


@torch.inference_mode()
def kernel_importance(
    model: nn.Module,
    plan: SlicePlan,
    images: Tensor,
    labels: Tensor,
    classes: int,
    *,
    confidence: float = 0.9,
    tap: Where = "before_pool",
    batch: int = 128,
) -> Importance:
    """Importance of every kernel for every class 0..N-1, in one pass over the images.

    ``images`` normalised float (n, C, H, W), ``labels`` int64 (n,). A class's value is the mean, over its images that
    the model gives the class with a softmax probability of at least ``confidence``, of the sum over all positions of
    the absolute activation at the group's tap: after ReLU, of a residual pair the sum. With ``tap`` "after_pool" it is
    of what the next layer reads of that map, of a pooled one the maxima alone; the original sums SimCNN's maps before
    their pools and ResCNN's after them. A class without such images uses its correctly classified ones, or else all
    its images, and says so in ``events``. UserError where a class has no image at all.
    """
    present = torch.bincount(labels, minlength=classes)
    if len(present) > classes or not present.all():
        missing = (present[:classes] == 0).nonzero().flatten().tolist()
        problem = f"no image of class {missing}" if missing else f"labels up to {len(present) - 1}"
        raise UserError(f"importance: {problem}; it needs images of each of the classes 0 to {classes - 1}")
    device = next(model.parameters()).device
    taps = _Taps(model, _read_after_pools(plan) if tap == "after_pool" else plan, device)
    # three sums per class, over ever wider choices of images: confident, correct, all
    sums = torch.zeros(3, classes, plan.kernels, dtype=torch.float64, device=device)
    counts = torch.zeros(3, classes, dtype=torch.int64, device=device)
    with evaluating(model):
        for part, targets in zip(images.split(batch), labels.split(batch), strict=True):
            targets = targets.to(device)
            logits, strength = taps.read(part.to(device))
            probability = logits.softmax(1).gather(1, targets[:, None]).squeeze(1)
            correct = logits.argmax(1) == targets
            choices = (probability >= confidence, correct, torch.ones_like(correct))
            for choice, chosen in enumerate(choices):
                sums[choice].index_add_(0, targets, strength.double().where(chosen[:, None], 0.0))
                counts[choice].index_add_(0, targets, chosen.long())
    level = (counts > 0).int().argmax(0)  # (N,) the first choice that has any image
    rows = torch.arange(classes, device=device)
    used = counts[level, rows]
    values = (sums[level, rows] / used[:, None]).float()
    return Importance(values.cpu(), used.cpu(), _events(level.tolist(), used.tolist(), confidence))


@torch.inference_mode()
def kernel_strengths(model: nn.Module, plan: SlicePlan, images: Tensor, batch: int = 128) -> Tensor:
    """float32 (n, K): each kernel's answer to each normalised image (n, C, H, W), summed as in `kernel_importance`."""
    device = next(model.parameters()).device
    taps = _Taps(model, plan, device)
    with evaluating(model):
        return torch.cat([taps.read(part.to(device))[1].float().cpu() for part in images.split(batch)])


def importance_order(values: Tensor, sizes: Sequence[int], order: Order = "l1", seed: int = 0) -> Tensor:
    """int64 (N, K): within each group, the kernels by falling importance, as positions on the kernel axis.

    ``values`` float (N, K); ``sizes``: kernels of each group (``plan.sizes``). Equal values keep their order.
    ``order`` "random", a control: one order for all classes, drawn by ``seed``; the values do not count. The original
    takes the kernels as they come then, which after a random initialisation is an order drawn by chance, too.
    """
    if order == "random":
        values = torch.rand(values.shape[1], generator=stream(seed, "kernel order")).expand_as(values)
    parts, offset = [], 0
    for group in values.split(list(sizes), dim=1):
        parts.append(group.argsort(dim=1, descending=True, stable=True) + offset)
        offset += group.shape[1]
    return torch.cat(parts, dim=1)


def _events(level: list[int], used: list[int], confidence: float) -> list[str]:
    kinds = {1: "correctly classified ones", 2: "images, all misclassified,"}
    return [
        f"importance: class {label} has no image with confidence >= {confidence:g}; its {used[label]} "
        f"{kinds[choice]} were used"
        for label, choice in enumerate(level)
        if choice > 0
    ]


def _read_after_pools(plan: SlicePlan) -> SlicePlan:
    """The same kernels, each group tapped where the last layer that reads it begins."""
    return replace(plan, groups=tuple(_read_at_reader(plan, index) for index in range(len(plan.groups))))


def _read_at_reader(plan: SlicePlan, index: int) -> KernelGroup:
    group, part = plan.groups[index], plan.slices()[index]
    if group.tap.side == "input":  # traced by Torch-Pruning, which knows of no other place
        return group
    # of a residual pair the first readers see the map before the sum
    *_, last = (name for name, map_ in plan.readers.items() if ((map_ >= part.start) & (map_ < part.stop)).any())
    return replace(group, tap=Tap(last, "input"))


class _Taps:
    """Reads the strength of every kernel's map, (n, K), at the taps of a plan."""

    def __init__(self, model: nn.Module, plan: SlicePlan, device: torch.device) -> None:
        self.model, self.plan = model, plan
        self.columns = []  # of each group: which channels of its tap are kernels, and which kernel each of them is
        for index in range(len(plan.groups)):
            kernels = plan.tap_positions(index)
            channels = (kernels >= 0).nonzero()[:, 0]
            self.columns.append((channels.to(device), kernels[channels].to(device)))
        self.names = {
            side: sorted({group.tap.module for group in plan.groups if group.tap.side == side})
            for side in ("output", "input")
        }

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with (
            capture(self.model, self.names["output"], "output", _map_sums) as outputs,
            capture(self.model, self.names["input"], "input", _map_sums) as inputs,
        ):
            logits = self.model(images)
        strength = []
        for group, (channels, kernels) in zip(self.plan.groups, self.columns, strict=True):
            sums = (outputs if group.tap.side == "output" else inputs)[group.tap.module]
            of_kernels = sums.new_zeros(len(sums), group.size)
            strength.append(of_kernels.index_add_(1, kernels, sums[:, channels]))
        return logits, torch.cat(strength, dim=1)


def _map_sums(maps: Tensor) -> Tensor:
    return maps.abs().flatten(2).sum(2) if maps.dim() > 2 else maps.abs()
