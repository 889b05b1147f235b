"""Cuts a network's tensors by a slice plan, and the definition that cutting has to equal: masks at the readers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.slicing.plan import SlicePlan


def slice_tensors(
    plan: SlicePlan, tensors: Mapping[str, Tensor], keep: Tensor, outputs: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """All ``tensors`` by name, those of the plan cut to the kept kernels; the others are passed on uncopied.

    ``keep`` bool (K,). ``outputs``: keep only these rows of the output layer (None: all). Kept positions stay in
    their order, so that the members of a group line up. UserError for an empty group or a wrong length.
    """
    _check(plan, keep)
    if outputs is not None and not plan.output:
        raise UserError("outputs: this network has no single layer whose rows are its classes; leave it out")
    extended = torch.cat([keep, keep.new_ones(1)])  # the last entry answers for -1: always kept
    kept = [extended[positions].nonzero().flatten() for positions in plan.maps]
    chosen = torch.tensor(list(outputs or ()), dtype=torch.int64)
    device = next(iter(tensors.values())).device
    # all indices in one copy: on a GPU each is waited for
    *there, rows = torch.cat([*kept, chosen]).to(device).split([*map(len, kept), len(chosen)])
    cut = dict(tensors)
    for use in plan.uses:
        if len(kept[use.map]) < len(plan.maps[use.map]):
            cut[use.tensor] = cut[use.tensor].index_select(use.dim, there[use.map])
    for name in (f"{plan.output}.weight", f"{plan.output}.bias") if outputs is not None else ():
        if name in cut:
            cut[name] = cut[name].index_select(0, rows)
    return cut


@contextmanager
def masked(model: nn.Module, plan: SlicePlan, keep: Tensor) -> Iterator[nn.Module]:
    """While open, ``model`` computes as if the kernels not in ``keep`` bool (K,) did not exist.

    The mask multiplies the inputs of all layers that read kernels; zeroing weights instead leaves what batch norm
    makes of a zero. This is the reference that extraction has to equal. The hooks are always removed.
    """
    _check(plan, keep)
    extended = torch.cat([keep, keep.new_ones(1)])
    with ExitStack() as hooks:
        for name, positions in plan.readers.items():
            layer, mask = model.get_submodule(name), extended[positions]
            shaped = mask if isinstance(layer, nn.Linear) else mask[:, None, None]
            hooks.enter_context(layer.register_forward_pre_hook(partial(_multiply, shaped)))
        yield model


def _multiply(mask: Tensor, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    first, *rest = inputs
    return (first * mask.to(first), *rest)


def _check(plan: SlicePlan, keep: Tensor) -> None:
    if keep.dtype != torch.bool or keep.shape != (plan.kernels,):
        raise UserError(
            f"keep: {keep.dtype} of shape {tuple(keep.shape)}; this plan needs torch.bool of shape ({plan.kernels},)"
        )
    for group, part in zip(plan.groups, plan.slices(), strict=True):
        if not keep[part].any():
            raise UserError(f"keep: no kernel of '{group.name}' is kept; every group needs one")
