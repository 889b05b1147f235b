"""The page over jobs of the study of invariance: curves of networks of any depth, and claims that cannot be judged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.core.estimate import Estimate
from src.core.paths import CONF
from src.core.result import Result, rows, save, table_of
from src.report.over.over_seeds import interval, read_job
from src.report.page import render
from src.report.session import Session
from src.studies.invariance.over_depth import POINTS, over_depth
from src.tasks.compare import compare
from src.tasks.options import Compare
from tests.fakes.artifacts import artifacts, running

HOW = {
    "tables": {"layers_sum": "Summed"},
    "networks": ["plain", "untrained"],
    "y": "nv",
    "group": ["model", "data", "options"],
}


def shown(folders: list[Path]) -> Result:
    result = Result("compare", "sweep")
    result.add(*over_depth([(folder, read_job(folder)) for folder in folders], HOW))
    return result


def job(folder: Path, model: str, seed: int, plain: list[float], **options: Any) -> Path:
    """A job's result, its rows in any order."""
    records = [
        {"network": "plain", "depth": number / (len(plain) - 1), "nv": value, "nv_stratified": 2 * value}
        for number, value in enumerate(plain)
    ]
    records += [
        {"network": "interpolation alone", "depth": depth, "nv": 0.1, "nv_stratified": 0.2} for depth in (0.0, 1.0)
    ]
    result = Result("invariance", f"sweep/{model}-seed{seed}", tables={"layers_sum": table_of(records[::-1])})
    result.row = {"model": model, "data": "d", "seed": seed, "network": f"{model} {seed}", "accuracy_gap": 0.0}
    result.config = {"seed": seed, "recipe": {"model": {"name": model}, "training": {"minimum_accuracy": 0.5}}}
    result.metrics = {"nv_sum_difference": Estimate(-0.1 - 0.01 * seed)}
    for name, value in options.items():
        setattr(result, name, value)
    return save(result, folder / f"{model}-{seed}").parent


def at(table: dict[str, list[Any]], model: str, depth: float) -> dict[str, Any]:
    (row,) = [row for row in rows(table) if row["line"] == model and row["depth"] == depth]
    return row


def test_networks_of_any_depth_share_an_axis(tmp_path: Path) -> None:
    folders = [
        job(tmp_path, "three", 0, [0.0, 1.0, 0.0]),
        job(tmp_path, "three", 1, [0.0, 2.0, 4.0]),
        job(tmp_path, "two", 0, [1.0, 0.0]),
    ]
    result = shown(folders)
    assert set(result.tables) == {"layers_sum_plain"}, "no job has an untrained network"
    table = result.tables["layers_sum_plain"]
    assert len(table["depth"]) == 2 * POINTS and (min(table["depth"]), max(table["depth"])) == (0, 1)
    half = at(table, "three", 0.5)
    assert (half["nv"], half["jobs"]) == (1.5, 2)
    assert (half["nv_low"], half["nv_high"]) == pytest.approx(interval([1.0, 2.0]))
    assert at(table, "three", 1.0)["nv"] == 2.0 and at(table, "two", 1.0)["nv"] == 0.0
    alone = at(table, "two", 0.5)
    assert alone["nv"] == pytest.approx(0.5) and math.isnan(alone["nv_low"]), "one job has no interval"
    (figure,) = result.figures
    assert (figure.title, figure.x, figure.y, figure.group) == ("Summed: plain", "depth", "nv", "line")
    assert result.table_units["layers_sum_plain"] == {"depth": "%"} and "could not be drawn" not in render(result)


def test_jobs_without_a_verdict_or_without_the_table_have_no_curve(tmp_path: Path) -> None:
    folders = [
        job(tmp_path, "a", 0, [1.0, 2.0]),
        job(tmp_path, "a", 1, [8.0, 8.0], verdict_kind="no verdict"),
        job(tmp_path, "a", 2, [8.0, 8.0], status="failed"),
        job(tmp_path, "a", 3, [8.0, 8.0], tables={}),
        tmp_path / "nowhere",
    ]
    result = shown(folders)
    assert set(result.tables["layers_sum_plain"]["jobs"]) == {1}
    empty = shown(folders[1:])
    assert not empty.tables and not empty.figures


def compared(folder: Path, folders: list[Path]) -> Result:
    how = yaml.safe_load((CONF / "experiment" / "invariance_rotation.yaml").read_text())["comparison"]
    options = Compare(tuple(str(each) for each in folders), 0, 50)
    session = Session({}, running(), folder / "overview", quiet=True)
    return compare(options, artifacts(session, comparison=how))


def test_claims_of_metrics_that_a_sweep_does_not_have_are_left_without_a_verdict(tmp_path: Path) -> None:
    """As with study.aggregations=[sum]: what can be judged is."""
    folders = [job(tmp_path, model, seed, [0.0, 1.0]) for model in ("a", "b") for seed in range(3)]
    result = compared(tmp_path, folders)
    verdicts = dict(zip(result.tables["claims"]["claim"], result.tables["claims"]["verdict"], strict=True))
    assert len(verdicts) == 6 and sorted(verdicts.values()) == ["no verdict"] * 5 + ["supported"]
    reasons = result.tables["why"]["reason"]
    assert any("6 networks" in reason for reason in reasons)
    assert any("6 runs without nv_positions_difference left out" in reason for reason in reasons)
    assert list(result.tables)[:3] == ["claims", "why", "over_seeds"] and "layers_sum_plain" in result.tables
    assert result.screen == ["claims", "over_seeds"] and "6 claims: 5 no verdict, 1 supported" in result.verdict
    assert "could not be drawn" not in render(result)


def test_pairs_that_are_not_equally_accurate_say_nothing_of_equal_accuracy(tmp_path: Path) -> None:
    folders = [job(tmp_path, model, seed, [0.0, 1.0]) for model in ("a", "b") for seed in range(3)]
    row = {"model": "b", "data": "d", "seed": 2, "network": "b 2", "accuracy_gap": 0.05}
    folders[-1] = job(tmp_path, "b", 2, [0.0, 1.0], row=row)
    result = compared(tmp_path, folders)
    reasons = dict(zip(result.tables["why"]["claim"], result.tables["why"]["reason"], strict=True))
    (reason,) = [each for each in reasons.values() if "accuracy_gap" in each and "nv_positions" not in each]
    assert reason == (
        "Too few runs, no verdict: 5 networks with at least 1 seeds, the claim asks 6; "
        "1 run outside accuracy_gap as claimed left out."
    )


def test_a_job_that_failed_is_no_data_set_of_its_own(tmp_path: Path) -> None:
    folders = [job(tmp_path, "a", seed, [0.0, 1.0]) for seed in range(2)]
    folders.append(job(tmp_path, "a", 2, [0.0, 1.0], status="failed", row={}, metrics={}, error="broken"))
    result = compared(tmp_path, folders)
    assert set(result.tables["claims"]["data"]) == {"d"} and len(result.tables["jobs"]["job"]) == 3


def test_where_nothing_trained_the_page_is_there_all_the_same(tmp_path: Path) -> None:
    gap = {"model": "a", "data": "d", "seed": 0, "network": "a 0", "accuracy_gap": None}
    folders = [
        job(tmp_path, "a", 0, [0.0, 1.0], verdict_kind="no verdict", row=gap, metrics={}, verdict="did not train")
    ]
    result = compared(tmp_path, folders)
    assert set(result.tables["claims"]["verdict"]) == {"no verdict"} and "over_seeds" not in result.tables


def test_a_model_has_a_page_of_its_own_among_all(tmp_path: Path) -> None:
    """What the original's folder of plots held: each network whole, within classes, layer by layer, class by class."""
    folders = []
    for seed, nv in enumerate((0.2, 0.4)):
        layers = [{"network": name, "depth": depth, "nv": nv + more, "nv_stratified": 2 * nv + more}
                  for name, more in (("plain", 0.1), ("augmented", 0.0)) for depth in (0.0, 1.0)]  # fmt: skip
        tables = {
            "layers_sum": table_of(layers),
            "networks": table_of([{"network": "plain", "transformed_accuracy": 2 * nv, "nv_sum_stratified": nv}]),
            "invariance_by_class": table_of([{"network": "plain", "class": "cat", "nv": nv, "against_others": 0.0}]),
        }
        folders.append(job(tmp_path, "a", seed, [], tables=tables))
    result = Result("compare", "sweep")
    asked = {**HOW, "networks": ["plain", "augmented"], "stratified": "nv_stratified"}
    result.add(*over_depth([(folder, read_job(folder)) for folder in folders], asked))
    own = result.tables["layers_sum_of_1"]
    assert {row["line"]: row["nv"] for row in rows(own) if row["depth"] == 0.5} == pytest.approx(
        {"plain": 0.4, "plain, within classes": 0.7, "augmented": 0.3, "augmented, within classes": 0.6}
    )
    (whole,) = rows(result.tables["networks_over_jobs"])
    assert whole["transformed_accuracy"] == pytest.approx(0.6) and whole["jobs"] == 2
    assert whole["nv_sum_stratified"] == pytest.approx(0.3)
    assert (whole["transformed_accuracy_low"], whole["transformed_accuracy_high"]) == pytest.approx(
        interval([0.4, 0.8])
    )
    (cat,) = rows(result.tables["by_class_of_1"])
    assert (cat["class"], cat["jobs"]) == ("cat", 2) and cat["nv"] == pytest.approx(0.3)
    assert "could not be drawn" not in render(result)


def test_lines_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    found = [
        job(tmp_path, "a", 0, [1.0, 2.0]),
        job(tmp_path, "a", 1, [3.0, 4.0], row={"model": "a", "data": "other", "options": "x"}),
        job(tmp_path, "b", 0, [5.0, 6.0]),
    ]
    result = shown(found)
    assert set(result.tables["layers_sum_plain"]["line"]) == {"a, d", "a, other", "b, d"}
