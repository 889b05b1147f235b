"""A job's run, its id and its stages, without a job: entries of a store are made as a training makes them."""

from pathlib import Path
from typing import Any

import pytest

from src.core.result import Result
from src.core.running import Logger
from src.core.store import Key, Store
from src.report import wandb_job
from src.report.machine import as_wandb_shows, machine, requirements
from src.report.session import Session
from src.report.wandb_job import run_id, tags_of
from src.report.wandb_stages import run_places
from tests.fakes.artifacts import running
from tests.report.test_lineage import NOTES
from tests.report.test_wandb_view import artifacts_in, best_in, nobody, read_back, records  # noqa: F401  (nobody: for all tests)

CONFIG = {
    "task": "patch",
    "seed": 0,
    "strong": {"data": {"source": {"name": "glyphs"}}, "model": {"name": "simcnn", "width": 1.0}},
    "weak": {"data": {"source": {"name": "glyphs"}}, "model": {"name": "simcnn_weak"}},
    "study": {"name": "robustness"},
}
KEY = Key("checkpoint", {"model": {"name": "simcnn"}, "images": "cd" * 32})
ENVIRONMENT = {"python": "3", "system": "Linux", "cores": 2, "revision": "abc1234+", "command": "python -m src.run"}
HISTORY = '[{"epoch": 0, "val/accuracy": 0.5, "val/loss": 1.0}]'


def job(folder: Path, until: str | None = None, **changes: Any) -> Result:
    """A job that makes a network where the store has none, and finds it where it has; ``changes``: of its logger."""
    logger = Logger(**{"name": "wandb", "project": "p", "mode": "offline", **changes})
    told = running(outputs=str(folder.parent), logger=logger, until=until)
    session = Session(CONFIG, told, folder, True, ENVIRONMENT)

    def build(work: Path) -> dict[str, Any]:
        session.log("strong", 0, {"val/accuracy": 0.5}, {"lr": 0.1})
        (work / "history.json").write_text(HISTORY)
        return NOTES

    entry = Store(folder.parent / "store", making=session.making).make(KEY, build)
    if not entry.built:
        session.log("strong", 0, {"val/accuracy": 0.5})
    result = Result("patch", "n", config=CONFIG, identity="e" * 16, uses=[entry.digest], environment=ENVIRONMENT)
    session.finish(result)
    return result


def test_the_id_is_of_the_job_and_its_place(tmp_path: Path):
    here, elsewhere = tmp_path / "a" / "job", tmp_path / "b" / "job"
    assert run_id(CONFIG, here) == run_id({**CONFIG, "threads": 4, "device": "cuda"}, here), "where it runs is nothing"
    assert len({run_id(CONFIG, here), run_id(CONFIG, elsewhere), run_id({**CONFIG, "seed": 1}, here)}) == 3
    assert not set(run_id(CONFIG, here)) - set("0123456789abcdef")


def test_tags_are_names_of_data_models_and_studies():
    assert tags_of(CONFIG) == ["glyphs", "simcnn", "simcnn_weak", "robustness"]


def test_two_jobs_share_one_stage_and_a_job_that_runs_again_has_one_run(tmp_path: Path):
    pytest.importorskip("wandb")
    for name in ("first", "second", "first"):
        assert job(tmp_path / name).events == []
    (stage,) = (tmp_path / "store" / "wandb").glob("offline-run-*")
    run, config, _, history = read_back(tmp_path / "store")
    assert (run.run_id, run.job_type, run.run_group) == (KEY.digest(), "stage", "n")
    assert config["recipe"]["model"] == {"name": "simcnn"} and run.git.commit == "abc1234"
    assert [row["training/val/accuracy"] for row in history] == [0.5] and history[0]["training/lr"] == 0.1
    assert artifacts_in(tmp_path / "store") == {f"network-{KEY.digest()}": "made", f"images-{'cd' * 8}": "used"}
    for name in ("first", "second"):
        run, config, *_ = read_back(tmp_path / name)  # of one run, or this fails
        assert run.run_id == run_id(CONFIG, tmp_path / name) and "host" not in config["environment"]
        assert list(run.tags) == ["glyphs", "simcnn", "simcnn_weak", "robustness"]
        assert best_in(tmp_path / name) == {"strong/val/accuracy": "max"}
        assert artifacts_in(tmp_path / name) == {f"network-{KEY.digest()}": "used", f"images-{'cd' * 8}": "used"}
    kept = run_places(tmp_path / "store", KEY.digest())
    assert len(kept) == 2 and stage in kept, "and a mark that it was made"
    assert not list(tmp_path.rglob("staging"))


def test_what_was_made_when_nobody_told_wandb_has_its_stage_later(tmp_path: Path):
    pytest.importorskip("wandb")
    job(tmp_path / "silent", name="csv")
    assert not (tmp_path / "store" / "wandb").exists()
    job(tmp_path / "told")
    history = read_back(tmp_path / "store")[3]
    assert [row["training/val/loss"] for row in history] == [1.0]


def test_a_training_is_its_own_jobs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("wandb")
    monkeypatch.setattr(wandb_job, "TRAININGS", ("patch",))
    job(tmp_path / "first")
    job(tmp_path / "second")
    assert not list((tmp_path / "store" / "wandb").glob("offline-run-*"))
    assert artifacts_in(tmp_path / "first")[f"network-{KEY.digest()}"] == "made"
    assert artifacts_in(tmp_path / "second")[f"network-{KEY.digest()}"] == "used"


def test_a_job_that_makes_what_others_share_has_no_run_beside_the_stage(tmp_path: Path):
    pytest.importorskip("wandb")
    job(tmp_path / "strong", until="strong")
    assert not (tmp_path / "strong" / "wandb").exists()
    assert read_back(tmp_path / "store")[0].job_type == "stage"


def test_code_and_packages_are_files_of_the_run(tmp_path: Path):
    pytest.importorskip("wandb")
    job(tmp_path / "first", save_code=True, notes="why", entity="team")
    (files,) = (tmp_path / "first" / "wandb").glob("offline-run-*/files")
    assert (files / "code" / "src" / "run.py").exists() and (files / "code" / "conf" / "config.yaml").exists()
    assert (files / "requirements.txt").read_text() == requirements()
    assert read_back(tmp_path / "first")[0].notes == "why" and read_back(tmp_path / "first")[0].entity == "team"


def test_weights_are_sent_from_where_they_lie_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    job(tmp_path / "first", artifacts="weights")
    (path,) = tmp_path.glob("store/wandb/offline-run-*/*.wandb")
    (network,) = [
        each.artifact for each in records(path) if each.HasField("artifact") and "network" in each.artifact.name
    ]
    sent = [entry.local_path for entry in network.manifest.contents]
    assert sent and all((tmp_path / name).is_file() and not name.startswith("/") for name in sent), "of a folder built"


def test_without_artifacts_there_is_no_lineage(tmp_path: Path):
    pytest.importorskip("wandb")
    job(tmp_path / "first", artifacts="none")
    assert artifacts_in(tmp_path / "first") == artifacts_in(tmp_path / "store") == {}


def test_a_build_that_fails_is_a_failed_stage_and_no_mark(tmp_path: Path):
    pytest.importorskip("wandb")
    logger = Logger("wandb", "p", mode="offline")
    session = Session(CONFIG, running(outputs=str(tmp_path), logger=logger), tmp_path / "job", True, ENVIRONMENT)

    def build(work: Path) -> None:
        session.log("strong", 0, {"val/accuracy": 0.5})
        raise MemoryError

    with pytest.raises(MemoryError):
        Store(tmp_path / "store", making=session.making).make(KEY, build)
    session.finish(Result("patch", "n", status="failed", identity="e" * 16))
    assert read_back(tmp_path / "store")[0].run_id == KEY.digest()
    assert not list((tmp_path / "store" / "wandb").glob("logged/*"))


def test_the_machine_is_known_by_its_parts_alone():
    known = machine(ENVIRONMENT)
    assert known["commit"] == "abc1234+" and "command" not in known and len(known["requirements"]) == 16
    assert any(line.startswith("torch==") for line in requirements().splitlines())
    shown = as_wandb_shows({**ENVIRONMENT, "device": "NVIDIA H200"})
    assert shown["git"] == {"commit": "abc1234"} and shown["gpu"] == "NVIDIA H200"
    assert "gpu" not in as_wandb_shows({**ENVIRONMENT, "device": "CPU"})
