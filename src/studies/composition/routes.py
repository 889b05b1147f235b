"""Single images on their way through a modular network: the route, its probabilities, the runner-up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from src.core.result import Figure, Result, table_of
from src.core.seeds import stream
from src.data.image_set import ImageSet
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.routes import route
from src.studies.pictures import contact_sheet

SECTION = "Single images"
COLUMNS = 12


def add_routes(
    result: Result, tree: Tree, answers: Sequence[Tensor], predicted: Tensor, images: ImageSet, count: int, seed: int
) -> None:
    """Some test images, half of them misjudged where there are as many: a picture and a table in the same order.

    Args:
        answers: per node the logits (n, children) of all ``images``.
        predicted: the classes (n,) that the composed network takes them for.
        count: how many are shown.
    """
    shown = _drawn(predicted != images.labels, count, seed)
    routes = route(tree, [answer[shown] for answer in answers])
    records = []
    for number, (image, steps) in enumerate(zip(shown.tolist(), routes, strict=True)):
        records.append(
            {
                "image": number + 1,
                "true": tree.classes[int(images.labels[image])],
                "composed_says": tree.classes[int(predicted[image])],
                "greedy_route": " > ".join(f"{step.child} {step.probability:.0%}" for step in steps),
                "runners_up": ", ".join(f"{step.runner_up} {step.runner_up_probability:.0%}" for step in steps),
                "error": _blame(tree, int(images.labels[image]), [step.child for step in steps]),
            }
        )
    result.tables["routes"] = table_of(records)
    result.captions["routes"] = (
        "Each decision of the greedy route with its module's probability, and what came second. Error: the first "
        "decision on the route that was wrong."
    )
    result.images["routed_images"] = contact_sheet(images.images[shown].to("cpu"), COLUMNS, -(-len(shown) // COLUMNS))
    result.figures.append(
        Figure("image", "routed_images", "The images of the table", f"In its order, {COLUMNS} in a row.",
               section=SECTION)
    )  # fmt: skip
    result.sections["routes"] = SECTION


def _drawn(wrong: Tensor, count: int, seed: int) -> Tensor:
    generator = stream(seed, "single images")
    order = torch.randperm(len(wrong), generator=generator)
    mistakes = order[wrong[order]][: count // 2]
    rest = order[~wrong[order]][: count - len(mistakes)]
    return torch.cat([mistakes, rest])


def _blame(tree: Tree, label: int, children: Sequence[str]) -> str:
    names = [tree.nodes[node].children[child] for node, child in tree.path_of(label)]
    for place, (true, taken) in enumerate(zip(names, children, strict=False)):
        if true != taken:
            return "expert" if place == len(names) - 1 else f"router: {true} taken for {taken}"
    return ""
