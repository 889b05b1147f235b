"""Randomisation of weights: does a map change when the network forgets what it has learned?

Cascading randomisation (Adebayo et al. 2018, arXiv:1810.03292): layer after layer gets new random weights, and each
step's maps are compared with those of the network as it was. A map that stays is about the image and not the network.
What is known of its limits: rules that only follow positive contributions hardly see later layers (Sixt et al. 2020,
arXiv:1912.09818); from the top down much of the network's signal stays as it was, and rank correlation favours noisy
maps (Binder et al. 2023, arXiv:2211.12486). The rise of complexity under full randomisation avoids the comparison
(Hedström et al. 2024, arXiv:2405.02383). Their smooth variant is this one with an ``attribute`` that averages the maps
of images with noise.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.seeds import stream
from src.core.shown import Shown
from src.statistics.ranks import spearman

Order = Literal["top_down", "bottom_up"]
Attribute = Callable[[nn.Module], Tensor]

BINS = 100


@dataclass(frozen=True)
class Step(Shown):
    """Maps after some layers have been randomised, with those of the steps before.

    Attributes:
        layers: names of the modules that this step randomised; none in the first, which is the network as it was.
        signed: float64 (n,), Spearman's correlation over pixels of each image's map with the network's as it was.
        absolute: of the maps' absolute values.
        complexity: float64 (n,), see :func:`complexity`.
    """

    layers: tuple[str, ...]
    signed: Tensor
    absolute: Tensor
    complexity: Tensor


def randomisation(
    model: nn.Module, attribute: Attribute, *, seed: int, order: Order = "top_down", steps: int = 8,
    first: Tensor | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Randomise a copy of the network in steps, the network as it is first, and compare its maps with the first.

    A layer's new weights are a pure function of the seed and of its name: they are drawn on the CPU by its own
    ``reset_parameters``, and both orders end in the same network. A batch norm forgets its statistics with its weights.
    Neither ``model`` nor any random state changes.

    Args:
        model: stays as it is; the copy is in evaluation mode.
        attribute: network -> maps float (n, H, W), of the same images and targets at every call. It must not change
            the network.
        order: from the logits to the first layer, or from there to the logits; layers as they are registered.
        first: the maps of the network as it is, where they are there already.
        steps: the most; layers are put together in groups as equal as can be, each with the batch norms that follow it.

    Raises:
        UserError: there is nothing to randomise, or a layer does not say how.
    """
    changed = copy.deepcopy(model).eval()
    groups = layers_in_steps(changed, order, steps)
    first = attribute(changed).detach() if first is None else first
    yield _compared(first, first, ())
    for layers in groups:
        for name in layers:
            _randomise(changed.get_submodule(name), stream(seed, "randomisation", name).initial_seed())
        yield _compared(first, attribute(changed).detach(), layers)


def layers_in_steps(model: nn.Module, order: Order, steps: int) -> list[tuple[str, ...]]:
    """Names of the modules with parameters or statistics of their own, in at most so many groups.

    Raises:
        UserError: there are none, fewer than one step is asked for, or a module has no ``reset_parameters``.
    """
    if steps < 1:
        raise UserError(f"steps={steps}: randomisation takes at least one step")
    layers: list[list[str]] = []
    for name, module in model.named_modules():
        if not [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            continue
        if not hasattr(module, "reset_parameters"):
            if not [*module.parameters(recurse=False)]:
                continue  # constants, such as a filter that is not learned
            raise UserError(
                f"module '{name or type(model).__name__}' ({type(module).__name__}) has parameters and no "
                "reset_parameters, so that it cannot be randomised; give its class one, or leave out randomisation"
            )
        if layers and isinstance(module, nn.modules.batchnorm._NormBase):
            layers[-1].append(name)
        else:
            layers.append([name])
    if not layers:
        raise UserError("the network has no parameters to randomise; leave out randomisation")
    parts = torch.arange(len(layers)).tensor_split(min(steps, len(layers)))
    groups = [tuple(name for place in part.tolist() for name in layers[place]) for part in parts]
    return groups if order == "bottom_up" else [group[::-1] for group in reversed(groups)]


def complexity(maps: Tensor) -> Tensor:
    """Entropy of the histogram of a map's values in nats: float (n, H, W) -> float64 (n,) of 0..log(100).

    100 bins of equal width from the map's least to its greatest value, the last with its upper bound; a constant map
    has 0. So it does not change where a map is scaled or shifted. NaN where a value is not finite.
    """
    values = maps.flatten(1).double()
    finite = values.isfinite().all(1)
    values = values.masked_fill(~finite[:, None], 0)
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    width = (high - low).masked_fill(high == low, 1)
    places = ((values - low) / width * BINS).long().clamp_(max=BINS - 1)
    counts = values.new_zeros(len(values), BINS).scatter_add_(1, places, torch.ones_like(values))
    shares = counts / values.shape[1]
    return -torch.special.xlogy(shares, shares).sum(1).masked_fill(~finite, torch.nan)


def rise_of_complexity(first: Step, last: Step) -> Tensor:
    """By what share full randomisation raises the complexity: (last - first) / first, float64 (n,).

    Above 0 is what is expected of maps of a network that has learned. NaN where the first map is constant.
    """
    return (last.complexity - first.complexity) / first.complexity.masked_fill(first.complexity == 0, torch.nan)


def _compared(first: Tensor, maps: Tensor, layers: tuple[str, ...]) -> Step:
    before, now = first.flatten(1), maps.flatten(1)
    return Step(layers, spearman(before, now), spearman(before.abs(), now.abs()), complexity(maps))


def _randomise(module: nn.Module, seed: int) -> None:
    """On the CPU and back, for generators of accelerators draw other numbers, and are none of ours to seed."""
    device = next(tensor.device for tensor in (*module.parameters(False), *module.buffers(False)))
    module.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module.reset_parameters()  # type: ignore[operator]
    module.to(device)
