"""Activations as pictures: every unit of every layer as one field, and maps side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from src.invariance.variance import LayerVariance

HEIGHT, WIDTH, GAP = 320, 18, 2  # pixels of a layer's column
ZOOM = 40  # pixels of a map's side, at least
#: ends of a colour scale that grows evenly in lightness (black, violet, orange, pale yellow)
INFERNO = ((0, 0, 4), (65, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
OVER, DEAD = (60, 170, 90), (70, 110, 210)  # beyond the scale, infinite ones too; units without a ratio


def unit_field(layers: Sequence[LayerVariance], top: float) -> np.ndarray:
    """A column per layer, its units from the least to the most variable from top to bottom: uint8 (h, w, 3).

    Args:
        top: value of the brightest colour; above it units are green, dead ones blue.
    """
    columns = []
    for each in layers:
        values = each.ratio.values.flatten().cpu()
        ordered = values.nan_to_num(nan=torch.inf).sort().values
        dead = int(values.isnan().sum())
        places = ((torch.arange(HEIGHT) + 0.5) / HEIGHT * len(ordered)).long()
        colours = colour(ordered[places], top)
        colours[places >= len(ordered) - dead] = torch.tensor(DEAD, dtype=torch.uint8)  # sorted to the end
        columns.append(colours[:, None].expand(-1, WIDTH, -1))
        columns.append(torch.full((HEIGHT, GAP, 3), 255, dtype=torch.uint8))
    return torch.cat(columns[:-1], 1).numpy()


def scale_top(fields: Sequence[Sequence[LayerVariance]]) -> float:
    """One top for several fields: median + 3 interquartile ranges of all their units, or their largest."""
    values = torch.cat([each.ratio.values.flatten().cpu() for layers in fields for each in layers])
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
    """Maps float (h, w) in rows, each row on its own grey scale: uint8 (height, width, 3)."""
    made = []
    for maps in rows:
        low, high = (float(end) for end in torch.stack([torch.stack([m.min(), m.max()]) for m in maps]).aminmax())
        shown = [((m - low) / max(high - low, 1e-12) * 255).round().to(torch.uint8).cpu() for m in maps]
        factors = [max(1, ZOOM // max(m.shape)) for m in shown]
        large = [m.repeat_interleave(f, 0).repeat_interleave(f, 1) for m, f in zip(shown, factors, strict=True)]
        height, width = max(m.shape[0] for m in large), max(m.shape[1] for m in large)
        tiles = [torch.nn.functional.pad(m, (0, width - m.shape[1] + GAP, 0, height - m.shape[0] + GAP), value=255)
                 for m in large]  # fmt: skip
        made.append(torch.cat(tiles, 1))
    width = max(row.shape[1] for row in made)
    whole = torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[1]), value=255) for row in made])
    return whole[..., None].expand(-1, -1, 3).contiguous().numpy()
