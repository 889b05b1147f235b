"""Networks by name: our own, and others by a prefix (``torchvision:``, ``timm:``, ``python:package.module:name``)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from torch import nn

from src.core.options import Count, Words, options, options_of
from src.networks.models.bagnet import bagnet
from src.networks.models.cnnsplitter import CNNSPLITTER, cnnsplitter
from src.networks.models.group_conv import p4_conv
from src.networks.models.maxout import maxout
from src.networks.models.resnet import resnet
from src.networks.models.simple_conv import all_convolutional, simple_conv, vgg_like
from src.networks.models.spatial_transformer import spatial_transformer
from src.networks.models.ti_pooling import ti_pooling
from src.networks.models.vgg import PLAIN, plain_vgg, vgg
from src.networks.options import PREFIXES, model_options

#: Name -> what builds the network from its options, the number of its outputs and the shape of its images.
BUILDERS: dict[str, Callable[[Any, int, tuple[int, int, int]], nn.Module]] = {
    **{name: partial(cnnsplitter, name) for name in CNNSPLITTER},
    **{name: partial(plain_vgg, name) for name in PLAIN},
    "all_convolutional": all_convolutional,
    "bagnet": bagnet,
    "maxout": maxout,
    "p4_conv": p4_conv,
    "resnet": resnet,
    "simple_conv": simple_conv,
    "spatial_transformer": spatial_transformer,
    "ti_pooling": ti_pooling,
    "vgg": vgg,
    "vgg_like": vgg_like,
}


@options
class Required:
    """What every architecture says."""

    name: str
    classes: Count
    input_shape: Annotated[tuple[Count, Count, Count], Words("[channels, height, width], whole numbers from 1")]


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """Builds a network with fresh weights (torch's global generator) from its architecture as data.

    ``architecture``: ``name``, ``classes`` (number of outputs), ``input_shape`` [channels, height, width], and the
    named network's options, as in ``{"name": "simcnn", "classes": 10, "input_shape": [3, 32, 32], "width": 0.25}``.
    The network maps images float (n, C, H, W) to logits (n, classes).
    Raises UserError for an unknown name or option, a missing package, and an input that the network cannot take.
    """
    keys = ("name", "classes", "input_shape")
    required = options_of(Required, {key: architecture[key] for key in keys if key in architecture}, "model")
    rest = {key: value for key, value in architecture.items() if key not in keys}
    if required.name.startswith(PREFIXES):
        from src.networks.models import foreign  # late: the prefixes bring heavy packages

        return foreign.build(required.name, required.classes, required.input_shape, rest)
    chosen = model_options(required.name, rest)
    return BUILDERS[required.name](chosen, required.classes, required.input_shape)
