"""VGG with its features shifted between layers: every valid skew-normal distribution of one total.

Mundt et al. 2018, Rethinking Layer-wise Feature Amounts in Convolutional Neural Network Architectures,
arXiv:1812.05836. A variant is a skew-normal density over the layers: location xi, scale omega, skew alpha. Layer i gets
the area between i and i + 1 as its share of VGG's total number of features. Nothing heavy is imported: a sweep asks for
the list before it starts anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise, takewhile
from typing import Literal

from src.core.errors import UserError, suggestion
from src.networks.options import vgg_blocks

Integration = Literal["paper", "full_bin"]

BASELINE = "baseline"
POINTS: dict[str, int] = {"paper": 100, "full_bin": 101}
"""Points at steps of 0.01 per layer. The paper's 100 span 0.99 of it, so that 1 % of every area is lost."""
SCALES = tuple(half / 2 for half in range(1, 12))
SKEWS = tuple(range(-40, 41, 4))
LEAST_AREA = 0.95  # of the density over all layers
LEAST_WIDTH = 2  # of every layer: the paper's rule for a valid variant, kept at every size


@dataclass(frozen=True)
class Variant:
    """One distribution of the features over the layers.

    Attributes:
        name: "baseline", the number in the paper's list ("7"), or the parameters ("xi0_omega4_alpha8").
        widths: kernels of each convolution, then the units of the two hidden linear layers.
        location: xi, in layers from the first; None for the baseline.
        scale: omega, a standard deviation in layers (the original calls it variance).
        skew: alpha; above 0 the long tail is towards the later layers.
    """

    name: str
    widths: tuple[int, ...]
    location: float | None = None
    scale: float | None = None
    skew: float | None = None


def blocks(depth: int) -> tuple[int, ...]:
    """Convolutions of each of the five blocks of VGG, of which a pool follows each.

    Raises:
        UserError: ``depth`` (layers with weights) is not 10, 13, 16, 19 and so on, nor 11.
    """
    sizes = vgg_blocks(depth - 1)
    if not sizes:
        raise UserError(
            f"depth={depth}: allowed are 10, 13, 16, 19, 22 and so on, three more each time, and 11 (VGG-A)"
        )
    return sizes


def baseline(depth: int = 16, features: float = 1.0, head: int = 512) -> Variant:
    """VGG itself (depth 16: VGG-D, 19: VGG-E), which is not in the list of variants.

    Args:
        depth: layers with weights; 11 is VGG-A, which the published page shows and the published code cannot build.
        features: share of the published number of features, for small machines; no layer has fewer than 2.
        head: units of each hidden linear layer; the paper takes 4096 for images above 100 pixels.
    """
    _check_features(features)
    return Variant(BASELINE, tuple(max(LEAST_WIDTH, round(width * features)) for width in _published(depth, head)))


@lru_cache
def variants(
    depth: int = 16, features: float = 1.0, integration: Integration = "paper", head: int = 512
) -> tuple[Variant, ...]:
    """All valid variants in the paper's order, in which a variant's position is its name.

    Valid: more than 0.95 of the density lies over the layers, and every layer has at least 2 features. That is judged
    at the full number of features, so that ``features`` changes the widths alone and neither the list nor the names.

    Args:
        depth, features, head: see `baseline`.
        integration: ``paper`` loses 1 % of every layer's area, as the original does; ``full_bin`` does not.

    Returns:
        193 variants for depth 16 (204 with ``full_bin``), 139 for depth 19 (145).

    Raises:
        UserError: a value that is not allowed.
    """
    _check_features(features)
    if integration not in POINTS:
        raise UserError(f"integration={integration}: {suggestion(str(integration), POINTS)}")
    total, layers = sum(_published(depth, head)), len(_published(depth, head))
    valid: list[Variant] = []
    for location in range(layers + 1):
        for scale in SCALES:
            for skew in SKEWS:
                bins = (_area(layer - location, scale, skew, POINTS[integration]) for layer in range(layers))
                shares = list(takewhile(lambda share: share > 1 / total, bins))  # most candidates end early
                if len(shares) == layers and sum(shares) > LEAST_AREA:
                    widths = _widths(shares, total * features)
                    valid.append(Variant(str(len(valid)), widths, float(location), scale, float(skew)))
    return tuple(valid)


def find(
    which: int | str | Sequence[float],
    depth: int = 16,
    features: float = 1.0,
    integration: Integration = "paper",
    head: int = 512,
) -> Variant:
    """One variant: ``baseline``, a number of the list, or free parameters (location, scale, skew).

    Free parameters need not be valid in the sense of `variants`; a layer without a share gets two features.

    Raises:
        UserError: no such variant.
    """
    if which == BASELINE:
        return baseline(depth, features, head)
    known = variants(depth, features, integration, head)
    if isinstance(which, str | int) and not isinstance(which, bool):
        if str(which) in (variant.name for variant in known):
            return known[int(which)]
    elif isinstance(which, Sequence) and len(which) == 3 and all(_is_finite(value) for value in which):
        location, scale, skew = (float(value) for value in which)
        if scale > 0:
            layers, total = len(known[0].widths), sum(_published(depth, head)) * features
            shares = [_area(layer - location, scale, skew, POINTS[integration]) for layer in range(layers)]
            name = f"xi{location:g}_omega{scale:g}_alpha{skew:g}"
            return Variant(name, _widths(shares, total), location, scale, skew)
    raise UserError(
        f"variant={which}: depth {depth} has 0 to {len(known) - 1}, {BASELINE}, "
        "or [location, scale, skew] with a scale above 0"
    )


@lru_cache
def spread(count: int, depth: int = 16, integration: Integration = "paper", head: int = 512) -> tuple[int, ...]:
    """Numbers of ``count`` variants that lie far apart, ascending; those of a smaller count are among them.

    Raises:
        UserError: ``count`` is not from 1 to the number of variants.
    """
    known = variants(depth, 1.0, integration, head)
    if not 1 <= count <= len(known):
        raise UserError(f"count={count}: depth {depth} has 1 to {len(known)} variants to choose from")
    # Each next variant is the one farthest from those chosen (maximin). Every n-th of the list would be nearly all
    # first and last layers, and near duplicates: 179 of 193 locations lie within 3 layers of an end, and skews beyond
    # 8 hardly differ. Far in the share of features that sits elsewhere, and in location, as that is regressed on.
    chosen = [0]
    nearest = [_distance(variant, known[0]) for variant in known]
    while len(chosen) < count:
        chosen.append(max(range(len(known)), key=nearest.__getitem__))
        added = (_distance(variant, known[chosen[-1]]) for variant in known)
        nearest = [min(pair) for pair in zip(nearest, added, strict=True)]
    return tuple(sorted(chosen))


def _distance(one: Variant, other: Variant) -> float:
    """The share of the features that sits in another layer, and the distance of the locations over the layers."""
    assert one.location is not None and other.location is not None
    first, second = sum(one.widths), sum(other.widths)
    moved = sum(abs(a / first - b / second) for a, b in zip(one.widths, other.widths, strict=True)) / 2
    return moved + abs(one.location - other.location) / len(one.widths)


def paper_parameters(widths: Sequence[int], depth: int, classes: int = 10) -> int:
    """Parameters as the paper counts them: weights alone, for 3 colours and one position after the last pool.

    The parameters of batch norms and the last bias are left out: the network has 2 * sum(widths) + classes more.
    """
    convolutions = sum(blocks(depth))
    if len(widths) != convolutions + 2:
        raise UserError(f"widths: {len(widths)} numbers, but depth {depth} has {convolutions} convolutions and 2 more")
    sizes = (3, *widths, classes)
    return sum((9 if i < convolutions else 1) * a * b for i, (a, b) in enumerate(pairwise(sizes)))


def _published(depth: int, head: int) -> tuple[int, ...]:
    of_blocks = zip((64, 128, 256, 512, 512), blocks(depth), strict=True)
    return (*(kernels for kernels, count in of_blocks for _ in range(count)), head, head)


@cache
def _area(start: float, scale: float, skew: float, points: int) -> float:
    """Trapezoid rule over the skew-normal density of location 0, at ``points`` steps of 0.01 from ``start``."""
    # only the distance to the location counts: a list asks for 7,000 areas, most of them many times
    slope = skew / (scale * math.sqrt(2))
    bell = _bell(start, scale, points)
    values = [height * (1 + math.erf(slope * (start + step / 100))) for step, height in enumerate(bell)]
    return (sum(values) - (values[0] + values[-1]) / 2) / 100


@cache
def _bell(start: float, scale: float, points: int) -> list[float]:
    peak = 1 / (scale * math.sqrt(2 * math.pi))
    return [peak * math.exp(-(((start + step / 100) / scale) ** 2) / 2) for step in range(points)]


def _widths(shares: Sequence[float], total: float) -> tuple[int, ...]:
    return tuple(max(LEAST_WIDTH, math.ceil(share * total)) for share in shares)


def _check_features(features: float) -> None:
    if not _is_finite(features) or features <= 0:
        raise UserError(f"features={features}: give a number above 0; 1 is the published number of features")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
