"""What modules beside a monolith come to: verdict, metrics, panels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from src.core.result import Result
from src.data.image_set import ImageSet
from src.report.page import render
from src.studies.composition.accuracy import HARD, MONOLITH, accuracy_of_networks
from src.studies.composition.cost import Costs, NetworkCost, Part
from src.studies.composition.errors import ModuleAnswers, errors_of
from src.studies.composition.findings import Findings, examined_networks, problem_of, verdict
from src.studies.composition.learning import Learning, Point, Spent
from src.studies.composition.panels import panels
from src.studies.composition.routes import routes_of
from src.studies.robustness.calibration import calibration, detection
from src.studies.robustness.corruption import robustness
from tests.fakes.study import pictures
from tests.fakes.trained import network
from tests.methods.hierarchy.trees import TWO, answers_of
from tests.studies.robustness.answers import shifted_of

COUNT, SOFT = 40, "modules, soft"
LABELS = torch.arange(COUNT) % 5
EXAMINED = (MONOLITH, SOFT, HARD)


def right_on(share: float) -> Tensor:
    """Log-probabilities (40, 5) that are right on the first images, and else take the next class."""
    wrong = torch.arange(COUNT) >= share * COUNT
    predicted = torch.where(wrong, (LABELS + 1) % 5, LABELS)
    return torch.full((COUNT, 5), 0.1).scatter(1, predicted[:, None], 0.6).double().log()


def made(logs: dict[str, Tensor], problem: str = "") -> Findings:
    chance = {"resamples": 100, "seed": 0}
    modules = ModuleAnswers(answers_of(TWO, COUNT), LABELS, answers_of(TWO, COUNT, seed=1), LABELS)
    # of corrupted images the monolith gets half of the four right, the modules a quarter
    correct = torch.tensor([[1.0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]).view(3, 1, 1, 4)
    shifted = replace(shifted_of(correct, torch.ones(3, 4)), networks=EXAMINED)
    part = Part("monolith", 5, 100, 1000, 30, 2, 1, 0.5, 0.5, 1.0, 0.0, 1.0)
    costs = Costs((part,), (NetworkCost(MONOLITH, 100, 100, 1000, 1.0, 1.0),), False, 1, 1.25, 0.5)
    return Findings(
        classes=5,
        modules=3,
        rule="soft",
        accuracy=accuracy_of_networks(logs, LABELS, TWO, **chance),
        errors=errors_of(TWO, modules, logs, EXAMINED, **chance),
        calibration={name: calibration(logs[name], LABELS) for name in EXAMINED},
        robustness=robustness(shifted, shifted.reference(MONOLITH), **chance),
        detection={name: detection(logs[name], logs[name][:7], **chance) for name in EXAMINED},
        unknown="digits",
        learning=Learning(COUNT, (Point(SOFT, Spent(10, 2, 0.1), 0.5), Point(MONOLITH, Spent(20, 4, 0.2), 0.75))),
        costs=costs,
        routes=routes_of(TWO, modules.test, LABELS, ImageSet(pictures(COUNT), LABELS, TWO.classes), count=4, seed=0),
        problem=problem,
    )


def test_what_is_examined():
    assert examined_networks("soft") == EXAMINED and examined_networks("hard") == (MONOLITH, HARD)


def test_the_numbers_of_the_verdict():
    concluded = verdict(made({MONOLITH: right_on(0.75), SOFT: right_on(0.5), HARD: right_on(0.25)}))
    metrics = concluded.metrics
    assert metrics["monolith_accuracy"].value == 0.75 and metrics["composed_accuracy"].value == 0.5
    assert metrics["composed_against_monolith"].value == -0.25
    assert metrics["monolith_corrupted_accuracy"].value == 0.5 and metrics["composed_corrupted_accuracy"].value == 0.25
    assert metrics["composed_mce"].value == pytest.approx(1.5)
    assert metrics["composed_ece"].value == pytest.approx(0.1) and metrics["monolith_ece"].value == pytest.approx(0.15)
    assert metrics["stored_parameters_ratio"].value == 1.25 and metrics["active_macs_ratio"].value == 0.5
    assert metrics["router_share"].value + metrics["experts_share"].value == pytest.approx(1.0)
    assert all(estimate.n and estimate.unit for estimate in metrics.values() if estimate.low == estimate.low)
    assert concluded.units["composed_against_monolith"] == "points" and concluded.units["composed_mce"] == "%"
    assert "stored_parameters_ratio" not in concluded.units
    assert concluded.kind == "" and concluded.sentence.startswith(
        "3 modules composed (soft) classify 50.0% of the test images right, the monolith 75.0%: -25.0 points ["
    )
    assert "(95%, over the test images of one training) with 1.25 times its parameters. Where" in concluded.sentence
    assert "(hard), accuracy is a product" in concluded.sentence and "For comparison" not in concluded.sentence


def test_the_verdict_has_the_controls_beside_it():
    logs = {MONOLITH: right_on(0.75), SOFT: right_on(0.5), HARD: right_on(0.25)}
    controls = {"modules, oracle routing": right_on(0.7), "random tree, soft": right_on(0.4)}
    said = verdict(made(logs | controls)).sentence
    assert "For comparison: -35.0 points [" in said
    assert "] with classes dealt to superclasses at random (random tree, soft); -5.0 points [" in said
    assert (
        "] with routers that are always right (the monolith, too," in said
        and "(modules, oracle routing). Where each" in said
    )


def test_without_a_gap_nothing_is_said_of_its_shares():
    concluded = verdict(made(dict.fromkeys(EXAMINED, right_on(0.75))))
    assert "router_share" not in concluded.metrics and concluded.sentence.endswith("times its parameters.")


def test_a_collapse_and_an_untrained_monolith_have_no_verdict():
    constant = torch.full((COUNT, 5), 0.1).double().log()  # the first class for all
    logs = {MONOLITH: right_on(0.75), SOFT: constant, HARD: right_on(0.5)}
    concluded = verdict(made(logs))
    assert (concluded.kind, concluded.sentence.split(";")[0]) == (
        "no verdict",
        "modules, soft collapsed to one class",
    )
    assert verdict(made(logs, "the monolith did not train")).sentence == "the monolith did not train"
    assert concluded.metrics["composed_accuracy"].value == pytest.approx(0.2)


def test_all_panels_are_drawn():
    result = Result("compose", "n")
    findings = made({MONOLITH: right_on(0.75), SOFT: right_on(0.5), HARD: right_on(0.25)})
    result.add(*panels(findings))
    assert "could not be drawn" not in render(result)
    assert set(result.sections) == {*result.tables, *result.images}
    assert "40 test images against 7 images of digits" in result.captions["unknown_classes"]
    assert result.units_of("networks")["against_monolith"] == "points"
    confusions = result.tables["frequent_confusions"]
    assert confusions["true"][0] != confusions["predicted"][0] and confusions[HARD][0] >= confusions[MONOLITH][0] > 0
    assert result.tables["gap"]["network"][-1] == "thesis (2020), CIFAR-100, hard"
    assert "learning" not in [panel.name for panel in panels(replace(findings, learning=None))]
    assert "gap" not in [panel.name for panel in panels(replace(findings, errors=None))]


def test_a_module_that_did_not_train_leaves_no_verdict(tmp_path: Path) -> None:
    """Modules that were trained together are one network."""
    good, bad = network(tmp_path / "good", 1, [0.6]), network(tmp_path / "bad", 2, [0.4])
    modules = SimpleNamespace(modules=[good, bad, good], whole=None)
    networks: Any = SimpleNamespace(tree=TWO, monolith=good, modules=modules)
    said = "did not train, no verdict: {} reached 40.0% on validation images"
    assert problem_of(networks).startswith(said.format(f"the module '{TWO.nodes[1].name}'"))
    modules.whole = bad
    assert problem_of(networks).startswith(said.format("the network of modules"))
    modules.whole = good
    assert not problem_of(networks)
    networks.monolith = bad
    assert problem_of(networks).startswith(said.format("the monolith"))
