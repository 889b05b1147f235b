"""ResCNN: the residual networks of CNNSplitter (Qi et al., ASE 2022), and their weak versions.

The sum comes after the ReLU and no ReLU follows it; torch's own initialisation. Options as in ``simcnn``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src.models.layout import ConvolutionalNetwork, Layout, network
from src.models.registry import register

STRONG = Layout(
    (
        *(64, 128, "P", "keep", 128, 128, "add", 256, "P", 512, "P", "keep", 512, 512, "add"),
        *(512, "P", 512, "P", "keep", 512, 512, "add"),
    ),
    dropout=0.4,
)
WEAK = Layout((64, "P", "keep", 64, 64, "add", 64, "P"), dropout=0.4)
SVHN_WEAK = Layout((8, "P", "keep", 8, 8, "add", "P"), kernel_size=5, padding=2)
POOR_FIT = replace(STRONG, dropout=0.0)


@register("rescnn")
def rescnn(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """12 convolutions (4,288 kernels) with sums into the outputs of convolutions 3, 7 and 11, one linear layer."""
    return network("rescnn", STRONG, classes, input_shape, width, batch_norm, dropout, pools)


@register("rescnn_weak")
def rescnn_weak(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """Four convolutions of 64 kernels, one sum, one linear layer: the simple CIFAR network that is patched."""
    return network("rescnn_weak", WEAK, classes, input_shape, width, batch_norm, dropout, pools)


@register("rescnn_svhn_weak")
def rescnn_svhn_weak(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """Three 5x5 convolutions of 8 kernels, one sum, one linear layer (the original's fourth is never used)."""
    return network("rescnn_svhn_weak", SVHN_WEAK, classes, input_shape, width, batch_norm, dropout, pools)


@register("rescnn_poor_fit")
def rescnn_poor_fit(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """ResCNN without dropout: trained too long it overfits, stopped early it underfits."""
    return network("rescnn_poor_fit", POOR_FIT, classes, input_shape, width, batch_norm, dropout, pools)
