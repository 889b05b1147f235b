"""What a network costs: parameters, multiply-adds per image, and time."""

import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from src.networks.activations import evaluating
from src.networks.weights import skeleton

BACKWARD = 3  # a training step costs about three forward passes


class Cost(NamedTuple):
    """``parameters``: their number. ``macs``: multiply-adds for one image, of convolutions and matrix products."""

    parameters: int
    macs: int


def cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Parameters and multiply-adds of ``model`` for one image [channels, height, width].

    One multiply-add counts 1 (as the tool fvcore calls "flops"; others count 2), whichever module or function makes it:
    convolutions, linear layers, matrix products, attention. Biases, norms, activations, pools and sums count 0. A layer
    used twice counts twice. Nothing is computed: the pass runs on tensors without memory, but for a network that looks
    into values (``.item()``), whose pass of one black image is real.
    """
    try:
        macs = _macs(skeleton(model), input_shape)
    except Exception:  # whatever its own code does where there are no values
        macs = _macs(model, input_shape)
    return Cost(sum(parameter.numel() for parameter in model.parameters()), macs)


def _macs(model: nn.Module, input_shape: Sequence[int]) -> int:
    reference = next(model.parameters(), torch.empty(0, device="meta"))
    image = torch.zeros(1, *input_shape, device=reference.device, dtype=reference.dtype)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # an encoder layer as one operation is not counted
    try:
        with evaluating(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops() // 2


@torch.inference_mode()
def latency(model: nn.Module, images: Tensor, repeats: int = 7) -> float:
    """Median seconds of a call with normalised ``images`` (n, C, H, W), after one call to warm up; in evaluation mode.

    With the threads that torch has at the moment; on a GPU, what it was asked for is waited for.
    """
    device = next(model.parameters(), images).device
    batch, took = images.to(device), []
    with evaluating(model):
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model(batch)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            took.append(time.perf_counter() - start)
    return median(took[1:])
