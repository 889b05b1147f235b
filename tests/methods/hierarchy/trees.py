"""Label trees with unequal branches, and answers of their modules."""

from __future__ import annotations

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import flat, from_plain

FLAT = flat(["a", "b", "c"])
TWO = from_plain({"animals": ["cat", "dog", "owl"], "vehicles": ["car", "bus"]}, ["cat", "car", "dog", "bus", "owl"])
THREE = from_plain(
    {"animals": ["cat", "dog"], "vehicles": {"road": ["car", "bus", "tram"], "air": ["plane", "glider"]}, "tree": None},
    ["cat", "dog", "car", "bus", "tram", "plane", "glider", "tree"],
)
#: A level with an expert, a router with a class beside its inner nodes, and a deep one.
MIXED = from_plain({"p": ["a", "b"], "q": [{"r": [{"s": ["c", "d"]}, "e"]}, "f", "g"], "h": None}, list("abcdefgh"))
TREES = {"flat": FLAT, "two": TWO, "three": THREE, "mixed": MIXED}


def answers_of(tree: Tree, images: int = 40, seed: int = 0, scale: float = 2.0) -> list[Tensor]:
    """Per node random logits (images, children)."""
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(images, len(node.children), generator=generator) for node in tree.nodes]
