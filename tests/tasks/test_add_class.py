"""A class joins or leaves, an expert is replaced: what is trained, what stays to the last bit, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.core.result import Result, rows
from src.core.store import Store
from src.studies.class_change.setting import replacement_of
from src.tasks.add_class import add_class
from tests.tasks.composing import asked, asking_all

#: star6 is between others, so that labels shift where it is missing; a family more so that there is something to route
CLASSES = "monolith.data.classes=[star5,disc,star6,ring,star4,ellipse]"


def ask(folder: Path, *overrides: str) -> tuple[Result, Store]:
    options, artifacts = asked(folder, "task=add_class", CLASSES, *overrides)
    return add_class(options, artifacts), artifacts.store


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Store]:
    return ask(tmp_path_factory.mktemp("added"))


def table(result: Result, name: str, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[key] for key in keys): row for row in rows(result.tables[name])}


def test_only_what_is_above_the_new_class_is_trained(added: tuple[Result, Store]) -> None:
    result, store = added
    cost = table(result, "cost", "network")
    # 24 images per class, a fifth held out, less those that are seen in the test set: 19 per class and 32 in a batch
    expert, whole = 3 * 19, 6 * 19
    images = {name: row["images"] for (name,), row in cost.items()}
    assert images == {
        "modules, expert warm-started": expert,
        "modules, expert anew": expert,
        "modules, expert and router warm-started": expert + whole,
        "modules, expert and router anew": expert + whole,
        "monolith, warm-started": whole,
        "monolith, on star alone": expert,
        "monolith, anew": whole,
    }
    assert cost["modules, expert warm-started",]["steps"] == 2
    assert cost["monolith, anew",]["touched"] == 1 and cost["modules, expert anew",]["touched"] < 0.6
    # before: router, two experts, monolith; after: expert and router twice each, four monoliths less the first
    assert len(list(store.entries())) == 4 + 4 + 3
    assert set(result.uses) == {entry.digest for entry in store.entries()}


def test_the_other_expert_answers_as_before_to_the_last_bit(added: tuple[Result, Store]) -> None:
    forgetting = table(added[0], "forgetting", "network", "classes")
    for name in ("modules, expert warm-started", "modules, expert anew"):
        assert forgetting[name, "of other superclasses"]["largest_change"] == 0
        assert forgetting[name, "others of star"]["largest_change"] > 0
    assert forgetting["modules, expert and router warm-started", "of other superclasses"]["largest_change"] > 0
    assert forgetting["monolith, on star alone", "of other superclasses"]["largest_change"] > 0


def test_all_that_a_network_builds_on_is_counted(added: tuple[Result, Store]) -> None:
    result = added[0]
    cost = table(result, "cost", "network")
    before = {name: row["all_macs"] - row["update_macs"] for (name,), row in cost.items()}
    assert before["monolith, anew"] == 0
    # five of the six classes, once
    whole = cost["monolith, anew",]["update_macs"]
    assert before["monolith, warm-started"] == pytest.approx(whole * 5 / 6, rel=0.05)
    assert before["monolith, on star alone"] == pytest.approx(before["monolith, warm-started"])
    # all modules from before are kept or begun from; an expert anew is neither
    warm = before["modules, expert warm-started"]
    assert warm == pytest.approx(before["modules, expert and router warm-started"])
    assert warm > before["modules, expert anew"] > before["modules, expert and router anew"] > 0
    name = "modules, expert and router warm-started"
    assert result.metrics["all_macs_ratio"].value == pytest.approx(cost[name,]["all_macs"] / whole)
    assert f"({cost[name,]['all_macs'] / whole:.1%} with the trainings that it builds on)" in result.verdict
    assert "multiply-adds per image by the hard route" in result.captions["networks"]


def test_accuracies_and_forgetting_fit_together(added: tuple[Result, Store]) -> None:
    result = added[0]
    networks = table(result, "networks", "network")
    for row in networks.values():  # one of six classes is the new one, all have equally many test images
        assert row["accuracy"] == pytest.approx((5 * row["other_accuracy"] + row["changed_recall"]) / 6, abs=1e-6)
    assert networks["modules, before",]["changed_recall"] == networks["monolith, before",]["changed_recall"] == 0
    for (name, group), row in table(result, "forgetting", "network", "classes").items():
        assert row["forgetting"] == pytest.approx(row["before"] - row["after"])
        if group == "all others":
            before = networks[f"{name.split(',')[0]}, before",]
            assert row["before"] == pytest.approx(before["other_accuracy"])
            assert row["after"] == pytest.approx(networks[name,]["other_accuracy"])
    assert result.verdict.startswith("class 'star6' joined: modules, expert and router warm-started")


def test_a_class_leaves_without_training(tmp_path: Path) -> None:
    result, _ = ask(tmp_path, "change=remove")
    cost = table(result, "cost", "network")
    for who in ("modules", "monolith"):
        dropped = cost[f"{who}, output dropped",]
        assert dropped["images"] == dropped["steps"] == dropped["update_macs"] == dropped["trained"] == 0
        assert dropped["all_macs"] > 0
    assert cost["modules, output dropped",]["stored_parameters"] == cost["modules, expert anew",]["stored_parameters"]
    assert (
        table(result, "forgetting", "network", "classes")["modules, output dropped", "of other superclasses"][
            "largest_change"
        ]
        == 0
    )
    assert result.verdict.startswith("class 'star6' left: modules, output dropped: ")
    assert "without training; monolith, output dropped: " in result.verdict


def test_another_expert_changes_nothing_else(tmp_path: Path) -> None:
    narrow = "replacement.model.width=0.01"
    result, store = ask(tmp_path, "change=replace", "composition.rule=hard", "replacement.seed=5", narrow)
    assert 0.01 in [entry.manifest["recipe"]["model"]["width"] for entry in store.entries()]
    forgetting = table(result, "forgetting", "network", "classes")
    mine, rival = (
        forgetting["modules, expert replaced", "all others"],
        forgetting["monolith, another seed", "all others"],
    )
    assert mine["largest_change"] == mine["forgetting"] == mine["forgetting_low"] == mine["forgetting_high"] == 0
    assert rival["largest_change"] > 0
    assert "the probabilities of all other classes are equal to the last bit" in result.verdict


def test_an_expert_is_replaced_by_one_of_another_seed_and_the_same_width(tmp_path: Path) -> None:
    (plain, _), (changed, _) = (
        asked(tmp_path, "task=add_class", *more) for more in ([], ["replacement.model.width=0.01"])
    )
    assert replacement_of(plain) == {"seed": plain.expert["seed"] + 1000, "model": {}}
    assert replacement_of(changed)["model"] == {"width": 0.01}


def test_no_verdict_where_a_network_did_not_train(added: tuple[Result, Store]) -> None:
    """What lies in the store counts as trained or not by what this job's recipe asks of it; numbers stay."""
    assert added[0].verdict_kind != "no verdict"
    options, artifacts = asked(added[1].root.parent, "task=add_class", CLASSES)
    for role, who in (("expert", "a part of 'modules, expert warm-started'"), ("monolith", "the monolith, before")):
        strict = replace(options, **{role: asking_all(getattr(options, role))})
        result = add_class(strict, artifacts)
        assert result.verdict_kind == "no verdict" and result.metrics
        assert result.verdict.startswith(f"did not train, no verdict: {who} reached ")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["+update.epochs=3"], r"^update\.epochs: a recipe has no such part"),
        (["+update.training.epoch=3"], r"^update\.training\.epoch is not a setting; did you mean 'epochs'"),
        (["+update.optim.lrr=0.1"], r"^update\.optim: adam does not take .*lrr"),
        (
            ["change=replace", "+replacement.model.widht=0.5"],
            r"^replacement\.model\.widht=0\.5: maxout has no such opt",
        ),
        (["router.select=bst"], r"^router\.select=bst: did you mean 'best'"),
        (["+monolith.data.augment.crop=28"], r"^views=whole: the networks take crops of 28 pixels"),
        (["change=ad"], r"^change=ad: allowed is add, remove, replace; did you mean 'add'"),
        (["class_name=star7"], r"^class_name=star7: the data have no such class; did you mean 'star"),
        (
            ["monolith.data.classes=[star5,star6,disc,ring]"],
            r"^class_name=star6: without it 'star' has one child, 'star5'",
        ),
    ],
)
def test_what_is_refused_before_anything_trains(overrides: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as error:
        ask(tmp_path, *overrides)
    assert "\n" not in str(error.value)
    assert not list(Store(tmp_path / "store").entries())


def test_deterministic(added: tuple[Result, Store], tmp_path: Path) -> None:
    again, _ = ask(tmp_path)
    assert again.tables["networks"] == added[0].tables["networks"]
    assert torch.isfinite(torch.tensor([found.value for found in again.metrics.values()])).all()
