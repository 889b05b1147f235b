"""A bag of local features: a network that is local by construction, as an anchor for measures of locality.

Brendel and Bethge (ICLR 2019, arXiv:1904.00760) cut ResNet-50's receptive field down to 9, 17 or 33 pixels. This one is
the plain idea for small images: 3x3 convolutions without padding until the field is reached, each followed by a 1x1
convolution, then logits of every place, averaged. The logits are linear in what the places say.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from src.core.errors import UserError
from src.networks.models.layout import Layout
from src.networks.models.pooling import GlobalAverage
from src.networks.options import BagnetOptions, dropouts


def bagnet(options: BagnetOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """A bag of local features.

    Modules: ``c0``, ``c0norm``, ``c0act`` (3x3), ``p0``, ``p0norm``, ``p0act`` (1x1), ``c1``, ..., ``cc`` (1x1, to the
    classes) and ``ap`` (the mean over places); ``ccdrop`` comes before ``cc``.

    Raises:
        UserError: no number of convolutions has this field, or it is larger than the image.
    """
    strides = strides_of(options.field, options.pools or ())
    if options.field > min(input_shape[1:]):
        raise UserError(
            f"model.field={options.field}: larger than images of {input_shape[1]}x{input_shape[2]}; take a smaller one"
        )
    rate = dropouts(options.dropout, 0, 0).flatten
    halvings = [sum(stride == 2 for stride in strides[:index]) for index in range(len(strides))]
    layout = Layout(tuple(options.kernels << halving for halving in halvings) or (options.kernels,))
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    channels = input_shape[0]
    for index, (kernels, stride) in enumerate(zip(layout.scaled(options.width).kernels, strides, strict=False)):
        for name, size, step in ((f"c{index}", 3, stride), (f"p{index}", 1, 1)):
            steps[name] = nn.Conv2d(channels, kernels, size, step, bias=not options.batch_norm)
            if options.batch_norm:
                steps[f"{name}norm"] = nn.BatchNorm2d(kernels)
            steps[f"{name}act"] = nn.ReLU()
            channels = kernels
    if rate:
        steps["ccdrop"] = nn.Dropout(rate)
    steps["cc"] = nn.Conv2d(channels, classes, 1)
    steps["ap"] = GlobalAverage()
    return nn.Sequential(steps)


def strides_of(field: int, pools: Sequence[int]) -> list[int]:
    """The stride of each 3x3 convolution without padding whose receptive field is ``field`` together.

    Raises:
        UserError: there is no such number of convolutions.
    """
    strides: list[int] = []
    reached, jump = 1, 1
    fields = [reached]
    while reached < field:
        stride = 2 if len(strides) in pools else 1
        reached += 2 * jump
        jump *= stride
        strides.append(stride)
        fields.append(reached)
    if reached != field:
        near = ", ".join(map(str, fields))
        raise UserError(f"model.field={field}: with model.pools={list(pools)} the fields are {near}; take one of them")
    return strides
