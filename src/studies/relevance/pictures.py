"""Maps over images, with the checks' numbers under each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from src.studies.images import chosen_images
from src.studies.relevance.measures import NETWORK, MapName

if TYPE_CHECKING:
    from src.studies.relevance.findings import Findings

SHOWN = 4  # best maps, and as many worst
INCHES, BAR = 2.1, 0.8  # of a picture's side, and of the scale's height


def overlays(findings: Findings) -> np.ndarray:
    """A row per image, of each class in turn: the image, then its map by each method. uint8 (h, w, 3)."""
    chosen = chosen_images(findings.maps.images, findings.options.pictures).tolist()
    cells = [
        [
            _image(findings, image),
            *(_map(findings, image, method, titled=not row) for method in findings.options.methods),
        ]
        for row, image in enumerate(chosen)
    ]
    return _drawn(cells)


def best_and_worst(findings: Findings) -> np.ndarray:
    """By removal, of the first method: image and map in turn. uint8 (h, w, 3)."""
    method = findings.options.methods[0]
    area = findings.checked.values["removal"][MapName(method, NETWORK)].cpu().nan_to_num(0)
    order = area.argsort(descending=True, stable=True).tolist()
    count = min(SHOWN, len(order) // 2)
    return _drawn([
        [cell for image in images for cell in (_image(findings, image), _map(findings, image, method, titled=False))]
        for images in (order[:count], order[::-1][:count])
    ])  # fmt: skip


class _Cell:
    """A picture (h, w, 3) of 0..1, or relevance (h, w) of -1..1, with words above and below."""

    def __init__(self, picture: np.ndarray, above: str, below: str) -> None:
        self.picture, self.above, self.below = picture, above, below


def _image(findings: Findings, number: int) -> _Cell:
    image = findings.maps.images.images[number].cpu()
    label, target = (int(each[number]) for each in (findings.maps.images.labels, findings.maps.targets))
    explained = "" if label == target else f"explained: {_short(findings.classes[target])}"
    return _Cell(_coloured(image), _short(findings.classes[label]), explained)


def _map(findings: Findings, number: int, method: str, *, titled: bool) -> _Cell:
    name, values = MapName(method, NETWORK), findings.checked.values
    words = []
    if "removal" in values and not math.isnan(removed := float(values["removal"][name][number])):
        words.append(f"{round(100 * removed):+d} points")
    if not math.isnan(mass := float(values["edge_mass"][name][number])):
        words.append(f"{100 * mass:.0f}% on edges")
    relevance = findings.maps.maps[name][number].cpu()
    return _Cell(
        signed(relevance), name.said if titled else "", ", ".join(words) if relevance.any() else "no relevance"
    )


def signed(relevance: Tensor) -> np.ndarray:
    """Relevance (H, W) of any scale as -1..1; the ends are the absolute value that 1% of the pixels are beyond."""
    scale = relevance.abs().flatten().quantile(0.99).clamp(min=torch.finfo(relevance.dtype).tiny)
    return (relevance / scale).clamp(-1, 1).numpy()


def _coloured(image: Tensor) -> np.ndarray:
    return (image.expand(3, -1, -1) if image.shape[0] == 1 else image[:3]).permute(1, 2, 0).numpy() / 255


def _short(name: str) -> str:
    return name.split(",")[0][:18]


def _drawn(cells: Sequence[Sequence[_Cell]]) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES * len(cells[0]), 1.3 * INCHES * len(cells) + BAR), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(cells), len(cells[0]), squeeze=False)
    for line, row in zip(axes, cells, strict=True):
        for axis, cell in zip(line, row, strict=True):
            shown = axis.imshow(cell.picture, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
            axis.set_title(cell.above, fontsize=9)
            axis.set_xlabel(cell.below, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    bar = figure.colorbar(shown, ax=axes, location="bottom", ticks=[-1, 0, 1], shrink=0.6, aspect=50, anchor=(0.5, 0.6))
    bar.ax.set_xticklabels(["against the class", "says nothing", "for the class"])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
