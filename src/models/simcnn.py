"""SimCNN: the VGG16-like networks of CNNSplitter (Qi et al., ASE 2022), and their weak versions.

Common options: ``width`` multiplies all kernel counts and hidden linear sizes (rounded, at least 1; the outputs and
the depth stay); ``batch_norm`` puts a batch norm between each convolution and its ReLU; ``dropout`` replaces the
family's rate; ``pools`` lists the convolutions followed by a max-pool, for images too small for all pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from src.models.layout import ConvolutionalNetwork, Layout, network
from src.models.registry import register

STRONG = Layout(
    (64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P"),
    hidden=(512, 512),
    dropout=0.5,
    he_init=True,
)
WEAK = Layout((64, "P", 64, "P", 64, "P", 64, "P"), he_init=True)
SVHN_WEAK = Layout((8, "P", 8, "P"), kernel_size=5, padding=0)
POOR_FIT = replace(STRONG, dropout=0.0)


@register("simcnn")
def simcnn(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """13 convolutions (4,224 kernels), three linear layers, dropout 0.5 before the first two."""
    return network("simcnn", STRONG, classes, input_shape, width, batch_norm, dropout, pools)


@register("simcnn_weak")
def simcnn_weak(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """Four convolutions of 64 kernels and one linear layer: the simple CIFAR network that is patched."""
    return network("simcnn_weak", WEAK, classes, input_shape, width, batch_norm, dropout, pools)


@register("simcnn_svhn_weak")
def simcnn_svhn_weak(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """Two 5x5 convolutions of 8 kernels without padding and one linear layer; torch's own initialisation."""
    return network("simcnn_svhn_weak", SVHN_WEAK, classes, input_shape, width, batch_norm, dropout, pools)


@register("simcnn_poor_fit")
def simcnn_poor_fit(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | None = None,
    pools: Sequence[int] | None = None,
) -> ConvolutionalNetwork:
    """SimCNN without dropout: trained too long it overfits, stopped early it underfits."""
    return network("simcnn_poor_fit", POOR_FIT, classes, input_shape, width, batch_norm, dropout, pools)
