"""What a variant's training costs, by formula: a sweep orders its jobs by it before anything is built."""

from collections.abc import Mapping, Sequence
from typing import Any

from src.methods.widths.variants import blocks, find

STEP_MACS = 400e6  # multiply-adds that take as long as what an optimiser step costs apart from them, on one core


def multiply_adds(widths: Sequence[int], depth: int, size: int, channels: int = 3, classes: int = 10) -> int:
    """Of one image through VGG with these widths (convolutions, then two hidden linear layers), forward only.

    A pool follows each block as long as the map has at least 2 pixels.
    """
    before, total, layer = channels, 0, 0
    for count in blocks(depth):
        for _ in range(count):
            total += 9 * before * widths[layer] * size * size
            before, layer = widths[layer], layer + 1
        size = size // 2 if size >= 2 else size
    before *= size * size
    for width in (*widths[layer:], classes):
        total += before * width
        before = width
    return total


def training_expense(recipe: Mapping[str, Any]) -> float:
    """How long a variant's training takes, in a unit that the variants of one sweep share."""
    variant = find(recipe["variant"], recipe["depth"], recipe["features"], recipe["integration"])
    size = recipe["data"]["source"].get("size") or 32
    per_step = recipe["data"]["batch_size"] * 3 * multiply_adds(variant.widths, recipe["depth"], size)
    return float(recipe["training"]["epochs"] * (per_step + STEP_MACS * recipe["depth"] / 16))
