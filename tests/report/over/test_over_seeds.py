"""Means over seeds with Student's interval."""

from __future__ import annotations

import math
from typing import Any

import pytest

from src.core.result import table_of
from src.report.over.over_seeds import interval, over_seeds


def job(seed: int, rule: str, **values: float) -> tuple[dict[str, Any], dict[str, Any]]:
    metrics = {name: {"value": value} for name, value in values.items()}
    return {"task": "compose", "rule": rule, "seed": seed}, {"metrics": metrics, "row": {"rule": rule}}


def test_the_interval_is_students():
    # mean 2, deviation 1, t of two degrees of freedom 4.3027: half width 4.3027 / sqrt(3)
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48413, 2 + 2.48413), abs=1e-4)
    assert all(math.isnan(end) for end in interval([1.0]))


def test_jobs_that_differ_in_more_than_their_seed_stay_apart():
    found = [job(0, "soft", accuracy=0.4), job(1, "soft", accuracy=0.6), job(0, "hard", accuracy=0.3, gap=1.0)]
    panel = over_seeds(found, ["accuracy", "gap", "absent"])
    assert panel is not None and panel.name == "over_seeds"
    table = table_of(panel.rows)
    assert table["metric"] == ["accuracy", "accuracy", "gap"]
    assert table["rule"] == ["soft", "hard", "hard"] and table["seeds"] == [2, 1, 1]
    assert table["value"] == pytest.approx([0.5, 0.3, 1.0])


def nested(seed: int, **groups: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job of a task with groups, whose recipes repeat its seed."""
    config, plain = job(seed, "soft", accuracy=0.1 * seed)
    return {**config, **{name: {**values, "seed": seed} for name, values in groups.items()}}, plain


def over(found: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, list[Any]]:
    panel = over_seeds(found, ["accuracy"])
    assert panel is not None
    return table_of(panel.rows)


def test_settings_that_differ_within_a_group_are_told_apart():
    router = {"model": {"name": "maxout", "width": 1.0}, "training": {"epochs": 24}}
    narrow = {**router, "model": {"name": "maxout", "width": 0.5}}
    found = [
        nested(seed, router=own, tree={"name": kind})
        for own in (router, narrow)
        for kind in ("superclasses", "clustered")
        for seed in (0, 1)
    ][:-1]
    table = over(found)
    assert table["tree.name"] == ["superclasses", "clustered"] * 2
    assert table["router.model.width"] == [1.0, 1.0, 0.5, 0.5]
    assert table["seeds"] == [2, 2, 2, 1]
    assert not {"seed", "router.seed", "router.training.epochs", "router.model.name"} & set(table)


def test_another_file_of_a_group_is_told_by_what_it_takes():
    glyphs = {"source": {"name": "glyphs", "size": 32}, "batch_size": 32, "classes": [0, 1], "normalisation": "train"}
    cifar = {"source": {"name": "cifar100"}, "batch_size": 128, "classes": None, "normalisation": {"mean": [0.5]}}
    table = over([nested(0, data=glyphs), nested(0, data=cifar), nested(0, data={**cifar, "classes": [3, 4]})])
    assert set(table) - {"rule", "metric", "value", "value_low", "value_high", "seeds"} == {
        "data.source.name", "data.classes"
    }  # fmt: skip
    assert table["data.source.name"] == ["glyphs", "cifar100", "cifar100"]
    assert table["data.classes"] == ["[0, 1]", None, "[3, 4]"]


def test_values_of_several_kinds_are_told_in_words():
    caps = [{**job(0, "soft", accuracy=0.5)[0], "expert_cap": cap} for cap in (None, 12, "smallest")]
    table = over([(config, job(0, "soft", accuracy=0.5)[1]) for config in caps])
    assert table["expert_cap"] == [None, "12", "smallest"]


def test_nothing_is_said_of_nothing():
    assert over_seeds([], ["accuracy"]) is None
    assert over_seeds([job(0, "soft", accuracy=0.5)], ["absent"]) is None


def test_columns_keep_the_units_that_the_jobs_give_them():
    config, plain = job(0, "soft", accuracy=0.5)
    panel = over_seeds([(config, {**plain, "units": {"rule": "words", "accuracy": "%"}})], ["accuracy"])
    assert panel is not None and panel.units == {"rule": "words"}, "the accuracy is no column of its own"
