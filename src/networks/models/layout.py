"""A convolutional network from a list: ``[64, 64, "P", "keep", 128, 128, "add", ...]``.

A number is a 3x3 convolution of that many kernels followed by ReLU, "P" a max-pool that halves the map, "keep"
remembers the present map, and "add" adds the remembered map to the present one (no ReLU after it). "skip" adds the
input of the convolution that follows to its output before the ReLU, cut or zero-padded to its number of kernels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError

Token = int | Literal["P", "keep", "add", "skip"]
What = Literal["call", "keep", "add"]
Step = tuple[What, str]  # of a forward pass, with the module's name; "keep" has none


@dataclass(frozen=True)
class Layout:
    """A family member as data: its convolutions, hidden linear layers, and what all of them share."""

    tokens: tuple[Token, ...]
    hidden: tuple[int, ...] = ()
    kernel_size: int = 3
    padding: int = 1
    dropout: float = 0.0
    he_init: bool = False
    normed_head: bool = False
    """Hidden linear layers are like the convolutions (batch norm takes their bias), dropout is before the last layer
    alone; else they have a bias and no norm, and dropout is before each of them."""
    eps: float = 1e-5  # of every batch norm

    @property
    def kernels(self) -> list[int]:
        """Of each convolution."""
        return [token for token in self.tokens if isinstance(token, int)]

    @property
    def pools(self) -> list[int]:
        """Indices of the convolutions that a max-pool follows."""
        places = [place for place, token in enumerate(self.tokens) if token == "P"]
        return [sum(isinstance(token, int) for token in self.tokens[:place]) - 1 for place in places]

    def scaled(self, width: float) -> "Layout":
        """All kernel and hidden counts times ``width``, rounded, at least 1."""
        scale = lambda count: max(1, round(width * count))  # noqa: E731
        tokens = tuple(scale(token) if isinstance(token, int) else token for token in self.tokens)
        return replace(self, tokens=tokens, hidden=tuple(scale(count) for count in self.hidden))

    def pooled_after(self, pools: Sequence[int]) -> "Layout":
        """The same convolutions with max-pools after those of the given indices (and after their "add") only."""
        last = len(self.kernels) - 1
        if not all(0 <= index <= last for index in pools):
            raise UserError(f"model.pools={list(pools)}: the convolutions are numbered 0 to {last}")
        tokens: list[Token] = []
        index, remembered = -1, False
        bare = [token for token in self.tokens if token != "P"]
        for position, token in enumerate(bare):
            tokens.append(token)
            index += isinstance(token, int)
            follows = bare[position + 1] if position + 1 < len(bare) else None
            remembered = token == "keep" or (remembered and token != "add")
            if token not in ("keep", "skip") and follows != "add" and index in pools:
                if remembered:
                    raise UserError(f"model.pools={list(pools)}: {index} lies within a residual pair; pool after it")
                tokens.append("P")
        return replace(self, tokens=tuple(tokens))

    def sized(self, width: float, pools: Sequence[int] | None) -> "Layout":
        """:meth:`scaled`, and :meth:`pooled_after` unless ``pools`` is None, which leaves the pools where they are."""
        scaled = self.scaled(width)
        return scaled if pools is None else scaled.pooled_after(pools)

    def map_size(self, size: int) -> int:
        """Side of the last map for an image side of ``size`` pixels; 0 or less where the image is too small."""
        for token in self.tokens:
            if isinstance(token, int):
                size += 2 * self.padding - self.kernel_size + 1
            elif token == "P":
                size //= 2
        return size


class ConvolutionalNetwork(nn.Module):
    """A network built from a ``Layout``: modules ``conv_i``, ``norm_i``, ``relu_i``, ``add_i``, ``pool_i``, ``fc_j``.

    Maps images float (n, C, H, W) to logits (n, classes). Every step is a module of its own and none works in place,
    so that each map can be tapped. With ``batch_norm`` the convolutions have no bias. ``name`` is for messages;
    ``dropouts``: module -> rate of a dropout that follows it, beside those of the layout.
    """

    relu_may_overwrite = True
    """Each ReLU is the only reader of its input: a copy in which nothing is tapped may let it work in place."""

    def __init__(
        self,
        layout: Layout,
        classes: int,
        input_shape: Sequence[int],
        batch_norm: bool = False,
        name: str = "this network",
        dropouts: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        rows, columns = layout.map_size(height), layout.map_size(width)
        if rows < 1 or columns < 1:
            raise UserError(_too_small(name, layout, input_shape))
        self.positions = rows * columns  # of the last map: columns of the first linear layer per kernel
        self.steps: list[Step] = []  # in the order of the forward pass
        self._dropouts = dropouts or {}
        index, skips = -1, False
        for token in layout.tokens:
            if isinstance(token, int):
                index += 1
                size, padding = layout.kernel_size, layout.padding
                self._append(f"conv_{index}", nn.Conv2d(channels, token, size, padding=padding, bias=not batch_norm))
                if batch_norm:
                    self._append(f"norm_{index}", nn.BatchNorm2d(token, eps=layout.eps))
                if skips:
                    self._append(f"add_{index}", FittedAdd(min(channels, token), token), "add")
                self._append(f"relu_{index}", nn.ReLU())
                channels, skips = token, False
            elif token == "P":
                self._append(f"pool_{index}", nn.MaxPool2d(2))
            elif token == "add":
                self._append(f"add_{index}", Add(), "add")
            else:
                self.steps.append(("keep", ""))
                skips = token == "skip"
        self._append("flatten", nn.Flatten())
        features, normed = channels * self.positions, batch_norm and layout.normed_head
        for number, units in enumerate(layout.hidden, start=index + 1):
            if layout.dropout and not layout.normed_head:
                self._append(f"dropout_{number}", nn.Dropout(layout.dropout))
            self._append(f"fc_{number}", nn.Linear(features, units, bias=not normed))
            if normed:
                self._append(f"norm_{number}", nn.BatchNorm1d(units, eps=layout.eps))
            self._append(f"relu_{number}", nn.ReLU())
            features = units
        last = index + 1 + len(layout.hidden)
        if layout.dropout and (layout.normed_head or not layout.hidden):
            self._append(f"dropout_{last}", nn.Dropout(layout.dropout))
        self._append(f"fc_{last}", nn.Linear(features, classes))
        if layout.he_init:
            initialise(self)

    def _append(self, name: str, module: nn.Module, what: What = "call") -> None:
        self.add_module(name, module)
        self.steps.append((what, name))
        if self._dropouts.get(name):
            self._append(f"dropout_{name}", nn.Dropout(self._dropouts[name]))

    def forward(self, images: Tensor) -> Tensor:
        return self.run((images, images))[0]

    def run(self, state: tuple[Tensor, Tensor], start: int = 0, stop: int | None = None) -> tuple[Tensor, Tensor]:
        """The steps from ``start`` to before ``stop`` on (present map, remembered map); gives the same pair.

        Lets networks with equal first steps share them: ``run(run(state, 0, k), k)`` is ``run(state)`` to the bit.
        """
        return run_steps(self, self.steps[start:stop], state)

    def step_of(self, name: str) -> int:
        """The number of the step that is the module ``name``."""
        return [module for _, module in self.steps].index(name)

    def passes(self) -> list[tuple[int, int, bool]]:
        """The steps in parts (start, stop, group): a convolution with its norm and ReLU is a group.

        Groups are what is computed again in the backward pass where memory is short: small on purpose, for of an
        early-heavy network nearly all memory is its first block.
        """
        modules = [getattr(self, name, None) for _, name in self.steps]
        parts: list[tuple[int, int, bool]] = []
        start = 0
        while start < len(modules):
            stop = start + 1
            if isinstance(modules[start], nn.Conv2d):
                while stop < len(modules) and isinstance(modules[stop], nn.BatchNorm2d | nn.ReLU):
                    stop += 1
            parts.append((start, stop, stop > start + 1))
            start = stop
        return parts

    def kernel_groups(self) -> list[dict[str, Any]]:
        """The wiring as plain data, one entry per set of convolutions whose kernels can only be kept together.

        Entry: ``name``, ``size`` (kernels), ``members`` (convolutions), ``norms`` (their batch norms), ``tap`` (module
        whose output is the group's activation after ReLU, of a residual pair the sum), and ``consumers``: layers that
        read it, with the number of their input columns per kernel (1, or the map's positions after flatten).
        Raises UserError where skips tie kernels of different convolutions to each other.
        """
        groups: list[dict[str, Any]] = []
        present: dict[str, Any] | None = None
        kept: dict[str, Any] | None = None
        for what, name in self.steps:
            module = getattr(self, name, None)
            if isinstance(module, nn.Conv2d | nn.Linear):
                if present is not None:
                    present["consumers"][name] = self.positions if isinstance(module, nn.Linear) else 1
                present = None
            if isinstance(module, nn.Conv2d):
                present = {"name": name, "size": module.out_channels, "members": [name], "norms": [], "consumers": {}}
                groups.append(present)
            elif isinstance(module, nn.BatchNorm2d) and present is not None:
                present["norms"].append(name)
            elif isinstance(module, nn.ReLU) and present is not None:
                present["tap"] = name
            elif what == "keep":
                kept = present
            elif isinstance(module, FittedAdd):
                raise UserError(
                    "model.skip=true: a skip ties each kernel to those of its whole block, none can be cut alone; "
                    "train it with model.skip=false"
                )
            elif what == "add" and present is not None and kept is not None:
                groups.remove(present)
                kept["members"] += present["members"]
                kept["norms"] += present["norms"]
                kept["name"] = "+".join(kept["members"])
                kept["tap"] = name
                present = kept
        return groups


def run_steps(owner: nn.Module, steps: Sequence[Step], state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The steps, which are modules of ``owner``, on (present map, remembered map); gives the same pair."""
    present, remembered = state
    for what, name in steps:
        if what == "keep":
            remembered = present
        elif what == "add":
            present = getattr(owner, name)(present, remembered)
        else:
            present = getattr(owner, name)(present)
    return present, remembered


class Add(nn.Module):
    """The sum of two maps as a module, so that it has a name and can be tapped."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x + other


class FittedAdd(nn.Module):
    """The sum of a map (n, ``wanted``, H, W) with the first ``taken`` channels of another and zeros: no parameters."""

    def __init__(self, taken: int, wanted: int) -> None:
        super().__init__()
        self.taken, self.wanted = taken, wanted

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        other = other[:, : self.taken]
        if self.taken < self.wanted:
            other = nn.functional.pad(other, (0, 0, 0, 0, 0, self.wanted - self.taken))
        return x + other

    def extra_repr(self) -> str:
        return f"{self.taken}, {self.wanted}"


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Convolution weights ~ N(0, sqrt(2 / (side^2 * kernels))), biases 0 (He et al. 2015, arXiv:1502.01852)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            side = module.kernel_size[0]
            module.weight.normal_(0.0, (2.0 / (side * side * module.out_channels)) ** 0.5)
            if module.bias is not None:
                module.bias.zero_()


def initialise_glorot(model: nn.Module) -> None:
    """Weights uniform by fan-in and fan-out, biases 0, as Keras begins (Glorot and Bengio, AISTATS 2010)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _too_small(name: str, layout: Layout, input_shape: Sequence[int]) -> str:
    side, pools = min(input_shape[1:]), layout.pools
    fewer = (pools[:count] for count in range(len(pools), -1, -1))
    fits = next((some for some in fewer if layout.pooled_after(some).map_size(side) >= 1), None)
    smallest = next(size for size in range(1, 1 << 20) if layout.map_size(size) >= 1)
    return (
        f"model.input_shape={list(input_shape)}: {name} pools {len(pools)} times and needs images of at least "
        f"{smallest}x{smallest} pixels" + ("" if fits is None else f"; or pool less: pools={fits}")
    )
