"""Experts of one label tree in another one: only the routers are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.artifacts.changed_networks import OTHER, altered, spent
from src.artifacts.composition import composed
from src.artifacts.network import Trained
from src.artifacts.predictions import log_probabilities
from src.artifacts.tree_modules import TreeModules, modules_of_tree
from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.core.store import Store
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.studies.composition.estimates import accuracies

if TYPE_CHECKING:
    from src.report.session import Session

SECTION = "Another tree"
SOURCE, MOVED, ANEW = "source tree", "other tree, experts moved", "other tree, experts anew"


def add_trees(
    result: Result,
    modules: TreeModules,
    other: Tree,
    data: ImageData,
    config: Mapping[str, Any],
    store: Store,
    session: Session,
) -> str:
    """Accuracy in both trees, with the experts moved and with others (another seed), and what moving them saved.

    Returns:
        What was found, a part of the verdict.
    """
    moved = modules_of_tree(config, other, data, store, session, role="other tree")
    source = {module.digest for module in modules.modules}
    kept = [module for module in moved.modules if module.digest in source]
    expert = altered(config["expert"], {"seed": config["expert"]["seed"] + OTHER}, "expert")
    anew = modules_of_tree({**config, "expert": expert}, other, data, store, session, role="other tree, anew")
    networks = {SOURCE: modules, MOVED: moved, ANEW: anew}
    test = data.sets["test"]
    with session.stage("other tree: test"):
        found = {name: log_probabilities(composed(config, own, data), test.images) for name, own in networks.items()}
    chance = {"resamples": config["resamples"], "seed": config["seed"]}
    predictions = {name: answer.argmax(1) for name, answer in found.items()}
    own, against = accuracies(predictions, test.labels, ANEW, **chance)
    new = {SOURCE: modules.modules, MOVED: _without(moved.modules, source), ANEW: _without(anew.modules, source)}
    rows = [
        {
            "network": name,
            **_bounds("accuracy", own[name]),
            **_bounds("against_anew", against[name]),
            "modules": len(network.modules),
            "moved": 0 if name == SOURCE else len(network.modules) - len(new[name]),
            **_cost(new[name]),
        }
        for name, network in networks.items()
    ]
    result.tables["trees"] = table_of(rows)
    result.captions["trees"] = (
        "The same experts below other routers: an expert learns from the images below its node, whatever is above it, "
        "so the store gives the one that is there. Anew: experts from another seed below the same routers. Trained: "
        "modules that the tree needed beside those that were there; steps, multiply-adds (three forward passes per "
        "training image seen) and seconds are theirs. On test images; intervals are over images, not over seeds."
    )
    result.sections["trees"] = SECTION
    result.units |= {"accuracy": "%", "against_anew": "points", "training_macs": "G", "training_seconds": "s"}
    result.figures.append(
        Figure("bars", "trees", "Accuracy in both trees", "With 95% intervals over test images.", x="network",
               y="accuracy", percent=True, section=SECTION)
    )  # fmt: skip
    saved = Estimate(spent(kept).macs / spent(moved.modules).macs)
    result.metrics |= {
        "source_tree_accuracy": own[SOURCE],
        "moved_accuracy": own[MOVED],
        "moved_against_anew": against[MOVED],
        "moving_saves": saved,
    }
    result.units |= dict.fromkeys(("source_tree_accuracy", "moved_accuracy", "moving_saves"), "%")
    result.units["moved_against_anew"] = "points"
    result.uses = list(dict.fromkeys([*result.uses, *moved.uses, *anew.uses]))
    return (
        f"{len(kept)} experts moved to another tree classify {own[MOVED].value:.1%} of the test images right "
        f"({100 * against[MOVED].value:+.1f} points against new experts) and save {saved.value:.0%} of its training"
    )


def _without(modules: Sequence[Trained], digests: set[str]) -> list[Trained]:
    return [module for module in modules if module.digest not in digests]


def _cost(modules: Sequence[Trained]) -> dict[str, float]:
    found = spent(modules)
    return {"trained": len(modules), "steps": found.steps, "training_macs": found.macs / 1e9,
            "training_seconds": found.seconds}  # fmt: skip


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
