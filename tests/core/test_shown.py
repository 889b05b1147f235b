"""What holds tensors is shown in a line, and its numbers are a frame."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.core.estimate import Estimate
from src.core.shown import Shown

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = re.compile(r"\b(Tensor|ndarray|ImageSet|Table)\b")


@dataclass(frozen=True)
class Layer(Shown):
    name: str
    values: Tensor
    mean: Tensor
    accuracy: Estimate


@dataclass(frozen=True)
class Everything(Shown):
    layers: list[Layer]
    by_class: dict[str, Any]
    model: nn.Module
    sizes: tuple[int, ...]
    many: list[int]
    words: str
    right: bool = True
    none: None = None
    hidden: Tensor = field(default_factory=lambda: torch.zeros(9), repr=False)


def everything() -> Everything:
    layers = [
        Layer(name, torch.zeros(3, 500), torch.tensor(0.25), Estimate(0.8, 0.7, 0.9, 50, "images"))
        for name in ("conv1", "conv2")
    ]
    return Everything(layers, {"disc": 3, "ring": torch.zeros(4)}, nn.Linear(9, 9), (1, 2), [1] * 99, "a\n" * 99)


def test_a_repr_is_a_line():
    assert repr(everything().layers[0]) == (
        "Layer(name='conv1', values=<torch.float32 3x500>, mean=0.25, accuracy=0.8 [0.7, 0.9])"
    )
    said = repr(everything())
    for part in (
        "layers=<2 Layer>",
        "by_class=<2 values>",
        "model=<Linear>",
        "sizes=(1, 2)",
        "many=<99 int>",
        "none=None",
    ):
        assert part in said
    assert "\n" not in said and len(said) < 300 and "hidden" not in said


def test_numbers_within_are_a_frame():
    frame = everything().to_frame().set_index("name")
    assert list(frame.columns) == ["value", "low", "high", "n", "of"]
    row = frame.loc["layers.conv2.accuracy"]
    assert tuple(row) == (0.8, 0.7, 0.9, 50, "images")
    assert frame.loc["layers.conv1.mean", "value"] == 0.25 and frame.loc["by_class.disc", "value"] == 3
    assert not [name for name in frame.index if "values" in name or "ring" in name or "right" in name]


def heavy() -> Iterator[tuple[str, list[str]]]:
    """Name and bases of every dataclass of ours with a field of tensors, images or tables."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef) or "dataclass" not in "".join(map(ast.dump, node.decorator_list)):
                continue
            types = [ast.unparse(part.annotation) for part in node.body if isinstance(part, ast.AnnAssign)]
            if any(HEAVY.search(each) and "Callable" not in each for each in types):
                yield f"{path.relative_to(SOURCE)}: {node.name}", list(map(ast.unparse, node.bases))


def test_every_dataclass_of_tensors_or_tables_is_shown_in_a_line():
    classes = list(heavy())
    assert len(classes) > 40
    assert not [name for name, bases in classes if "Shown" not in bases]
