"""What a network costs: parameters, multiply-adds per image, and time."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from src.networks.activations import evaluating
from src.networks.weights import skeleton

_Convolution = nn.modules.conv._ConvNd
BACKWARD = 3  # a training step costs about three forward passes


class Cost(NamedTuple):
    """``parameters``: their number. ``macs``: multiply-adds for one image, of convolutions and linear layers."""

    parameters: int
    macs: int


def cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Parameters and multiply-adds of ``model`` for one image [channels, height, width].

    One multiply-add counts 1 (as the tool fvcore calls "flops"; others count 2); biases, norms, activations, pools
    and sums count 0. Nothing is computed: the pass runs on tensors without memory. A layer used twice counts twice.
    """
    twin = skeleton(model).eval()
    total = 0  # of one image, which some networks cut or turn into several rows

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        values = inputs[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else output
        total += values.numel() * layer.weight[0].numel()  # a value takes the weights of one kernel or unit

    for module in twin.modules():
        if isinstance(module, _Convolution | nn.Linear):
            module.register_forward_hook(count)
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    with torch.no_grad():
        twin(torch.empty(1, *input_shape, device="meta", dtype=dtype))
    return Cost(sum(parameter.numel() for parameter in model.parameters()), total)


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
