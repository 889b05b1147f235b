"""Networks as data: a registry gives every network a name; the networks themselves are plain ``nn.Module``s."""

from src.networks.models import (  # noqa: F401  (importing them registers their names)
    all_convolutional,
    group_conv,
    maxout,
    rescnn,
    resnet,
    simcnn,
    simple_conv,
    spatial_transformer,
    ti_pooling,
    vgg,
    vgg19,
    vgg_like,
)
from src.networks.models.registry import build, names, register

__all__ = ["build", "names", "register"]
