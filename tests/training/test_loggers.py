"""Lightning's loggers are told curves and final numbers once, also when a job runs again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.running import Logger, MLflow, TensorBoard
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from src.training import loggers
from src.training.loggers import check_loggers, views_of
from tests.fakes.artifacts import running
from tests.fakes.result import patch_result

BOTH = Logger("csv", tensorboard=TensorBoard(30), mlflow=MLflow(None, {"team": "anatomy"}))


def board_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> points, of all event files of a job."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points: dict[str, list[tuple[int, float]]] = {}
    for path in (folder / "tensorboard").rglob("events.*"):
        events = EventAccumulator(str(path))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            points.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return points


def flow_of(folder: Path, monkeypatch) -> tuple[dict[str, list[tuple[int, float]]], dict[str, str]]:
    """The same of the one run that MLflow's files of a job hold, and its tags."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient((folder / "mlflow").as_uri())
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    points = {name: [(point.step, point.value) for point in values] for name, values in history.items()}
    return points, dict(run.data.tags)


def test_curves_and_final_numbers_stand_there_once_also_after_a_second_run(tmp_path: Path, monkeypatch):
    tmp_path = tmp_path / "it's 100% mine #1"
    result = patch_result()
    result.config["seed"] = 7
    for _ in range(2):
        board, flow = views_of(running(logger=BOTH, name="patch"), {"seed": 7, "outputs": str(tmp_path)}, tmp_path)
        for view in (board, flow):
            view.log("weak, retrained", 0, {"epoch": 0, "train/loss": 2.5})
            view.log("weak, retrained", 1, {"epoch": 1, "train/loss": 1.5})
            assert view.publish(result) == []
    points, tags = flow_of(tmp_path, monkeypatch)
    board_points = board_of(tmp_path)
    for read in (board_points, points):
        assert read["weak_retrained/train/loss"] == [(0, 2.5), (1, 1.5)]
        for name, estimate in result.metrics.items():
            assert read[name] == [(0, pytest.approx(estimate.value))]
        assert Counter(map(len, read.values())) == {2: 1, 1: len(read) - 1}
    assert board_points.keys() == points.keys()
    assert tags["verdict"] == result.verdict and tags["team"] == "anatomy" and tags["mlflow.runName"] == tmp_path.name


def test_a_logger_that_fails_costs_nothing(tmp_path: Path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("no route to the server")

    monkeypatch.setattr(loggers, "_mlflow", fail)
    only = replace(BOTH, tensorboard=None)
    (view,) = views_of(running(logger=only), {}, tmp_path)
    view.log("strong", 0, {"train/loss": 1.0})
    events = view.publish(patch_result())
    assert [event.split(" could")[0] for event in events] == ["mlflow: curves", "mlflow: metrics"]
    assert "no route to the server" in events[0]


def test_a_missing_package_is_told_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    check_loggers({"name": "csv"})
    with pytest.raises(UserError, match="logger=mlflow: the package is not installed; run uv sync --extra mlflow"):
        check_loggers({"name": "csv", "mlflow": {"tags": {}}})
    register()
    with pytest.raises(UserError, match="logger=tensorboard: the package"):  # also of a sweep, before its first job
        check_command_line(["-m", "task=train", "logger=[wandb,tensorboard]", "seed=0,1"])


def test_a_server_has_one_run_of_a_job_that_ran_twice(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = f"file:{tmp_path / 'server'}"  # to MLflow's client the same as one on the network
    for name in ("seed0", "seed1", "seed0"):
        (view,) = views_of(running(logger=Logger("csv", mlflow=MLflow(address, {})), name="patch"), {}, tmp_path / name)
        assert view.publish(patch_result()) == []
        assert not (tmp_path / name / "mlflow").exists()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("patch")
    names = [run.info.run_name for run in client.search_runs([experiment.experiment_id])]
    assert sorted(names) == ["seed0", "seed1"]
