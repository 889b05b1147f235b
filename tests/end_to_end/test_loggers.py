"""A tiny sweep through Lightning's loggers, read back by TensorBoard and MLflow themselves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Run
from tests.training.test_loggers import board_of, flow_of

SWEEP = (
    "-m", "task=train", "debug=tiny", "report=none", "shrink.at_most.epochs=2", "recipe.training.epochs=2", "seed=0,1",
    "logger=[tensorboard,mlflow]",
)  # fmt: skip


@pytest.mark.slow
def test_a_sweep_is_read_back_also_after_a_second_run(run: Run, tmp_path: Path, monkeypatch):
    for more in ((), ("sweep.rerun=true",)):
        ran = run(tmp_path, *SWEEP, *more)
        assert ran.code == 0, ran.text
    assert len(ran.results) == 2
    for result in ran.results:
        assert not [event for event in result["events"] if "logged" in event]
        wanted = wanted_of(result)
        assert {len(points) for points in wanted.values()} == {1, 2}
        for read in (board_of(result["folder"]), flow_of(result["folder"], monkeypatch)[0]):
            for name, points in wanted.items():
                assert read[name] == points
            assert {name for name in read if "/" in name} == {name for name in wanted if "/" in name}


def wanted_of(result: dict[str, Any]) -> dict[str, list[tuple[int, Any]]]:
    """Every curve of ``curves.csv`` and every metric of the result."""
    curves: dict[str, list[tuple[int, Any]]] = {}
    with (result["folder"] / "curves.csv").open() as file:
        for row in csv.DictReader(file):
            if row["metric"] != "epoch":
                point = int(row["step"]), pytest.approx(float(row["value"]), rel=1e-5)
                curves.setdefault(f"{row['series']}/{row['metric']}", []).append(point)
    metrics = json.loads((result["folder"] / "result.json").read_text())["metrics"]
    return curves | {name: [(0, pytest.approx(metric["value"], rel=1e-5))] for name, metric in metrics.items()}
