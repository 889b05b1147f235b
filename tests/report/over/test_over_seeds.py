"""Means over seeds with Student's interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from src.core.result import Panel, Result, save, table_of
from src.report.over.over_seeds import by_seed, interval, mean_of_all, over_seeds, pivoted, read_job, settings_of


def job(seed: int, rule: str, **values: float) -> tuple[dict[str, Any], dict[str, Any]]:
    metrics = {name: {"value": value} for name, value in values.items()}
    plain = {"status": "ok", "metrics": metrics, "row": {"rule": rule}, "units": {}}
    return {"task": "compose", "rule": rule, "seed": seed}, plain


def test_the_interval_is_students():
    # mean 2, deviation 1, t of two degrees of freedom 4.3027: half width 4.3027 / sqrt(3)
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48413, 2 + 2.48413), abs=1e-4)
    assert all(math.isnan(end) for end in interval([1.0]))


def test_jobs_that_differ_in_more_than_their_seed_stay_apart():
    found = [job(0, "soft", accuracy=0.4), job(1, "soft", accuracy=0.6), job(0, "hard", accuracy=0.3, gap=1.0)]
    table = over(found, ["accuracy", "gap", "absent"])
    assert list(table) == ["rule", "accuracy", "accuracy_low", "accuracy_high", "gap", "gap_low", "gap_high", "seeds",
                           "missing"]  # fmt: skip
    assert table["rule"] == ["soft", "hard"] and table["seeds"] == [2, 1]
    assert table["accuracy"] == pytest.approx([0.5, 0.3]) and table["gap"][1] == 1.0
    assert table["missing"] == ["", "seed 1: not run"]


def test_kinds_with_keys_of_their_own_have_the_name_that_their_rows_give():
    kinds = [({"task": "measure", "seed": seed, **keys}, name) for seed in (0, 1)
             for name, keys in (("cut", {"score": "margin", "share": 0.5}), ("whole", {"width": 2}))]  # fmt: skip
    plain = {"status": "ok", "metrics": {"gap": {"value": 0.5}}, "units": {}}
    table = over([(config, {**plain, "row": {"subject": name, "data": "shapes"}}) for config, name in kinds], ["gap"])
    assert list(table) == ["subject", "gap", "gap_low", "gap_high", "seeds"] and table["subject"] == ["cut", "whole"]
    same = over([(config, {**plain, "row": {"subject": "cut"}}) for config, _ in kinds], ["gap"])
    assert {"score", "share", "width"} & same.keys()  # nothing else tells them apart


def test_what_has_no_verdict_is_named_and_not_averaged():
    found = [judged(seed, target, "success" if seed else "no success") for target in (0, 1) for seed in (0, 1)]
    found[-1][1].update(verdict_kind="no verdict")
    settings = settings_of(found)
    table = over(found, [])
    assert table["success"] == ["1 of 2", "0 of 1"] and table["missing"] == ["", "seed 1: no verdict"]
    assert table["gain"] == [0.5, 1.0] and mean_of_all(settings, "gain") == {}
    grid = by_seed(settings, "gain")
    assert grid is not None and isinstance(grid.rows, dict)
    assert list(zip(*grid.rows.values(), strict=True)) == [("0", "0", 0.0), ("0", "1", 1.0), ("1", "0", 1.0)]
    assert by_seed(settings[:1], "gain") is None


def test_the_mean_of_a_whole_grid_has_its_interval_over_seeds():
    whole = settings_of([judged(seed, target, "success") for target in (0, 1) for seed in (0, 1, 2)])
    (mean,) = mean_of_all(whole, "gain").values()
    assert (mean.value, mean.n, mean.unit) == (1.5, 3, "seeds, mean of all settings")
    assert (mean.low, mean.high) == pytest.approx(interval([0.5, 1.5, 2.5]))


def test_seeds_of_the_data_count_where_they_differ():
    found = [job(0, "soft", accuracy=0.1 * number) for number in range(3)]
    apart = [({**config, "data_seed": number}, plain) for number, (config, plain) in enumerate(found)]
    assert list(settings_of(apart)[0].jobs) == ["0/0", "0/1", "0/2"]


def test_a_column_of_the_jobs_tables_is_averaged_side_by_side(tmp_path: Path):
    for seed, f1 in enumerate((0.2, 0.4)):
        result = Result("patch", f"p/{seed}", config={"seed": seed})
        result.add(Panel("", "patch", {"method": ["weak", "patched"], "f1": [0.1, f1]}, units={"f1": "%"}))
        save(result, tmp_path / str(seed))
    places = [tmp_path / str(seed) for seed in (0, 1)]
    read = [read_job(place) for place in places]
    settings = settings_of([(plain["config"], plain) for plain in read])
    asked = {"table": "patch", "by": "method", "value": "f1"}
    panel = pivoted(settings, {id(plain): place for plain, place in zip(read, places, strict=True)}, asked)
    assert panel is not None and panel.units == {"weak": "%", "patched": "%"}
    rows = table_of(panel.rows)
    assert rows["setting"] == ["all", "mean"] and rows["patched"] == pytest.approx([0.3, 0.3])


def judged(seed: int, target: int, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    plain = {"status": "ok", "verdict_kind": kind, "metrics": {"gain": {"value": seed + target}}, "units": {}}
    return {"task": "patch", "target_class": target, "seed": seed}, plain


def nested(seed: int, **groups: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job of a task with groups, whose recipes repeat its seed."""
    config, plain = job(seed, "soft", accuracy=0.1 * seed)
    return {**config, **{name: {**values, "seed": seed} for name, values in groups.items()}}, plain


def over(
    found: list[tuple[dict[str, Any], dict[str, Any]]], metrics: Sequence[str] = ("accuracy",)
) -> dict[str, list[Any]]:
    panel = over_seeds(settings_of(found), metrics)
    assert panel is not None and panel.name == "over_seeds" and isinstance(panel.rows, dict)
    return panel.rows


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
    assert set(table) - {"setting", "accuracy", "accuracy_low", "accuracy_high", "seeds"} == {
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
    alone = settings_of([job(0, "soft", accuracy=0.5)])
    assert over_seeds(alone, ["absent"]) is None
    assert over_seeds(alone) is None and over_seeds(alone, ["accuracy"]) is not None, "one seed, unless asked for"


def test_columns_keep_the_units_that_the_jobs_give_them():
    config, plain = job(0, "soft", accuracy=0.5)
    panel = over_seeds(settings_of([(config, {**plain, "units": {"rule": "words", "accuracy": "%"}})]), ["accuracy"])
    assert panel is not None and panel.units == {"accuracy": "%"}, "the rule, which is the same, is no column"
