"""VGG (Simonyan and Zisserman 2015, arXiv:1409.1556), with batch norm and any widths, and plain.

``vgg`` are the networks of Mundt et al. 2018 (arXiv:1812.05836) and their baseline: five blocks of 2, 2, L, L and L
convolutions with a max-pool after each (L = 3 is VGG-D, L = 4 VGG-E; VGG-A has 1, 1, 2, 2 and 2), two hidden linear
layers, and one dropout before the last linear layer. ``vgg19`` is as published, and ``vgg_module`` a small one for a
module of a label tree: without batch norm, with dropout also after the pools, the networks of L. Friedrichsen's thesis
on modular networks (2020).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.layout import ConvolutionalNetwork, FittedAdd, Layout, Token, initialise_glorot
from src.networks.options import THESIS, ModelOptions, VggOptions, dropouts, vgg_blocks

EPS = 1e-4
PLAIN = {
    "vgg19": Layout((64, 64, "P", 128, 128, "P", *[256] * 4, "P", *[512] * 4, "P", *[512] * 4, "P"), (4096, 4096)),
    "vgg_module": Layout((32, "P", 64, "P", 128, 128, "P", 256, 256, "P", 256, 256, "P"), (128, 128)),
}


def plain_vgg(name: str, options: ModelOptions, classes: int, input_shape: Sequence[int]) -> ConvolutionalNetwork:
    """One of ``PLAIN``, with dropouts ``dropout_pool_i``, ``dropout_flatten``, ``dropout_relu_j``.

    Without ``options.dropout`` they are 0.1 after each pool but the last, and 0.5 after flatten and each hidden layer.
    """
    layout = PLAIN[name].sized(options.width, options.pools)
    pools, first = layout.pools, len(layout.kernels)  # number of the first linear layer
    default = replace(THESIS, pools=(0.1,) * (len(pools) - 1) + (0.0,) * min(len(pools), 1))
    rates = dropouts(options.dropout, len(pools), len(layout.hidden), default)
    places = {f"pool_{index}": rate for index, rate in zip(pools, rates.pools, strict=True)}
    places |= {"flatten": rates.flatten}
    places |= {f"relu_{number}": rate for number, rate in enumerate(rates.hidden, start=first)}
    model = ConvolutionalNetwork(layout, classes, input_shape, options.batch_norm, name, places)
    initialise_glorot(model)
    return model


def vgg(options: VggOptions, classes: int, input_shape: Sequence[int]) -> ConvolutionalNetwork:
    """A VGG of the given widths.

    Raises:
        UserError: another number of widths than a VGG has, or an image too small for the pools.
    """
    eps = EPS if options.batch_norm is True else float(options.batch_norm or 0)
    layout = Layout(
        _tokens(options.widths, min(input_shape[1:]), options.skip),
        hidden=options.widths[-2:],
        dropout=0.5 if options.dropout is None else options.dropout,
        normed_head=True,
        eps=eps,
    ).sized(options.width, options.pools)
    model = ConvolutionalNetwork(layout, classes, input_shape, bool(eps), "vgg")
    initialise = getattr(nn.init, f"{options.init}_")  # of the kaiming ones: gain sqrt(2), by fan-in
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            initialise(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if options.pad_widths > 1:
        live = model.get_submodule(f"fc_{len(options.widths)}").in_features
        _pad(model, options.pad_widths)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.live = live  # masks are drawn for these units alone: the same as without padding
    return model


@torch.no_grad()
def _pad(model: ConvolutionalNetwork, multiple: int) -> None:
    """Widen every layer but the last to a multiple by dead channels.

    All that leads into a dead channel, all that leads out, and its batch norm's weight and bias are 0. So its value is
    0, no gradient reaches any of them, and they stay 0 under momentum and weight decay. This comes after the
    initialisation, which therefore sees the true fan-in and draws the same numbers as without padding.
    """
    given, positions = 0, 1  # dead channels of the present map, and their values per channel
    *_, last = model.children()  # its outputs are the classes
    for module in model.children():
        if isinstance(module, nn.Flatten):
            positions = model.positions
        elif isinstance(module, nn.Conv2d):
            dead = -module.out_channels % multiple
            module.weight = _widened(module.weight, (0, 0, 0, 0, 0, given, 0, dead))
            module.in_channels, module.out_channels = module.weight.shape[1], module.weight.shape[0]
        elif isinstance(module, nn.Linear):
            dead = 0 if module is last else -module.out_features % multiple
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


def _widened(parameter: Tensor, pad: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(nn.functional.pad(parameter.detach(), pad))


def _tokens(widths: Sequence[int], side: int, skip: bool) -> tuple[Token, ...]:
    """The convolutions, with a pool after each block while there are two pixels to choose from."""
    blocks = vgg_blocks(len(widths))
    if not blocks:
        raise UserError(
            f"model.widths has {len(widths)} numbers; a VGG has 3L+6: 15 for depth 16 (13 convolutions, then two "
            "hidden linear layers), 18 for depth 19; or 10 for depth 11"
        )
    tokens: list[Token] = []
    counts = iter(widths)
    for number, size in enumerate(blocks):
        for place in range(size):
            if skip and place:
                tokens.append("skip")
            tokens.append(next(counts))
        if side >> number >= 2:
            tokens.append("P")
    return tuple(tokens)
