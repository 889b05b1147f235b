"""Which way sub-networks are run: chosen by name, or the fastest that the network and the machine allow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.modularity.evaluation import MEMORY, Judge, OneByOne
from src.methods.modularity.folded import Folded
from src.methods.modularity.search_settings import Precision, Way
from src.networks.slicing import Runner, SlicedNetwork, SlicePlan
from src.networks.slicing.fused import FusedNetwork
from src.networks.slicing.native import BuildFailed, NativeNetwork, NoCompiler
from src.networks.slicing.recalibration import Norm


def judge_for(
    way: Way,
    precision: Precision,
    model: nn.Module,
    plan: SlicePlan,
    images: Tensor,
    *,
    workers: int,
    calibration_images: Tensor | None = None,
    memory: int = MEMORY,
) -> tuple[Judge, str]:
    """A judge of sub-networks of ``model`` on normalised ``images``, and an event for the reader, "" if there is none.

    ``auto``: on a GPU ``folded``; on the CPU ``native`` where a compiler is there, else ``fused``; ``functional`` for
    networks that these do not cover. ``precision`` other than fp32 is that of ``fused`` (bf16, CPU) or ``folded``.

    Raises:
        UserError: see :func:`runner_for`.
    """
    runner, event = runner_for(way, precision, model, plan, next(model.parameters()).device)
    if runner is None:
        folded: Judge = Folded(model, plan, images, dtype=torch.bfloat16 if precision == "bf16" else None)
        return (_InTF32(folded) if precision == "tf32" else folded), event
    return (
        OneByOne(
            model, plan, images, runner=runner, workers=workers, calibration_images=calibration_images, memory=memory
        ),
        event,
    )


def runner_for(
    way: Way, precision: Precision, model: nn.Module, plan: SlicePlan, device: torch.device
) -> tuple[Runner | None, str]:
    """What runs sub-networks of ``model`` one by one on ``device``, or None where they are folded; and an event.

    Raises:
        UserError: the way or the precision was asked for by name, and the network or the machine does not allow it.
    """
    _check_precision(precision, way, device)
    has_norm = any(isinstance(module, Norm) and module.running_mean is not None for module in model.modules())
    dtype = torch.bfloat16 if precision == "bf16" else None
    if way == "folded" or (way == "auto" and device.type != "cpu"):
        if not has_norm:
            return None, ""
        if way == "folded" or precision != "fp32":
            raise UserError(
                f"search.evaluator={way}: every sub-network of a network with batch norm has statistics of its own, so "
                "they are not folded; set search.evaluator=functional and search.precision=fp32"
            )
    if way == "native":
        return NativeNetwork(model, plan), ""
    if way == "fused":
        return FusedNetwork(model, plan, dtype), ""
    if way == "functional" or device.type != "cpu":
        return SlicedNetwork(model, plan, channels_last=True), ""
    event = ""
    try:
        return (NativeNetwork(model, plan) if precision == "fp32" else FusedNetwork(model, plan, dtype)), ""
    except BuildFailed as error:
        event = f"sub-networks are run by torch's operations: {error}"
    except NoCompiler:
        pass
    except UserError:  # no chain of float32
        if precision != "fp32":
            raise
        return SlicedNetwork(model, plan, channels_last=True), ""
    return FusedNetwork(model, plan), event


def _check_precision(precision: Precision, way: Way, device: torch.device) -> None:
    """Raises UserError where the machine or the way of running has no such precision."""
    if precision == "fp32":
        return
    runs = {"bf16": ("fused", "folded"), "tf32": ("folded",)}[precision]
    if way not in ("auto", *runs):
        raise UserError(
            f"search.precision={precision}: search.evaluator={way} computes in fp32 alone; set search.precision=fp32, "
            f"or search.evaluator to {' or '.join(runs)}"
        )
    if device.type == "cpu" and (precision == "tf32" or not processor_has_bf16()):
        raise UserError(
            f"search.precision={precision}: this processor does not compute in {precision}; set search.precision=fp32"
        )


def processor_has_bf16() -> bool:
    """Whether bf16 is a matter of its instructions: without them it is slower than fp32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    with_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported()) and bool(with_instructions is None or with_instructions())


class _InTF32:
    """Lets the GPU round the inputs of its products to 10 bits of mantissa, in this judge's calls alone."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.name, self.plan = judge.name, judge.plan

    def judged(self, keep: Tensor, columns: Any) -> Tensor:
        with _tf32():
            return self._judge.judged(keep, columns)


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
