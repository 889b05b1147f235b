"""The study of distorted images on a network whose answers are known, beside people whose answers are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError
from src.core.result import Result
from src.methods.locality.decisions import decisions_table, read_decisions, write_decisions
from src.studies.out_of_distribution import study
from src.studies.protocol import study_options
from tests.fakes.study import FakeSession, network, run
from tests.studies.locality.test_study import ByColour, coloured

CATEGORIES = ("car", "cat", "dog")


@pytest.fixture
def distorted(tmp_path: Path) -> Path:
    """Of each category four images whose colour is its number, two of them grey where the condition is bw."""
    folder, trial = tmp_path / "set", 0
    for number, category in enumerate(CATEGORIES):
        for image in range(4):
            for condition in ("cr", "bw"):
                trial += 1
                colour = [0, 0, 0]
                colour[number if condition == "cr" or image < 2 else (number + 1) % 3] = 255
                path = (
                    folder / "session-1" / f"{trial:04}_cl_dnn_{condition}_{category}_40_n0000000{number}_{image}.png"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (colour[0], colour[1], colour[2])).save(path)
    return folder


def asked(place: Path, **changes: Any) -> Any:
    return study_options({"name": "out_of_distribution", "distorted": str(place), "rule": "mean", "observers": None,
                          "leave_out": [], "batch": 5, **changes})  # fmt: skip


def examined(classes: tuple[str, ...] = CATEGORIES) -> Examined:
    subject = replace(network(), model=ByColour().eval(), classes=classes, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Examined(subject, coloured(0), coloured(0))


def measured(place: Path, session: FakeSession, **changes: Any) -> tuple[Any, Result]:
    options = asked(place, **changes)
    study.check(options, None)
    found = study.estimate(examined(), options, run(session))
    result = Result("measure", "test")
    for panel in study.panels(found):
        result.add(panel)
    result.conclude(study.verdict(found))
    assert result.metrics.keys() <= study.opening(options, "a network", "images").terms.keys()
    boxes, _ = study.steps(found)
    assert f"{found.accuracy.value:.1%}" in [box.value for box in boxes]
    return found, result


def test_accuracy_by_condition(distorted: Path, tmp_path: Path) -> None:
    found, result = measured(distorted, FakeSession(tmp_path))
    assert {each.name: each.accuracy.value for each in found.conditions} == {"bw": 0.5, "cr": 1.0}
    assert found.accuracy.value == 0.75 and found.accuracy.n == 24 and found.comparison is None
    assert result.metrics["ood_accuracy"].low < 0.75 < result.metrics["ood_accuracy"].high
    assert result.screen == ["ood_accuracy"] and "observers" not in result.tables
    found, result = measured(distorted, FakeSession(tmp_path), leave_out=["cr"])
    assert found.accuracy.value == 0.5 and result.tables["ood_accuracy"]["counts"] == [True, False]
    table = read_decisions(tmp_path / "decisions.csv", CATEGORIES)
    assert table["session"].unique().tolist() == ["1"]
    assert table["condition"].value_counts().to_dict() == {"cr": 12, "bw": 12}
    assert (table["object_response"] == table["category"]).sum() == 18


def test_beside_people(distorted: Path, tmp_path: Path) -> None:
    found, _ = measured(distorted, FakeSession(tmp_path))
    names = [row["imagename"].replace("_dnn_", "_s01_") for row in found.decisions]
    right, conditions = ([row[key] for row in found.decisions] for key in ("category", "condition"))
    same = [row["object_response"] for row in found.decisions]
    others = tmp_path / "people"
    for observer, answers in (("subject-01", right), ("subject-02", same), ("resnet", ["dog"] * 24)):
        write_decisions(others / f"{observer}.csv", decisions_table(observer, names, answers, right, conditions))
    session = FakeSession(tmp_path)
    found, result = measured(distorted, session, observers=str(others))
    assert found.comparison is not None and not session.events
    ours = found.comparison.agreements["network"]
    # with the first person all of cr and half of bw, with the second all of both
    assert ours.observed == pytest.approx((0.75 + 1) / 2) and ours.kappa == pytest.approx(((1 + 0) / 2 + 1) / 2)
    assert ours.accuracy_difference == pytest.approx((0.25 + 0) / 2)
    assert found.comparison.ranks == {"network": 1.0, "resnet": 2.0}
    assert {each.name: each.people for each in found.conditions} == {"bw": 0.75, "cr": 1.0}
    assert found.comparison.ceiling is not None and found.comparison.ceiling.observed == pytest.approx(0.75)
    assert result.tables["observers"]["observer"] == ["network", "resnet", "people among themselves"]
    assert result.metrics["error_consistency"].value == pytest.approx(0.75)
    for path in others.glob("subject*"):
        path.unlink()
    measured(distorted, session, observers=str(others))
    assert session.events == ["study.observers: none is called subject-...; all are compared with, as people are"]


def test_what_cannot_be_is_told(distorted: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study\.leave_out=\['cl'\]: did you mean|known: bw, cr"):
        study.check(asked(distorted, leave_out=["cl"]), None)
    with pytest.raises(UserError, match="leaves no condition"):
        study.check(asked(distorted, leave_out=["cr", "bw"]), None)
    with pytest.raises(UserError, match=r"study\.distorted=.*no such folder"):
        study.check(asked(tmp_path / "nowhere"), None)
    with pytest.raises(UserError, match="the network has no class 'car'"):
        study.check(asked(distorted), coloured(3))
    with pytest.raises(UserError, match="the network has no class 'car'"):
        study.estimate(examined(("a", "b", "c")), asked(distorted), run(FakeSession(tmp_path)))
    write_decisions(tmp_path / "x.csv", decisions_table("subject-01", ["other.png"], ["cat"], ["cat"]))
    with pytest.raises(UserError, match="share no image"):
        measured(distorted, FakeSession(tmp_path), observers=str(tmp_path / "x.csv"))


def test_the_published_batch_changes_nothing(distorted: Path, tmp_path: Path) -> None:
    one, other = (measured(distorted, FakeSession(tmp_path), batch=batch)[0] for batch in (1, 24))
    assert one.decisions == other.decisions and torch.tensor(one.accuracy.value) == other.accuracy.value
