"""Single images on their way through a modular network: the route, its probabilities, the runner-up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.seeds import stream
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import Step, route


@dataclass(frozen=True)
class Mistake:
    """The first decision of a route that was wrong: what it took for what, and whether that was the last one."""

    true: str
    taken: str
    by_expert: bool


@dataclass(frozen=True)
class Route:
    """An image's greedy way; ``predicted`` is the class that the composed network takes it for."""

    true: str
    predicted: str
    steps: tuple[Step, ...]
    mistake: Mistake | None


@dataclass(frozen=True)
class RoutedImages(Shown):
    """Some test images, uint8 (k, C, H, W), and their k routes."""

    images: Tensor
    routes: tuple[Route, ...]


def routes_of(
    tree: Tree, answers: Sequence[Tensor], predicted: Tensor, images: ImageSet, *, count: int, seed: int
) -> RoutedImages:
    """Some test images, half of them misjudged where there are as many.

    Args:
        answers: per node the logits (n, children) of all ``images``.
        predicted: the classes (n,) that the composed network takes them for.
        count: how many are drawn.
        seed: of the draw.
    """
    shown = drawn(predicted != images.labels, count, seed)
    steps = route(tree, [answer[shown] for answer in answers])
    routes = [
        Route(
            tree.classes[label],
            tree.classes[answer],
            tuple(way),
            mistake_of(tree, label, [step.child for step in way]),
        )
        for label, answer, way in zip(images.labels[shown].tolist(), predicted[shown].tolist(), steps, strict=True)
    ]
    return RoutedImages(images.images[shown].to("cpu"), tuple(routes))


def drawn(wrong: Tensor, count: int, seed: int) -> Tensor:
    """Positions of ``count`` images at random; half are ``wrong`` (n,) where there are as many, and come first."""
    order = torch.randperm(len(wrong), generator=stream(seed, "single images"))
    mistakes = order[wrong[order]][: count // 2]
    rest = order[~wrong[order]][: count - len(mistakes)]
    return torch.cat([mistakes, rest])


def mistake_of(tree: Tree, label: int, children: Sequence[str]) -> Mistake | None:
    """The first of the ``children`` taken from the root on that is not on the way to the class."""
    names = [tree.nodes[node].children[child] for node, child in tree.path_of(label)]
    for place, (true, taken) in enumerate(zip(names, children, strict=False)):
        if true != taken:
            return Mistake(true, taken, place == len(names) - 1)
    return None
