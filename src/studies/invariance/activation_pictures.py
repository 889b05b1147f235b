"""Activations as pictures: every unit of every layer as one field, and maps side by side."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

HEIGHT, WIDTH, GAP = 320, 18, 2  # pixels of a layer's column
SIDE = 56  # pixels that a map's longer side is enlarged to, as nearly as whole factors allow
#: ends of a colour scale that grows evenly in lightness (black, violet, orange, pale yellow)
INFERNO = ((0, 0, 4), (65, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
OVER, EMPTY = (60, 170, 90), (225, 225, 225)  # beyond the scale, infinite ones too; a layer whose units are all dead


def unit_field(layers: Sequence[Tensor], top: float) -> np.ndarray:
    """A column per layer, its units from the least to the most variable from top to bottom: uint8 (h, w, 3).

    Args:
        layers: each one's ratios, NaN where a unit is dead, which is left out: what never changes is not variable.
        top: value of the brightest colour; above it units are green. A layer without units is grey.
    """
    columns = []
    for ratios in layers:
        values = ratios.flatten().cpu()
        ordered = values[~values.isnan()].sort().values
        places = ((torch.arange(HEIGHT) + 0.5) / HEIGHT * len(ordered)).long()
        empty = torch.tensor(EMPTY, dtype=torch.uint8).expand(HEIGHT, -1)
        colours = colour(ordered[places], top) if len(ordered) else empty
        columns.append(colours[:, None].expand(-1, WIDTH, -1))
        columns.append(torch.full((HEIGHT, GAP, 3), 255, dtype=torch.uint8))
    return torch.cat(columns[:-1], 1).numpy()


def scale_top(fields: Sequence[Sequence[Tensor]]) -> float:
    """One top for several fields: median + 3 interquartile ranges of all their units, or their largest."""
    values = torch.cat([ratios.flatten().cpu() for layers in fields for ratios in layers])
    values = values[values.isfinite()]
    if not len(values):
        return 1.0
    few = values[:: max(1, len(values) // 1_000_000)]
    low, middle, high = few.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=few.dtype)).tolist()
    return max(min(float(values.max()), middle + 3 * (high - low)), 1e-9)


def colour(values: Tensor, top: float) -> Tensor:
    """Float (...) -> uint8 (..., 3), from black at 0 to pale yellow at ``top``; green above."""
    ends = torch.tensor(INFERNO, dtype=torch.float32)
    place = (values.float() / top).clamp(0, 1) * (len(ends) - 1)
    below = place.long().clamp(max=len(ends) - 2)
    share = (place - below)[..., None]
    mixed = (ends[below] * (1 - share) + ends[below + 1] * share).round().to(torch.uint8)
    mixed[values > top] = torch.tensor(OVER, dtype=torch.uint8)
    return mixed


def map_grid(rows: Sequence[Sequence[Tensor]]) -> np.ndarray:
    """Maps float (h, w) in rows, each row on its own grey scale, all fields of one size: uint8 (height, width, 3)."""
    enlarged = [[_enlarged(grey) for grey in _greys(maps)] for maps in rows]
    width = max(tile.shape[1] for tiles in enlarged for tile in tiles) + GAP
    height = max(tile.shape[0] for tiles in enlarged for tile in tiles) + GAP
    made = []
    for tiles in enlarged:
        made.append(torch.cat([_padded(tile, height, width) for tile in tiles], 1))
    widest = max(row.shape[1] for row in made)
    whole = torch.cat([_padded(row, row.shape[0], widest) for row in made])
    return whole[..., None].expand(-1, -1, 3).contiguous().numpy()


def _greys(maps: Sequence[Tensor]) -> list[Tensor]:
    """uint8, black the least and white the greatest value of all; all black where they are equal."""
    low, high = min(float(each.min()) for each in maps), max(float(each.max()) for each in maps)
    return [((each - low) / max(high - low, 1e-12) * 255).round().to(torch.uint8).cpu() for each in maps]


def _enlarged(grey: Tensor) -> Tensor:
    factor = max(1, round(SIDE / max(grey.shape)))
    return grey.repeat_interleave(factor, 0).repeat_interleave(factor, 1)


def _padded(grey: Tensor, height: int, width: int) -> Tensor:
    return torch.nn.functional.pad(grey, (0, width - grey.shape[1], 0, height - grey.shape[0]), value=255)
