"""A change of classes on a page, and its sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.artifacts.changed_networks import Spent
from src.core.estimate import Estimate
from src.core.result import Result, rows
from src.studies.class_change.findings import ChangeCost, ClassChangeFindings, Forgetting, NetworkFindings
from src.studies.class_change.panels import panels, verdict


def images(value: float) -> Estimate:
    return Estimate(value, value - 0.125, value + 0.125, 60, "images")


def network(name: str, accuracy: float, macs: int | None, before: int = 0, largest: float = 0.5) -> NetworkFindings:
    """``macs``: of its change, None where nothing has changed yet; ``before``: of all trainings before it."""
    forgetting = Forgetting(0.75, 0.5, images(0.25), 0.5, largest)
    cost = None if macs is None else ChangeCost(1, Spent(100, 10, macs, 2.0, 50), macs + before, 200)
    groups = {"others": forgetting, "siblings": forgetting} if cost else {}
    return NetworkFindings(name, images(accuracy), images(0.5), images(0.25), groups, cost)  # type: ignore[arg-type]


def joined() -> ClassChangeFindings:
    modules, alone = network("modules, warm", 0.75, 10**9, 10**9), network("monolith, alone", 0.5, 0)
    on_all, anew = network("monolith, warm", 0.625, 2 * 10**9), network("monolith, anew", 0.875, 4 * 10**9)
    return ClassChangeFindings(
        "add",
        "star6",
        "star",
        "macs",
        [network("modules, before", 0.5, None), modules, alone, on_all, anew],
        {"modules": modules, "monolith": alone, "all_images_monolith": on_all, "retrained": anew},
    )


def test_a_class_that_joined() -> None:
    found = verdict(joined(), {"change": "add"})
    lost = "25.0 points [12.5, 37.5] lost on the others"
    assert found.sentence == (
        f"class 'star6' joined: modules, warm: 75.0% right (25.0% of the new class), {lost}, at 25.0% of the cost of a "
        f"new monolith (50.0% with the trainings that it builds on); monolith, alone: 50.0% right (25.0% of the new "
        f"class), {lost}, without training; monolith, warm: 62.5% right (25.0% of the new class), {lost}, at 50.0% of "
        "the cost of a new monolith; monolith, anew: 87.5% right"
    )
    assert found.metrics["accuracy"] == images(0.75) and found.metrics["recall"] == images(0.25)
    assert found.metrics["retrained_accuracy"].n == 60  # images stand behind every interval
    assert found.metrics["all_macs_ratio"].value == 0.5
    assert found.metrics["all_images_monolith_update_macs_ratio"].value == 0.5
    assert found.units["monolith_forgetting"] == "points" and found.units["monolith_accuracy"] == "%"


@pytest.mark.parametrize(
    ("largest", "said"), [(0.0, "are equal to the last bit"), (0.125, "have changed by up to 0.12")]
)
def test_an_expert_that_was_replaced(largest: float, said: str) -> None:
    modules, anew = network("modules, replaced", 0.75, 10**9, largest=largest), network("another seed", 0.5, 10**9)
    roles = {"modules": modules, "monolith": anew, "retrained": anew}
    found = verdict(replace(joined(), change="replace", roles=roles), {})
    assert found.sentence.startswith(
        f"the expert of 'star' was replaced: the probabilities of all other classes {said}; modules, replaced: 75.0% "
    )
    assert found.sentence.count("another seed") == 1 and "recall" not in found.metrics


def test_tables_hold_what_was_found() -> None:
    result = Result("add_class", "test")
    result.add(*panels(joined()))
    assert len(rows(result.tables["networks"])) == 5
    changed = ["modules, warm", "monolith, alone", "monolith, warm", "monolith, anew"]
    assert [row["network"] for row in rows(result.tables["cost"])] == changed
    cost = rows(result.tables["cost"])[0]
    assert (cost["update_macs"], cost["all_macs"], cost["touched"], cost["accuracy"]) == (1.0, 2.0, 0.25, 0.75)
    forgetting = rows(result.tables["forgetting"])[1]
    assert (forgetting["classes"], forgetting["forgetting"], forgetting["forgetting_low"]) == (
        "others of star",
        0.25,
        0.125,
    )
    assert "multiply-adds per image by the hard route" in result.captions["networks"]


def test_a_class_that_left_has_no_recall() -> None:
    left = replace(
        joined(), change="remove", networks=[replace(each, changed_recall=None) for each in joined().networks]
    )
    result = Result("add_class", "test")
    result.add(*panels(left))
    assert "changed_recall" not in result.tables["networks"]
    assert [figure.y for figure in result.figures if figure.table == "networks"] == ["accuracy"]
    assert "Accuracy is that on the classes that stay" in result.captions["networks"]
