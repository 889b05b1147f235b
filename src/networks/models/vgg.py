"""VGG with batch norm and any widths: the networks of Mundt et al. 2018 (arXiv:1812.05836) and their baseline.

Five blocks of 2, 2, L, L and L convolutions with a max-pool after each (L = 3 is VGG-D, L = 4 VGG-E of Simonyan and
Zisserman 2015, arXiv:1409.1556), two hidden linear layers, and one dropout before the last linear layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from src.core.errors import UserError, suggestion
from src.networks.models.layout import ConvolutionalNetwork, FittedAdd, Layout, Token
from src.networks.models.registry import register

VGG_D = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)
EPS = 1e-4
INITIALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming_normal": nn.init.kaiming_normal_,  # both: gain sqrt(2), by fan-in
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
}


class VGG(ConvolutionalNetwork):
    """A VGG from its layout: modules ``conv_i``, ``norm_i``, ``relu_i``, ``pool_i``, ``fc_j``; see :func:`vgg`."""

    def __init__(
        self,
        layout: Layout,
        classes: int,
        input_shape: Sequence[int],
        batch_norm: bool = True,
        init: str = "kaiming_normal",
        pad_widths: int = 1,
    ) -> None:
        super().__init__(layout, classes, input_shape, batch_norm, "vgg")
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                INITIALISATIONS[init](module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._live = sum(parameter.numel() for parameter in self.parameters())
        if pad_widths > 1:
            self._pad(pad_widths)
            for module in self.modules():
                if isinstance(module, nn.Dropout):
                    module.live = layout.hidden[-1]  # type: ignore[assignment]  # masks are drawn for these alone: the same as without padding

    def live_parameters(self) -> int:
        """Parameters without those of the dead channels that ``pad_widths`` adds."""
        return self._live

    @torch.no_grad()
    def _pad(self, multiple: int) -> None:
        """Widen every layer but the last to a multiple by dead channels.

        All that leads into a dead channel, all that leads out, and its batch norm's weight and bias are 0. So its
        value is 0, no gradient reaches any of them, and they stay 0 under momentum and weight decay. This comes after
        the initialisation, which therefore sees the true fan-in and draws the same numbers as without padding.
        """
        given, positions = 0, 1  # dead channels of the present map, and their values per channel
        for _, name in self._steps:
            module = getattr(self, name) if name else None
            if isinstance(module, nn.Flatten):
                positions = self.positions
            elif isinstance(module, nn.Conv2d):
                dead = -module.out_channels % multiple
                module.weight = _widened(module.weight, (0, 0, 0, 0, 0, given, 0, dead))
                module.in_channels, module.out_channels = module.weight.shape[1], module.weight.shape[0]
            elif isinstance(module, nn.Linear):
                # the last linear layer's outputs are the classes
                dead = 0 if name == self._steps[-1][1] else -module.out_features % multiple
                module.weight = _widened(module.weight, (0, given * positions, 0, dead))
                module.in_features, module.out_features = module.weight.shape[1], module.weight.shape[0]
                positions = 1
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.weight, module.bias = (_widened(each, (0, dead)) for each in (module.weight, module.bias))
                module.num_features += dead
                module.running_mean = torch.zeros_like(module.weight)
                module.running_var = torch.ones_like(module.weight)
            elif isinstance(module, FittedAdd):
                module.wanted += dead
            if isinstance(module, nn.Conv2d | nn.Linear):
                if module.bias is not None:
                    module.bias = _widened(module.bias, (0, dead))
                given = dead


@register("vgg")
def vgg(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: float | None = EPS,
    dropout: float | None = 0.5,
    pools: Sequence[int] | None = None,
    widths: Sequence[int] = VGG_D,
    init: str = "kaiming_normal",
    skip: bool = False,
    pad_widths: int = 1,
) -> VGG:
    """A VGG of the given widths.

    Args:
        classes: number of outputs.
        input_shape: [channels, height, width] of the images.
        width: multiplies all widths (rounded, at least 1).
        batch_norm: the eps of a batch norm between each layer and its ReLU (true: the paper's 1e-4); None, 0 or false:
            none, and biases instead.
        dropout: rate before the last linear layer (None: the paper's 0.5).
        pools: convolutions followed by a max-pool; None: the last of each block, while the map has 2 pixels or more.
        widths: kernels of the 3L + 4 convolutions, then units of the two hidden linear layers.
        init: of all weights, the last layer's too; biases are 0.
        skip: add the input of each convolution but a block's first to its batch-normed output, before the ReLU, cut or
            padded with zeros to its number of kernels. Without parameters, so that it serves any widths; the authors
            name skip connections as the next thing to try.
        pad_widths: widen every layer to a multiple of this by dead channels, which never change what the network
            computes or learns (with dropout: under the learner of width variants, which draws masks for live
            channels alone); 8 lets tensor cores read aligned rows.

    Raises:
        UserError: a value that is not allowed, or an image too small for the pools.
    """
    blocks = _blocks(widths)
    eps = _eps(batch_norm)
    if init not in INITIALISATIONS:
        raise UserError(f"model.init={init}: {suggestion(str(init), INITIALISATIONS)}")
    if type(pad_widths) is not int or pad_widths < 1:
        raise UserError(f"model.pad_widths={pad_widths}: give a whole number from 1, which pads nothing")
    if pools is None:
        pools = _pools(blocks, min(input_shape[1:]))
    layout = Layout(
        _tokens(widths, blocks, skip),
        hidden=tuple(widths[-2:]),
        dropout=0.5 if dropout is None else dropout,
        normed_head=True,
        eps=eps or EPS,
    )
    return VGG(layout.scaled(width).pooled_after(pools), classes, input_shape, bool(eps), init, pad_widths)


def _blocks(widths: Sequence[int]) -> tuple[int, ...]:
    """Convolutions per block."""
    repeats, rest = divmod(len(widths) - 6, 3)
    if rest or repeats < 1:
        raise UserError(
            f"model.widths has {len(widths)} numbers; a VGG has 3L+6: 15 for depth 16 (13 convolutions, then two "
            "hidden linear layers), 18 for depth 19"
        )
    for count in widths:
        if type(count) is not int or count < 1:
            raise UserError(f"model.widths: {count} is no width; give whole numbers from 1")
    return 2, 2, repeats, repeats, repeats


def _tokens(widths: Sequence[int], blocks: Sequence[int], skip: bool) -> tuple[Token, ...]:
    tokens: list[Token] = []
    counts = iter(widths)
    for size in blocks:
        for place in range(size):
            if skip and place:
                tokens.append("skip")
            tokens.append(next(counts))
    return tuple(tokens)


def _pools(blocks: Sequence[int], side: int) -> list[int]:
    """The last convolution of each block, while there are two pixels to choose from."""
    found, index = [], -1
    for size in blocks:
        index += size
        if side >= 2:
            found.append(index)
        side //= 2
    return found


def _eps(batch_norm: float | None) -> float:
    if batch_norm is None or isinstance(batch_norm, bool):
        return EPS if batch_norm else 0.0
    if not isinstance(batch_norm, int | float) or not 0 <= batch_norm < 1:
        raise UserError(f"model.batch_norm={batch_norm}: give its eps, such as 1e-4, or null for none")
    return float(batch_norm)


def _widened(parameter: Tensor, pad: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(nn.functional.pad(parameter.detach(), pad))
