"""Runs sub-networks of a chain by torch's own operations: fewer of them, and on smaller matrices.

Bias and ReLU are part of the convolution, and a map of at most four pixels is one matrix product: of a 3x3 convolution
there, more than half of the multiplications are with the zeros around it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.networks.slicing.chain import ChainLayer, chain_of, first_layers
from src.networks.slicing.network import State
from src.networks.slicing.plan import SlicePlan

SMALL_MAP = 2
"""Side of a map up to which a convolution of side 3 is a matrix product."""


class LayerWeights(NamedTuple):
    weight: Tensor
    bias: Tensor | None


class FusedNetwork:
    """Sub-networks of a chain; see ``Runner``. Images must be finite: torch's fused ReLU makes a zero of a NaN.

    ``dtype`` of weights and maps: None is the model's own; torch.bfloat16 where the processor has it.

    Raises:
        UserError: the model is no chain (see :func:`src.networks.slicing.chain.chain_of`).
    """

    name = "fused"
    batch = 128  # the weights are laid out anew for each batch, and the maps of more leave the cache

    def __init__(self, model: nn.Module, plan: SlicePlan, dtype: torch.dtype | None = None) -> None:
        plan.check(model)
        self.plan = plan
        self.layers = chain_of(model, plan)
        self.boundaries = first_layers(self.layers, plan)
        modules: list[Any] = [model.get_submodule(layer.name) for layer in self.layers]
        self.dtype = dtype or modules[0].weight.dtype
        self.device = modules[0].weight.device
        self._base = [LayerWeights(*map(self._typed, (module.weight, module.bias))) for module in modules]
        self._fuses = self.device.type == "cpu" and _can_fuse(self.dtype)

    def _typed(self, tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().to(self.dtype)

    def cut(self, keep: Tensor, outputs: Sequence[int] | None = None) -> list[LayerWeights]:
        """What ``run`` needs of the sub-network with the kernels ``keep`` bool (K,): per layer weight and bias.

        ``outputs``: only these rows of the last layer.
        """
        kernels = [keep[part].nonzero().flatten().to(self.device) for part in self.plan.slices()]
        rows = None if outputs is None else torch.tensor(list(outputs), device=self.device)
        return [
            self._cut(layer, base, kernels, rows if layer is self.layers[-1] else None)
            for layer, base in zip(self.layers, self._base, strict=True)
        ]

    def _cut(
        self, layer: ChainLayer, base: LayerWeights, kernels: Sequence[Tensor], rows: Tensor | None
    ) -> LayerWeights:
        weight, bias = base
        rows = kernels[layer.group] if layer.group is not None else rows
        if rows is not None:
            weight, bias = weight.index_select(0, rows), None if bias is None else bias.index_select(0, rows)
        if layer.source is not None:
            columns = kernels[layer.source]
            positions = weight.shape[1] // self.plan.sizes[layer.source]  # of a linear layer behind a map
            if positions > 1:
                columns = (columns[:, None] * positions + torch.arange(positions, device=self.device)).flatten()
            weight = weight.index_select(1, columns)
        if layer.kind == "linear":
            return LayerWeights(weight, bias)
        if is_matrix(layer):
            pixels = layer.height * layer.width
            # a tenth tap of zeros stands for what lies outside of the map
            taps = F.pad(weight.flatten(2), (0, 1))[:, :, _taps(layer.height, layer.width)]  # (O, C, P, Q)
            matrix = taps.permute(2, 0, 3, 1).reshape(pixels * len(weight), -1)
            return LayerWeights(matrix, None if bias is None else bias.repeat(pixels))
        return LayerWeights(weight.contiguous(memory_format=torch.channels_last), bias)

    def start(self, images: Tensor) -> State:
        """The state before the first layer of images float (n, C, H, W), normalised."""
        images = images.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        return images, images

    def run(self, weights: Sequence[LayerWeights], state: State, start: int = 0, stop: int | None = None) -> State:
        """The state after the layers from ``start`` to before ``stop``."""
        present, remembered = state
        for layer, (weight, bias) in zip(self.layers[start:stop], weights[start:stop], strict=True):
            if layer.remember:
                remembered = present
            if layer.kind == "linear":
                present = F.linear(present.flatten(1), weight, bias)
                present = present.relu_() if layer.relu else present
            elif is_matrix(layer):
                rows = F.linear(present.permute(0, 2, 3, 1).flatten(1), weight, bias)
                rows = rows.relu_() if layer.relu else rows
                present = rows.view(len(rows), layer.height, layer.width, -1).permute(0, 3, 1, 2)
            else:
                present = self._convolution(present, weight, bias, layer)
            if layer.add:
                present = present + remembered
            if layer.pool:
                present = F.max_pool2d(present, 2)
        return present, remembered

    def finish(self, weights: Sequence[LayerWeights], state: State, start: int = 0) -> Tensor:
        """Logits float32 (n, outputs) from the state before layer ``start``."""
        return self.run(weights, state, start)[0].float()

    def _convolution(self, images: Tensor, weight: Tensor, bias: Tensor | None, layer: ChainLayer) -> Tensor:
        """With ReLU where the layer has one."""
        if self._fuses:
            after = "relu" if layer.relu else "none"
            sides = ([layer.padding] * 2, [1, 1], [1, 1])
            return torch.ops.mkldnn._convolution_pointwise(images, weight, bias, *sides, 1, after, [], "")
        maps = F.conv2d(images, weight, bias, padding=layer.padding)
        return maps.relu_() if layer.relu else maps


def is_matrix(layer: ChainLayer) -> bool:
    """Whether a convolution is a matrix product: of side 3 on a map of at most 2x2 pixels."""
    return layer.side == 3 and layer.padding == 1 and max(layer.height, layer.width) <= SMALL_MAP


def _can_fuse(dtype: torch.dtype) -> bool:
    """Whether torch has a convolution with ReLU; it is private, and its absence costs time only."""
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


@cache
def _taps(height: int, width: int) -> Tensor:
    """int64 (P, Q): the tap 0..8 by which pixel q of a map enters pixel p of its 3x3 convolution; 9 where none does."""
    rows, columns = (torch.arange(height * width) // width, torch.arange(height * width) % width)
    down, across = rows[None] - rows[:, None] + 1, columns[None] - columns[:, None] + 1
    return torch.where((down >= 0) & (down < 3) & (across >= 0) & (across < 3), down * 3 + across, 9)
