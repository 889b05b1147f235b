"""What each of our networks takes: its options with type, bounds and default.

Imports no torch, so that a model can be refused before anything heavy is loaded. The presets of ``conf/model`` say all
options; the defaults here are for architectures that were stored or written by hand without some of them.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Lt, MinLen

from src.core.errors import UserError, suggestion
from src.core.options import Count, Words, options, options_of

PREFIXES = ("torchvision:", "timm:", "python:")
"""Of the names of other packages' networks, whose options they check themselves."""

Rate = Annotated[float, Ge(0), Lt(1), Words("a number from 0 to below 1")]
Rates = Rate | tuple[Rate, ...]
Counts = Annotated[tuple[Count, ...], MinLen(1)]


@options
class Dropout:
    """Dropout rates by position: after each pool, after flatten, and after each hidden linear layer; 0 is none."""

    pools: Rates = 0.0
    flatten: Rate = 0.0
    hidden: Rates = 0.0


THESIS = Dropout(pools=0.1, flatten=0.5, hidden=0.5)


class Dropouts(NamedTuple):
    """One rate per position; 0 stands for no dropout there."""

    pools: tuple[float, ...]
    flatten: float
    hidden: tuple[float, ...]


def dropouts(rates: Rate | Dropout | None, pools: int, hidden: int, default: Dropout | None = None) -> Dropouts:
    """The rates of a network with so many pools and hidden linear layers.

    Args:
        rates: one for all positions, or by position; None: the ``default``, or none.

    Raises:
        UserError: another number of rates than of places.
    """
    if rates is None:
        rates = default or Dropout()
    elif not isinstance(rates, Dropout):
        rates = Dropout(rates, rates, rates)
    return Dropouts(_each(rates.pools, pools, "pools"), rates.flatten, _each(rates.hidden, hidden, "hidden"))


def _each(rates: Rates, count: int, key: str) -> tuple[float, ...]:
    each = rates if isinstance(rates, tuple) else (rates,) * count
    if len(each) != count:
        raise UserError(
            f"model.dropout.{key}={list(each)}: the network has {count} such places; give as many, or a number"
        )
    return each


@options
class ModelOptions:
    """What all of our networks take.

    Attributes:
        width: multiplies all kernels and hidden units (rounded, at least 1; the outputs and the depth stay).
        batch_norm: between each convolution and its ReLU, instead of the convolution's bias.
        dropout: one rate for all positions, or by position; None: the family's own.
        pools: convolutions (the first is 0) that a 2x2 pool follows; None: the family's own.
    """

    width: Annotated[float, Gt(0)] = 1.0
    batch_norm: bool = False
    dropout: Rate | Dropout | None = None
    pools: tuple[int, ...] | None = None


@options
class LayoutOptions(ModelOptions):
    """Of a named layout of CNNSplitter."""

    dropout: Rate | None = None


@options
class VggOptions(ModelOptions):
    """Of a VGG of any widths; dropout is before the last linear layer alone.

    Attributes:
        batch_norm: the eps of a batch norm between each layer and its ReLU (true: the paper's); null, 0 or false: none.
        widths: kernels of the convolutions, then units of the two hidden linear layers: as many as `vgg_blocks` takes.
        init: of all weights, the last layer's too; biases are 0.
        skip: add the input of each convolution but a block's first to its batch-normed output, before the ReLU, cut or
            padded with zeros to its number of kernels. Without parameters, so that it serves any widths; the authors
            name skip connections as the next thing to try.
        pad_widths: widen every layer to a multiple of this by dead channels, which never change what the network
            computes or learns (with dropout: under the learner of width variants, which draws masks for live channels
            alone); 8 lets tensor cores read aligned rows.
    """

    batch_norm: Annotated[bool | Rate | None, Words("its eps, such as 1e-4, or null for none")] = 1e-4  # type: ignore[assignment]
    dropout: Rate | None = 0.5
    widths: Counts = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512)  # VGG-D
    init: Literal["kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"] = "kaiming_normal"
    skip: bool = False
    pad_widths: Count = 1


def vgg_blocks(widths: int) -> tuple[int, ...]:
    """Convolutions of each of the five blocks of a VGG with so many widths; empty where there is none.

    3L + 6 widths, two of them of hidden linear layers: 2, 2, L, L and L convolutions (Mundt et al. 2018). 10: VGG-A.
    """
    if widths == 10:
        return 1, 1, 2, 2, 2
    repeats, rest = divmod(widths - 6, 3)
    return () if rest or repeats < 1 else (2, 2, repeats, repeats, repeats)


@options
class MaxoutOptions(ModelOptions):
    """Of a maxout network; by default the monolithic one of the thesis, whose dropout is that of the thesis."""

    units: Counts = (128, 256, 512)
    pieces: Count = 8
    hidden: tuple[Count, ...] = (256,)
    hidden_pieces: Count = 4


@options
class SimpleConvOptions(ModelOptions):
    """Of SimpleConv: two convolutions of ``kernels`` each, two of twice and one of four times as many."""

    kernels: Count = 32
    hidden: Count = 64
    pool: Literal["max", "average", "blur"] = "max"


@options
class TiPoolingOptions(SimpleConvOptions):
    """Of SimpleConv on copies turned counterclockwise by ``angles``.

    The logits stay the same under quarter turns where with each angle also the angle and 90 degrees is there.
    """

    angles: Annotated[tuple[float, ...], MinLen(1), Words("a list of degrees, such as [0, 90]")] = (0, 90, 180, 270)


@options
class SpatialTransformerOptions(SimpleConvOptions):
    """Of SimpleConv behind a spatial transformer.

    ``localisation``: kernels of its two 5x5 convolutions, and units of its hidden layer. ``freedom``: of its map.
    """

    localisation: Count = 20
    freedom: Literal["affine", "rotation"] = "affine"


@options
class AllConvolutionalOptions(ModelOptions):
    """Of AllConvolutional, whose convolutions keep their bias beside batch norm, as in the study.

    Attributes:
        pools: convolutions of stride 2, which halve the map (rounded up).
        kernels: of the first three convolutions; the five that follow, of which the last is 1x1, have twice as many.
        padded_1x1: pad the 1x1 convolution by 1, as the released code does: the map grows by a rim of biases.
        relu_logits: a ReLU before the mean over positions, as in the released code.
    """

    batch_norm: bool = True
    kernels: Count = 16
    padded_1x1: bool = False
    relu_logits: bool = False


@options
class VggLikeOptions(ModelOptions):
    """Of VGGLike: batch norm follows each ELU, and each block has twice the kernels of the one before."""

    batch_norm: bool = True
    kernels: Count = 16
    hidden: Count = 64


@options
class ResnetOptions(ModelOptions):
    """Of a residual network.

    Attributes:
        dropout: before the linear layer (``flatten``).
        pools: stages whose first block has stride 2, which halves the map (rounded up); None: all but the first.
        blocks: of each stage: [2, 2, 2, 2] is ResNet-18, [3, 4, 6, 3] ResNet-34, and with ``bottleneck`` ResNet-50.
        bottleneck: blocks of a 1x1, a 3x3 (with the stride) and a 1x1 convolution with four times the kernels, instead
            of two 3x3.
        groups: of the convolutions inside a block (ResNeXt, arXiv:1611.05431); kernels inside become a multiple of it.
        inside: multiplies the kernels inside a block: 32 groups and 2.0 make ResNeXt-50 (32x4d) of ResNet-50.
        squeeze: a gate per channel on a block's path, of the channel means by way of so many times fewer units
            (squeeze and excitation, arXiv:1709.01507, which takes 16); null: none.
    """

    batch_norm: bool = True
    blocks: Counts = (2, 2, 2, 2)
    bottleneck: bool = False
    groups: Count = 1
    inside: Annotated[float, Gt(0)] = 1.0
    squeeze: Count | None = None


@options
class BagnetOptions(ModelOptions):
    """Of a bag of local features: what a place says hangs on ``field`` pixels around it and no more.

    Attributes:
        pools: convolutions of stride 2; kernels double after each.
        kernels: of the first convolutions.
        field: side of the receptive field in pixels, reached by 3x3 convolutions without padding.
    """

    batch_norm: bool = True
    kernels: Count = 32
    field: Count = 9


@options
class GroupConvOptions(ModelOptions):
    """Of convolutions over quarter turns; ``kernels`` of each convolution are there in four orientations.

    By default they are half of SimpleConv's, which leaves about as many parameters per convolution (Cohen and Welling,
    section 8). A pool commutes with quarter turns where the map's side is even, and only there.
    """

    batch_norm: bool = True
    kernels: Counts = (16, 16, 32, 32, 64)


#: Name of a network -> its options.
NETWORKS: dict[str, type[ModelOptions]] = {
    **dict.fromkeys(("simcnn", "simcnn_weak", "simcnn_svhn_weak", "simcnn_poor_fit"), LayoutOptions),
    **dict.fromkeys(("rescnn", "rescnn_weak", "rescnn_svhn_weak", "rescnn_poor_fit"), LayoutOptions),
    **dict.fromkeys(("vgg19", "vgg_module"), ModelOptions),
    "all_convolutional": AllConvolutionalOptions,
    "bagnet": BagnetOptions,
    "maxout": MaxoutOptions,
    "p4_conv": GroupConvOptions,
    "resnet": ResnetOptions,
    "simple_conv": SimpleConvOptions,
    "spatial_transformer": SpatialTransformerOptions,
    "ti_pooling": TiPoolingOptions,
    "vgg": VggOptions,
    "vgg_like": VggLikeOptions,
}


def family(architecture: Mapping[str, Any]) -> str:
    """What the field calls a network: its name, or of residual networks which kind they are of."""
    name = str(architecture["name"])
    if name != "resnet":
        return name
    return (
        f"{'se_' if architecture.get('squeeze') else ''}{'resnext' if architecture.get('groups', 1) > 1 else 'resnet'}"
    )


def model_options(name: str, values: Mapping[str, Any]) -> ModelOptions:
    """The options of our network ``name``.

    Raises:
        UserError: there is none of this name, it has no such option, or a value is not allowed.
    """
    if name not in NETWORKS:
        raise UserError(f"model.name={name}: {suggestion(name, NETWORKS)} or a prefix: {', '.join(PREFIXES)}")
    known = [field.name for field in fields(NETWORKS[name])]
    for key in values:
        if key not in known:
            raise UserError(f"model.{key}={values[key]}: {name} has no such option; {suggestion(key, known)}")
    if isinstance(values.get("dropout"), Mapping):
        options_of(Dropout, values["dropout"], "model.dropout")  # says which position is wrong
    return options_of(NETWORKS[name], values, "model")
