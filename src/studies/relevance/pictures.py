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
INCHES = 1.9  # of a picture's side


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
    """A picture (h, w, 3) of 0..1 with words above and below."""

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
    if "removal" in values:
        words.append(f"{100 * float(values['removal'][name][number]):+.0f} pts")
    if not math.isnan(mass := float(values["edge_mass"][name][number])):
        words.append(f"{100 * mass:.0f}% edges")
    grey = findings.maps.images.images[number].cpu().float().mean(0) / 255
    picture = signed(findings.maps.maps[name][number].cpu(), grey)
    return _Cell(picture, method if titled else "", ", ".join(words))


def signed(relevance: Tensor, grey: Tensor) -> np.ndarray:
    """Relevance (H, W) in red where it is positive and blue where negative, on a faint image (H, W) of 0..1."""
    scale = relevance.abs().flatten().quantile(0.99).clamp(min=torch.finfo(relevance.dtype).tiny)
    strength = (relevance / scale).clamp(-1, 1)
    faint = 0.75 + 0.25 * grey
    red, blue = strength.clamp(min=0), (-strength).clamp(min=0)
    # towards the colours of matplotlib's RdBu ends, which the colour-blind tell apart
    colours = torch.tensor([[0.70, 0.09, 0.17], [0.13, 0.40, 0.67]])
    plain = faint[..., None].expand(-1, -1, 3)
    mixed = plain * (1 - red - blue)[..., None] + red[..., None] * colours[0] + blue[..., None] * colours[1]
    return mixed.clamp(0, 1).numpy()


def _coloured(image: Tensor) -> np.ndarray:
    return (image.expand(3, -1, -1) if image.shape[0] == 1 else image[:3]).permute(1, 2, 0).numpy() / 255


def _short(name: str) -> str:
    return name.split(",")[0][:18]


def _drawn(cells: Sequence[Sequence[_Cell]]) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES * len(cells[0]), 1.25 * INCHES * len(cells)), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(cells), len(cells[0]), squeeze=False)
    for line, row in zip(axes, cells, strict=True):
        for axis, cell in zip(line, row, strict=True):
            axis.imshow(cell.picture, interpolation="nearest")
            axis.set_title(cell.above, fontsize=9)
            axis.set_xlabel(cell.below, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
