"""How large the monolith is that a modular network is compared with."""

from collections.abc import Mapping
from typing import Any

from src.artifacts.learners import architecture_of, tried
from src.artifacts.options import ComposedOptions, MatchedOptions
from src.artifacts.tree_modules import node_images, recipe_name
from src.data.datamodule import ImageData
from src.methods.hierarchy.costs import CompositionCost, composition_cost
from src.methods.hierarchy.nodes import Tree
from src.networks.cost import Cost, cost
from src.networks.models.splitting import trunk_and_head
from src.report.session import Session

STEPS = 14  # of the bisection: the width to a part in ten thousand


def matched_recipe(options: MatchedOptions, tree: Tree, data: ImageData, session: Session) -> dict[str, Any]:
    """The monolith's recipe, its width such that it has as many stored parameters as all modules together, or as many
    multiply-adds per image as a hard route (``match: parameters | macs``); ``data`` leaves its size as it is, as does a
    network without a width.

    Raises:
        UserError: a network of the modules cannot take its images, or has no trunk to share; nothing has trained yet.
    """
    recipe, match = dict(options.monolith), options.matched
    costs = modules_cost(options, tree, data)
    if match != options.match:
        session.event(
            f"match={options.match}: monolith.model.name={recipe['model']['name']} has no width to set; match=data is "
            "taken in its place"
        )
    if match == "data":
        size = _cost(architecture_of(recipe, data))
        session.event(
            "match=data: the monolith has seen the modules' images, its size is "
            f"{size.parameters:,} parameters and {size.macs:,} multiply-adds"
        )
        return recipe
    wanted = costs.stored_parameters if match == "parameters" else round(costs.hard_macs)
    low, high = 0.0, 1.0
    while _value(recipe, data, high, match) < wanted:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _value(recipe, data, middle, match) < wanted else (low, middle)
    width = round(high, 4)
    recipe["model"] = {**recipe["model"], "width": width}
    words = "stored parameters" if match == "parameters" else "multiply-adds per image (by the hard route)"
    session.event(
        f"match={match}: the monolith at width {width:g} has {_value(recipe, data, width, match):,} {words}, "
        f"the modular network {wanted:,}"
    )
    return recipe


def modules_cost(options: MatchedOptions, tree: Tree, data: ImageData) -> CompositionCost:
    """What the modules cost together, before any of them is trained; a trunk that they share counts once."""
    if not isinstance(options, ComposedOptions) or options.modules != "trunk":
        return composition_cost(tree, [_node_cost(options, tree, node, data) for node in range(len(tree.nodes))])
    architectures = [
        architecture_of(options.router, node_images(options, tree, n, data)) for n in range(len(tree.nodes))
    ]
    shared = trunk_and_head(tried(architectures[0]))[0]
    trunk = cost(shared, architectures[0]["input_shape"])
    heads = [_cost(architecture) for architecture in architectures]
    return composition_cost(
        tree, [Cost(own.parameters - trunk.parameters, own.macs - trunk.macs) for own in heads], trunk=trunk
    )


def _node_cost(options: MatchedOptions, tree: Tree, node: int, data: ImageData) -> Cost:
    recipe = options.recipe_of(recipe_name(tree, node))
    return _cost(architecture_of(recipe, node_images(options, tree, node, data)))


def _value(recipe: Mapping[str, Any], data: ImageData, width: float, match: str) -> int:
    model = {**recipe["model"], "width": width}
    found = _cost(architecture_of({**recipe, "model": model}, data))
    return found.parameters if match == "parameters" else found.macs


def _cost(architecture: Mapping[str, Any]) -> Cost:
    return cost(tried(architecture), architecture["input_shape"])
