"""A network as a chain: one convolution or linear layer after the other, with what follows each of them.

What a chain can say is what a runner that does not call the network's modules has to know (``fused``, ``native``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from src.core.errors import UserError
from src.networks.models.layout import Add, ConvolutionalNetwork
from src.networks.slicing.plan import SlicePlan


@dataclass(frozen=True)
class ChainLayer:
    """A convolution (stride 1) or linear layer, and the steps up to the next one, in the order of the attributes.

    Attributes:
        name: of its module.
        kind: what it is.
        source, group: numbers of the plan's groups whose kernels it reads and makes; None where none are cut.
        height, width: of its input map; 1 and 1 for a linear layer behind another.
        side, padding: of its kernels.
        remember: its input is remembered for the next ``add``.
        relu: a ReLU follows. add: then the remembered map is added. pool: then a 2x2 max-pool follows.
    """

    name: str
    kind: Literal["convolution", "linear"]
    source: int | None
    group: int | None
    height: int
    width: int
    side: int = 1
    padding: int = 0
    remember: bool = False
    relu: bool = False
    add: bool = False
    pool: bool = False

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns before the pool."""
        grown = 2 * self.padding - self.side + 1
        return (self.height + grown, self.width + grown) if self.kind == "convolution" else (1, 1)


def chain_of(model: nn.Module, plan: SlicePlan) -> tuple[ChainLayer, ...]:
    """The layers of ``model`` in the order of its forward pass.

    Raises:
        UserError: the network is no such chain; the text says why.
    """
    if not isinstance(model, ConvolutionalNetwork):
        raise _no_chain(f"{type(model).__name__} is none of our lists of layers")
    group_of = {member: number for number, group in enumerate(plan.groups) for member in group.members}
    layers: list[ChainLayer] = []
    _, height, width = plan.input_shape
    source: int | None = None
    remember = False
    for what, name in model.steps:
        module = getattr(model, name, None)
        after = layers[-1] if layers else None
        if what == "keep":
            remember = True
        elif isinstance(module, nn.Conv2d | nn.Linear):
            convolves = isinstance(module, nn.Conv2d)
            side, padding = (module.kernel_size[0], int(module.padding[0])) if isinstance(module, nn.Conv2d) else (1, 0)
            layers.append(
                ChainLayer(
                    name, "convolution" if convolves else "linear", source, group_of.get(name),
                    height, width, side, padding, remember,
                )
            )  # fmt: skip
            (height, width), source, remember = layers[-1].map_size, group_of.get(name), False
        elif isinstance(module, nn.Dropout | nn.Flatten):
            continue  # neither does anything to a chain that is only evaluated
        elif after and isinstance(module, nn.ReLU) and not (after.relu or after.add or after.pool):
            layers[-1] = replace(after, relu=True)
        elif after and isinstance(module, Add) and not (after.add or after.pool):
            layers[-1] = replace(after, add=True)
        elif after and isinstance(module, nn.MaxPool2d) and not after.pool:
            layers[-1] = replace(after, pool=True)
            height, width = height // 2, width // 2
        else:
            raise _no_chain(f"it holds {name} ({type(module).__name__}) there")
    return tuple(layers)


def first_layers(layers: Sequence[ChainLayer], plan: SlicePlan) -> list[int]:
    """For each of the plan's groups the number of the first layer that makes its kernels."""
    return [
        next(number for number, layer in enumerate(layers) if layer.group == group)
        for group in range(len(plan.groups))
    ]  # fmt: skip


def _no_chain(reason: str) -> UserError:
    return UserError(
        f"search.evaluator: this network is not a chain of convolutions with ReLU, sum and pool ({reason}); "
        "set search.evaluator=functional"
    )
