"""The operations on images by name, and the levels that each can take.

Imports no torch, so that a study can be refused before anything heavy is loaded. What an operation does stands in
`src.methods.locality.perturbations`, under the same name.
"""

from dataclasses import dataclass

from src.core.errors import UserError, suggestion

LAYOUTS = ("checker", "dense")
FILLS = ("black", "mean", "blur", "noise")


@dataclass(frozen=True)
class Levels:
    """``lowest`` and ``highest`` level; ``whole``: only whole numbers; ``needs_masks``: of the object; ``random``."""

    lowest: float
    highest: float
    whole: bool = False
    needs_masks: bool = False
    random: bool = False  # whether another variant is another image


_PIXELS, _DRAWN = Levels(1, 4096, whole=True), Levels(1, 4096, whole=True, random=True)
LEVELS: dict[str, Levels] = {
    "block_shuffle": _DRAWN,
    "block_borders": _DRAWN,
    "block_rotation": _DRAWN,
    "grid_shuffle": _DRAWN,
    "grid_rotation": _DRAWN,
    **{f"mask_{layout}_{fill}": _DRAWN if fill == "noise" else _PIXELS for layout in LAYOUTS for fill in FILLS},
    **{f"mask_single_{fill}": _DRAWN for fill in FILLS},  # another patch each time
    "smooth": Levels(0, 50, whole=True),
    "bilateral": Levels(4, 14, whole=True),
    "residual": Levels(1, 50, whole=True),
    "inverse_residual": Levels(1, 50, whole=True),
    "low_pass": Levels(0, 1000),
    "high_pass": Levels(0, 1000),
    "phase_noise": Levels(0, 180, random=True),
    "grayscale": Levels(0, 1),
    "channel_shuffle": Levels(1, 1, random=True),
    "contrast": Levels(0, 1),
    "silhouette": Levels(1, 1, needs_masks=True),
    "outline": Levels(1, 1, needs_masks=True),
    "edges": Levels(0, 1),
    "edges_denoised": Levels(0, 1),
    "edges_sobel": Levels(0, 1),
    "edges_laplacian": Levels(0.3, 1000),
}


def check_level(name: str, level: float) -> None:
    """Refuse an operation that there is not, and a level that it cannot take.

    Raises:
        UserError: one of them.
    """
    if name not in LEVELS:
        raise UserError(f"there is no operation '{name}'; {suggestion(name, LEVELS)}")
    levels = LEVELS[name]
    if not levels.lowest <= level <= levels.highest or (levels.whole and level != int(level)):
        kind = "whole numbers" if levels.whole else "numbers"
        raise UserError(f"{name}, level {level:g}: allowed are {kind} from {levels.lowest:g} to {levels.highest:g}")
