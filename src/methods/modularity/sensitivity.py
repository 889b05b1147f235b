"""Which layers a network cannot do without: composed accuracy as one layer at a time is thinned out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError


class SensitivityCurves(NamedTuple):
    """What thinning one layer does.

    Attributes:
        accuracy: (L, R) composed accuracy when only this layer is thinned to this ratio.
        ratios: (R,) kept shares of the thinned layer.
        full_accuracy: composed accuracy with all kernels.
    """

    accuracy: Tensor
    ratios: tuple[float, ...]
    full_accuracy: float


def sensitivity_curves(
    compose: Callable[[Tensor], float], order: Tensor, group_sizes: Sequence[int], ratios: Sequence[float]
) -> SensitivityCurves:
    """Composed accuracy when every class keeps its int(K_l r) most important kernels of layer l, and all of the others.

    Qi et al. 2022, section on sensitivity. A layer keeps at least one kernel; counts that occur twice are judged once.

    Args:
        compose: bool (N, K), the kernels kept by the module of each class -> accuracy of the N modules together.
        order: (N, K) kernel positions by falling importance within each layer, see ``GenomeLayout.decode``.
        group_sizes: kernels of each layer.
        ratios: kept shares, each in (0, 1].
    """
    everything = torch.ones_like(order, dtype=torch.bool)
    full = float(compose(everything))
    accuracy = torch.full((len(group_sizes), len(ratios)), full, dtype=torch.float64)
    first = 0
    for layer, size in enumerate(group_sizes):
        known = {size: full}
        for column, ratio in enumerate(ratios):
            count = max(1, int(size * ratio + 1e-9))
            if count not in known:
                dropped = order[:, first + count : first + size]
                known[count] = float(compose(everything.scatter(1, dropped, False)))
            accuracy[layer, column] = known[count]
        first += size
    return SensitivityCurves(accuracy, tuple(ratios), full)


def sensitive_layers(curves: SensitivityCurves, *, kept: float = 0.5, tolerance: float = 0.05) -> tuple[Tensor, str]:
    """Our rule, for the paper leaves the choice to a human's eye.

    A layer is sensitive if keeping the share ``kept`` of its kernels costs more than ``tolerance`` of the full
    accuracy. Between measured ratios the curve is interpolated linearly; ratio 1 has the full accuracy. The rule looks
    at one place of the curve, since below it nearly every layer breaks and above it nearly none does, and it compares
    with a fixed loss and not with the other layers, so a network may have no sensitive layer, or only such.

    Returns:
        bool (L,), and one sentence for the reader.

    Raises:
        UserError: ``kept`` lies below every measured ratio.
    """
    if not min(curves.ratios) <= kept <= 1:
        raise UserError(
            f"sensitivity.kept={kept}: must lie between the smallest measured ratio {min(curves.ratios)} and 1; "
            f"lower sensitivity.ratios or raise sensitivity.kept"
        )
    by_ratio = {ratio: curves.accuracy[:, column] for column, ratio in enumerate(curves.ratios)}
    by_ratio[1.0] = torch.full_like(curves.accuracy[:, 0], curves.full_accuracy)
    low = max(ratio for ratio in by_ratio if ratio <= kept)
    high = min(ratio for ratio in by_ratio if ratio >= kept)
    share = (kept - low) / (high - low) if high > low else 0.0
    accuracy = torch.lerp(by_ratio[low], by_ratio[high], share)
    sensitive = 1 - accuracy / max(curves.full_accuracy, 1e-12) > tolerance
    count, layers = int(sensitive.sum()), len(sensitive)
    what = {0: "no layer is sensitive", layers: "all layers are sensitive"}.get(
        count, f"{count} of {layers} layers are sensitive"
    )
    note = f"{what}: keeping {kept:.0%} of a layer's kernels costs {'over' if count else 'at most'} {tolerance:.0%}"
    return sensitive, f"{note} of the composed accuracy of {curves.full_accuracy:.1%} with all kernels"


def chosen_layers(indices: Sequence[int], layers: int) -> Tensor:
    """A human's choice of sensitive layers as bool (L,).

    Raises:
        UserError: an index that is no layer.
    """
    wrong = [index for index in indices if not 0 <= index < layers]
    if wrong:
        raise UserError(f"sensitive layers {wrong}: the network has {layers} layers, 0 to {layers - 1}")
    sensitive = torch.zeros(layers, dtype=torch.bool)
    sensitive[list(indices)] = True
    return sensitive
