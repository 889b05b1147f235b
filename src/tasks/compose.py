"""``task=compose``: a network of independently trained modules over a label tree, against a monolith.

The study of L. Friedrichsen, "Impact of modularization on learning behavior and detection rate of CNNs" (2020), with
what it left out: controls, intervals, the split of the gap, its own error heuristic in numbers, all 19 corruptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.composed import modules_in_tree, tree_in
from src.artifacts.composition import (
    answers,
    composed,
    composition_of,
    seen_through_views,
    views_of,
)
from src.artifacts.matching import matched_recipe
from src.artifacts.network import Trained
from src.artifacts.predictions import log_probabilities
from src.artifacts.trained import add_history, check_recipe, did_not_train, images_of, stopped, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree, node_images
from src.artifacts.tree_training import check_way
from src.core.configuration import keywords
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result
from src.core.store import Store
from src.data.datamodule import ImageData
from src.data.opening import data_module
from src.methods.hierarchy.chaining import fit_chain
from src.methods.hierarchy.collapse import collapsed
from src.methods.hierarchy.composition import Composition, oracle
from src.methods.hierarchy.composition import compose as compose_answers
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import random_like
from src.networks.subjects import Subject, save_subject
from src.studies.composition.accuracy import HARD, MONOLITH, accuracy_of, add_accuracy, difference_of
from src.studies.composition.cost import add_costs
from src.studies.composition.errors import Heard, add_errors
from src.studies.composition.learning import add_learning
from src.studies.composition.routes import add_routes
from src.studies.robustness.calibration_panels import add_calibration, add_out_of_distribution
from src.studies.robustness.panels import add_robustness
from src.studies.robustness.shifted import checked, chosen_images, predictor, under_corruption
from src.training.determinism import device_of

if TYPE_CHECKING:
    from src.report.session import Session

RULES = ("soft", "hard", "top_m", "beam", "product", "additive", "logarithmic")


@dataclass
class Networks:
    """All that is compared."""

    data: ImageData
    tree: Tree
    monolith: Trained
    modules: TreeModules
    composition: Composition
    composed: Subject
    control: TreeModules | None


def compose(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train modules, monolith and control, and measure what the composition costs and buys."""
    result = Result("compose", config["name"])
    composition_of(config)  # faults are told before anything trains
    checked(config["shift"]["corruptions"], config["shift"]["severities"])
    data = images_of(config["monolith"], session, MONOLITH, MONOLITH)
    unknown = _unknown(config, data)
    networks = networks_of(config, data, store, session)
    result.uses = [
        networks.monolith.digest,
        *networks.modules.uses,
        *(networks.control.uses if networks.control else ()),
    ]
    if config["until"] == "modules":
        return stopped(result, "modules")
    named = dict(zip((node.name for node in networks.tree.nodes), networks.modules.modules, strict=True))
    add_history(result, {MONOLITH: networks.monolith, **named})
    heard = _heard(networks, session)
    found = _answers(networks, heard, config, session)
    test = networks.data.sets["test"]
    add_accuracy(result, found, test.labels, networks.tree, config)
    add_errors(result, networks.tree, heard, found, _examined(config), config)
    add_calibration(result, {name: found[name] for name in _examined(config)}, test.labels)
    _add_shift(result, networks, found, unknown, config, session)
    with session.stage("learning"):
        few = test.select(chosen_images(test, config["learning_images"]))
        add_learning(result, networks.modules, networks.monolith, networks.composition, config, few, _name(config))
    _add_costs(result, networks, config, session)
    add_routes(
        result, networks.tree, heard.test, found[_name(config)].argmax(1), test, config["single_images"], config["seed"]
    )
    save_subject(networks.composed, session.folder / "composed")
    _conclude(result, networks, found, config)
    return result


def networks_of(config: Mapping[str, Any], data: ImageData, store: Store, session: Session) -> Networks:
    """Everything that has to be trained, from the store where it is there."""
    check_way(config)
    views_of(config, data)
    tree = tree_in(config, data, store, session)
    random = random_like(tree, config["seed"]) if config["control"] == "random" else None
    _check_parts(config, [tree] if random is None else [tree, random], data)
    recipe = matched_recipe(config, tree, data, session)
    monolith = trained(recipe, store, session, role=MONOLITH, config=config, data=data)
    modules, subject = modules_in_tree(config, tree, data, store, session)
    control = None
    if random is not None:
        control = modules_of_tree(config, random, data, store, session, role="random tree")
    return Networks(data, tree, monolith, modules, composition_of(config, modules), subject, control)


def _check_parts(config: Mapping[str, Any], trees: Sequence[Tree], data: ImageData) -> None:
    """UserError where a recipe is wrong, or a node has no images: said before anything trains."""
    for role in (MONOLITH, "router", "expert"):
        check_recipe(config[role], role)
    for tree in trees:
        for node in range(len(tree.nodes)):
            node_images(config, tree, node, data)


def _name(config: Mapping[str, Any]) -> str:
    """The row of the composition that is examined."""
    return f"modules, {config['composition']['rule']}"


def _examined(config: Mapping[str, Any]) -> list[str]:
    """What is looked at closely: the monolith, the composition as configured, and the hard route of the thesis."""
    return list(dict.fromkeys([MONOLITH, _name(config), HARD]))


def _heard(networks: Networks, session: Session) -> Heard:
    """What every module says of all images, also of those that would not reach it."""
    test, held_out = networks.data.sets["test"], networks.data.sets["validation"]
    with session.stage("modules: answers"):
        own, known = (answers(networks.composed, part.images) for part in (test, held_out))
    return Heard(own, test.labels, known, held_out.labels)


def _answers(networks: Networks, heard: Heard, config: Mapping[str, Any], session: Session) -> dict[str, Tensor]:
    """Log-probabilities of all test images by every network and rule."""
    how, tree, images = networks.composition, networks.tree, networks.data.sets["test"].images
    with session.stage("composition"):
        whole = seen_through_views(config, networks.monolith, networks.data)
        found = {MONOLITH: log_probabilities(whole, images)}
        for rule in RULES:
            found[f"modules, {rule}"] = compose_answers(tree, heard.test, _ruled(how, rule))
        chain = fit_chain(tree, heard.held_out, heard.held_out_labels)
        found["modules, chaining"] = chain(heard.test)
        found["modules, oracle routing"] = oracle(tree, heard.test, heard.labels)
        if networks.control is not None:
            own = composition_of(config, networks.control)
            other = composed(config, networks.control, networks.data, _ruled(own, "soft"))
            said = answers(other, images)
            for rule in ("soft", "hard"):
                found[f"random tree, {rule}"] = compose_answers(networks.control.tree, said, _ruled(own, rule))
    return found


def _ruled(how: Composition, rule: str) -> Composition:
    return replace(how, rule=rule)


def _add_shift(
    result: Result,
    networks: Networks,
    found: Mapping[str, Tensor],
    unknown: Tensor,
    config: Mapping[str, Any],
    session: Session,
) -> None:
    """Corrupted images, seen by all; and images of none of the classes."""
    how, test = config["shift"], networks.data.sets["test"]
    subjects = _subjects(networks, config)
    seen = test.select(chosen_images(test, how["images"]))
    if len(seen) < len(test):
        session.event(f"images={len(seen)}: of {len(test)} test images were corrupted")
    shifted = under_corruption(
        {name: predictor(subject) for name, subject in subjects.items()},
        seen.images,
        seen.labels,
        corruptions=how["corruptions"],
        severities=how["severities"],
        seed=config["seed"],
        batch=how["batch"],
        session=session,
        device=device_of(config["device"]),
    )
    chance = {"resamples": config["resamples"], "seed": config["seed"]}
    add_robustness(result, shifted, shifted.reference(MONOLITH), **chance)
    with session.stage("unknown classes"):
        pairs = {name: (found[name], log_probabilities(subject, unknown)) for name, subject in subjects.items()}
    add_out_of_distribution(result, pairs, str(config["unknown"]["source"]["name"]), **chance)


def _subjects(networks: Networks, config: Mapping[str, Any]) -> dict[str, Subject]:
    """The networks of :func:`_examined`."""
    whole = seen_through_views(config, networks.monolith, networks.data)
    hard = composed(config, networks.modules, networks.data, _ruled(networks.composition, "hard"))
    return {MONOLITH: whole, _name(config): networks.composed} | ({} if _name(config) == HARD else {HARD: hard})


def _unknown(config: Mapping[str, Any], data: ImageData) -> Tensor:
    """Test images of another data set, uint8 (m, C, H, W)."""
    kind = data_module(config["unknown"])
    other = kind(**keywords(kind, config["unknown"], "unknown"))
    other.setup()
    known = sorted(set(other.classes) & set(data.classes))
    if known:
        raise UserError(
            f"unknown: its class '{known[0]}' is one of the networks'; leave it out by unknown.classes=[...], or take "
            "other data by unknown=..."
        )
    images = other.sets["test"].images
    shape = data.sets["test"].shape
    if tuple(images.shape[1:]) != shape:
        raise UserError(
            f"unknown: images of shape {tuple(images.shape[1:])}, the networks take {shape}; set unknown.source.size"
        )
    return images


def _add_costs(result: Result, networks: Networks, config: Mapping[str, Any], session: Session) -> None:
    both = {
        rule: composed(config, networks.modules, networks.data, _ruled(networks.composition, rule))
        for rule in ("hard", "soft")
    }
    whole = seen_through_views(config, networks.monolith, networks.data)
    test = networks.data.sets["test"]
    images = test.images[chosen_images(test, config["latency_images"])].to("cpu")
    with session.stage("cost"):
        add_costs(
            result,
            networks.modules,
            networks.monolith,
            {MONOLITH: whole, **both},
            images,
        )


def _conclude(result: Result, networks: Networks, found: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Metrics, the row of a table over many jobs, and the verdict."""
    name = _name(config)
    whole, own, difference = accuracy_of(result, MONOLITH), accuracy_of(result, name), difference_of(result, name)
    result.metrics = {
        "monolith_accuracy": whole,
        "composed_accuracy": own,
        "composed_against_monolith": difference,
        **result.metrics,
        **_elsewhere(result, name),
    }
    result.units |= dict.fromkeys(("monolith_accuracy", "composed_accuracy"), "%")
    result.units |= dict.fromkeys(
        ("router_share", "experts_share", "monolith_corrupted_accuracy", "composed_corrupted_accuracy", "composed_mce",
         "monolith_ece", "composed_ece"), "%"
    ) | {"composed_against_monolith": "points"}  # fmt: skip
    result.row = {"data": config["monolith"]["data"]["source"]["name"], "tree": config["tree"]["name"], "rule": name}
    result.row["match"] = "macs, hard route" if config["match"] == "macs" else config["match"]
    result.screen = ["networks"]
    fallen = [who for who in _examined(config) if collapsed(found[who].argmax(1), len(networks.tree.classes))]
    if not networks.monolith.converged:
        result.verdict, result.verdict_kind = did_not_train("the monolith", networks.monolith), "no verdict"
        return
    if fallen:
        result.verdict = f"no verdict: {', '.join(fallen)} collapsed to one class; train longer or with another optim"
        result.verdict_kind = "no verdict"
        return
    ratio = result.metrics["stored_parameters_ratio"].value
    result.verdict = (
        f"{len(networks.tree.nodes)} modules composed ({config['composition']['rule']}) classify {own.value:.1%} of "
        f"the test images right, the monolith {whole.value:.1%}: {100 * difference.value:+.1f} points "
        f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}] with {ratio:.2f} times its parameters"
    )
    share = result.metrics.get("router_share")
    if share is not None:
        result.verdict += (
            f"; of the hard route's log-accuracy gap {share.value:.0%} [{share.low:.0%}, {share.high:.0%}] is routing"
        )


def _elsewhere(result: Result, name: str) -> dict[str, Estimate]:
    """What the tables on corruption and calibration say of the monolith and of the composition."""
    shifted, calibrated = result.tables["robustness"], result.tables["calibration"]
    found = {}
    for who, network in (("monolith", MONOLITH), ("composed", name)):
        row = shifted["network"].index(network)
        value, low, high = (shifted[f"corrupted_accuracy{end}"][row] for end in ("", "_low", "_high"))
        found[f"{who}_corrupted_accuracy"] = Estimate(value, low, high, 0, "images")
        if who == "composed":
            value, low, high = (shifted[f"mce{end}"][row] for end in ("", "_low", "_high"))
            found["composed_mce"] = Estimate(value, low, high, 0, "images")
        found[f"{who}_ece"] = Estimate(calibrated["ece"][calibrated["network"].index(network)])
    return found
