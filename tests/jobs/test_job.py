"""How a job is called, and how it says that it failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.core.configuration import identity
from src.core.errors import UserError
from src.core.files import write_atomically
from src.jobs import job
from src.jobs.border import running_of, with_digests
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register

MISTAKE, FAULT = UserError("seed=x: allowed is a number"), ZeroDivisionError("ours")


@pytest.mark.parametrize(
    ("lines", "error", "traced"),
    [
        (["debug=tiny"], MISTAKE, False),
        (["debug=tiny"], FAULT, True),
        (["debug=tiny", "traceback=true"], MISTAKE, True),
        (["debug=tiny", "traceback=false"], FAULT, False),
        (["debug=traceback"], MISTAKE, True),
        ([], FAULT, False),
    ],
)
def test_a_users_mistake_shows_a_traceback_only_where_one_was_asked_for(
    lines: list[str], error: Exception, traced: bool, tmp_path: Path, monkeypatch, capsys
):
    def fail(*_: Any) -> None:
        raise error

    register()
    monkeypatch.setattr(job, "_run_task", fail)
    values = check_command_line(["task=train", "logger=csv", f"outputs={tmp_path}", *lines]).values
    ended = job.execute(values, tmp_path / "job", quiet=True)
    assert ended["status"] == "failed" and str(error) in ended["verdict"]
    assert ("Traceback" in capsys.readouterr().err) is traced


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["study=locality"], "measure_locality/simcnn-glyphs-seed0"),
        (["study=locality", "subject=torchvision", "seed=1"], "measure_locality/resnet18-imagenette-seed1"),
        (["subject=variant", "variant=7"], "measure_robustness/variant7-glyphs-seed0"),
        (["subject=patched"], "measure_robustness/patched-simcnn_weak-glyphs-target0-seed0"),
        (["subject=extracted", "subject.kernels=2"], "measure_robustness/modules_2-simcnn-glyphs-seed0"),
        (["experiment=robustness", "study=locality"], "locality/simcnn-glyphs-seed0"),
    ],
)
def test_a_measurement_is_called_by_study_subject_and_data(lines: list[str], name: str, tmp_path: Path):
    register()
    values = check_command_line(["task=measure", f"outputs={tmp_path}", *lines]).values
    assert f"{values['name']}/{values['label']}" == name
    assert identity(values) == identity({**values, "name": "other", "label": "another"})


def test_a_measured_file_is_known_by_what_it_holds_and_what_is_said_of_it(tmp_path: Path):
    register()
    for name, content in (("a.pth", b"one"), ("copy/b.ckpt", b"one"), ("c.pth", b"two"), ("told/d.pth", b"one")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "told" / "subject.json").write_text("{}")

    def known(file: str, *lines: str) -> str:
        told = ["task=measure", "subject=checkpoint", "model@subject.model=torchvision", f"outputs={tmp_path}"]
        values = check_command_line([*told, f"subject.path={tmp_path / file}", *lines]).values
        return identity(with_digests(values))

    first = known("a.pth")
    assert known("copy/b.ckpt") == first, "the same weights elsewhere"
    others = [
        known("c.pth"), known("told/d.pth"), known("a.pth", "subject.classes=cifar10"),
        known("a.pth", "subject.normalisation=half"), known("a.pth", "subject.normalisation={mean: [0.5], std: [0.2]}"),
        known("a.pth", "subject.model.small_images=false"), known("a.pth", "subject.answers=data"),
    ]  # fmt: skip
    assert len({first, *others}) == 8


def test_tiny_leaves_a_network_from_a_file_as_it_is(tmp_path: Path):
    lines = ["task=measure", "subject=checkpoint", "subject.path=a.pth", f"outputs={tmp_path}", "debug=tiny"]
    values = check_command_line([*lines, "model@subject.model=rescnn"]).values
    assert values["subject"]["model"]["width"] == 1.0 and values["resamples"] == 50


def test_the_page_made_again_draws_the_same_resamples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the seed of the job that ended last."""
    asked: list[dict[str, Any]] = []

    def execute(config: dict[str, Any], place: Path) -> dict[str, Any]:
        asked.append(config)
        return {"status": "ok"}

    monkeypatch.setattr(job, "execute", execute)
    write_atomically(tmp_path / "last" / "result.json", json.dumps({"config": {"seed": 7, "resamples": 50}}))
    job.compare({"seed": 3, "resamples": 50}, [tmp_path / "last"], tmp_path)
    job.compare_again([tmp_path / "last"], tmp_path)
    assert asked[0]["seed"] == asked[1]["seed"]


def test_a_page_over_results_of_which_none_can_be_read_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").write_text("{")
    with pytest.raises(UserError, match=r"none of its results can be read; run the same command again$"):
        job.compare_again([tmp_path / "a"], tmp_path / "overview")


def test_a_job_that_comes_too_late_is_not_started(tmp_path: Path):
    register()
    lines = ["task=train", "logger=csv", f"outputs={tmp_path}"]
    values = check_command_line(lines).values
    running = running_of({**values, "sweep": {**values["sweep"], "ends": 1.0}})
    ended = job._not_needed(None, running, values, tmp_path / "job")
    assert ended and ended["status"] == "not started" and "sweep.max_hours" in ended["verdict"]
    assert job._not_needed(None, running_of(values), values, tmp_path / "job") is None


def test_the_command_of_a_job_in_a_sweep_runs_it_alone():
    assert job._command(["task=train", "sweep.id=x", "sweep.where='seed != 1'", "seed=0"]) == (
        "python -m src.run task=train seed=0"
    )
