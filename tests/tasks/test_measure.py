"""The task and the study of robustness: which images, which options, what a result says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.artifacts.examined_subject import Examined
from src.artifacts.options import ImagesOptions, TrainedOptions
from src.core.errors import UserError
from src.core.options import options_of
from src.core.paths import CONF
from src.core.result import Result
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.statistics.calibration import fit_temperature
from src.studies.protocol import studies
from src.studies.robustness import study
from src.studies.robustness.options import Options
from src.tasks import measure as task
from src.tasks.measure import measure
from src.tasks.options import Measure
from tests.fakes.artifacts import artifacts
from tests.fakes.imagenet import CLASSES, write_imagenet
from tests.fakes.study import FakeSession, network, pictures, run

CHOSEN = {
    "name": "robustness", "corruptions": ["brightness"], "severities": [1, 3], "images": None, "files": None,
    "reference": None, "temperature": "none", "batch": 8,
    "unknown": {"source": {"name": "digits", "size": 16, "channels": 3}},
}  # fmt: skip


def options(**changes) -> Options:
    return options_of(Options, {key: value for key, value in {**CHOSEN, **changes}.items() if key != "name"}, "study")


def ask(recipe=None, **options) -> Result:
    """The task, of a file or of a network that would be trained by ``recipe``."""
    subject = {"kind": "checkpoint", "path": "net.pth"} if recipe is None else {"kind": "trained"}
    networks = ImagesOptions({}) if recipe is None else TrainedOptions(recipe)
    return measure(Measure(subject, {**CHOSEN, **options}, 0, 20), networks, artifacts())


def examined(count: int = 24) -> Examined:
    own = network()
    labels = (torch.arange(count) * 5) % 3
    test = ImageSet(pictures(count), labels, own.classes)
    return Examined(own, test, ImageSet(pictures(40, seed=2), torch.arange(40) % 3, own.classes), ("digest",))


def measured(session=None, **changes) -> Result:
    result = Result("measure", "n")
    findings = study.estimate(examined(), options(**changes), run(session))
    result.add(*study.panels(findings))
    result.conclude(study.verdict(findings))
    return result


def test_every_study_has_its_file_of_the_configuration():
    assert set(studies()) == {path.stem for path in (CONF / "study").glob("*.yaml")}
    with pytest.raises(UserError, match=r"study.name=robustnes: did you mean 'robustness'"):
        ask(name="robustnes")


def test_fewer_images_are_an_event():
    session = FakeSession()
    result = measured(session, images=5)
    assert "study.images=5: 5 of 24 test images" in session.events
    assert result.metrics["clean_accuracy"].n == 5 and "5 test images" in result.captions["robustness"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corruptions": ["fogg"]}, "no 'fogg'"),
        ({"corruptions": "fog"}, "study.corruptions=fog: allowed is all, or a list of names"),
        ({"severities": [6]}, r"study.severities=\[6\]: allowed is a list of different ones of 1, 2, 3, 4, 5"),
        ({"severities": [2, 2]}, r"severities=\[2, 2\]: allowed are different ones of 1, 2, 3, 4, 5"),
        ({"temperature": "fitt"}, "study.temperature=fitt: allowed is none, fit; did you mean 'fit'"),
        ({"images": 0}, "study.images=0: allowed is null or a whole number from 1"),
        ({"severitys": [1]}, "study.severitys is not a setting; did you mean 'severities'"),
        ({"files": "/nowhere"}, "study.files=/nowhere: no such folder"),
        ({"reference": "/nowhere"}, "study.reference=/nowhere: no result can be read"),
        (
            {"unknown": {"source": {"name": "digit"}}},
            "study.unknown.source.name=digit: no such source; did you mean 'digits'",
        ),
        ({"unknown": {"source": {"name": "digits"}, "clases": None}}, "study.unknown.clases is not a setting; did you"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_trains(changes, said, monkeypatch):
    monkeypatch.setattr(task, "subject_of", lambda *_: pytest.fail("trained"))
    with pytest.raises(UserError, match=said):
        ask(**changes)
    study.check(options(), None)


DIGITS = {"source": {"name": "digits", "size": 16, "channels": 3, "test_fraction": 0.3}}


def refusal(monkeypatch, recipe=None, **options) -> str:
    """What is said before the network would be trained."""
    monkeypatch.setattr(task, "subject_of", lambda *_: pytest.fail("trained"))
    with pytest.raises(UserError) as error:
        ask(recipe, **options)
    return str(error.value)


def test_known_classes_are_refused_before_the_network_is_trained(monkeypatch):
    said = refusal(monkeypatch, {"data": {**DIGITS, "classes": [3, 4]}})
    assert said.startswith("study.unknown: its class '3' is one of the network's")


def test_files_that_lack_a_corruption_are_refused_before_the_network_is_trained(tmp_path, monkeypatch):
    both = {"files": str(tmp_path), "corruptions": ["brightness", "fog"]}
    assert "has neither labels.npy (CIFAR-10-C) nor folders such as brightness/1" in refusal(monkeypatch, **both)
    (tmp_path / "brightness" / "1").mkdir(parents=True)
    assert f"study.files={tmp_path}: has no brightness/3; add it" in refusal(monkeypatch, **both)
    for name in ("labels", "brightness"):
        np.save(tmp_path / f"{name}.npy", np.zeros(5, np.uint8))
    assert f"study.files={tmp_path}: has no fog.npy; add it" in refusal(monkeypatch, **both)


def test_files_of_other_images_are_refused_before_the_network_is_trained(tmp_path, monkeypatch):
    data = ImageData(**DIGITS)
    data.setup()
    count = len(data.sets["test"])
    np.save(tmp_path / "labels.npy", data.sets["test"].labels.roll(1).repeat(5).numpy())
    np.save(tmp_path / "brightness.npy", np.zeros((5 * count, 16, 16, 3), np.uint8))
    glyphs = {"source": {"name": "glyphs", "size": 16, "train_per_class": 2, "test_per_class": 1}, "classes": [0, 1]}
    said = refusal(monkeypatch, {"data": DIGITS}, files=str(tmp_path), unknown=glyphs)
    assert "the labels of severity 1 are not those of the" in said


def test_unknown_images_may_stay_in_files(tmp_path):
    root = write_imagenet(tmp_path, train=4, test=1)
    session = FakeSession()
    streamed = {
        "source": {"name": "imagenet", "root": str(root), "size": 24},
        "splits": {"validation": 1},
        "workers": 0,
    }
    result = measured(session, unknown=streamed)
    assert "study.unknown: images of (3, 24, 24) resized to (3, 16, 16)" in session.events
    assert f"against {len(CLASSES)} images of 'imagenet'" in result.captions["unknown_classes"]
    study.check(options(unknown=streamed), None)


def test_a_network_that_did_not_train_is_not_measured(monkeypatch):
    monkeypatch.setattr(task, "subject_of", lambda *_: replace(examined(), problem="did not train"))
    monkeypatch.setattr(study, "under_corruption", lambda *_, **__: pytest.fail("measured"))
    result = ask()
    assert (result.verdict_kind, result.verdict, result.uses) == ("no verdict", "did not train", ["digest"])
    assert result.opening is not None and result.opening.title.endswith("?")


def test_the_metrics_are_those_of_the_tables(monkeypatch):
    monkeypatch.setattr(task, "subject_of", lambda *_: examined())
    result = ask()
    own, labels = examined().subject, examined().test.labels
    with torch.no_grad():
        right = own.model(own.normalise(pictures(24))).argmax(1) == labels
    assert result.metrics["clean_accuracy"].value == pytest.approx(right.double().mean().item())
    assert result.tables["severities"]["accuracy"][0] == pytest.approx(result.metrics["clean_accuracy"].value)
    assert result.metrics["corrupted_accuracy"].value == result.tables["robustness"]["corrupted_accuracy"][0]
    assert result.metrics["parameters"].value == sum(p.numel() for p in own.model.parameters())
    assert "mce" not in result.metrics
    assert f": {right.double().mean():.1%} of the clean and " in result.verdict
    assert all(name in result.tables for name in result.screen)


def test_a_fitted_temperature_changes_confidence_and_no_answer():
    session = FakeSession()
    plain, fitted = measured(), measured(session, temperature="fit")
    own, held_out = examined().subject, examined().calibration
    with torch.no_grad():
        logits = own.model(own.normalise(held_out.images))
    temperature = f"{fit_temperature(logits, held_out.labels):.3f}"
    assert f"study.temperature=fit: logits are divided by {temperature}, from 40 images" in session.events
    assert fitted.metrics["clean_accuracy"] == plain.metrics["clean_accuracy"]
    after, before = fitted.tables["calibration"]["ece"]
    assert before == plain.tables["calibration"]["ece"][0] != after
    assert fitted.tables["calibration"]["network"] == ["network", "without temperature"]


def test_unknown_images_of_another_size_are_resized_and_of_known_classes_refused():
    session = FakeSession()
    measured(session, unknown={"source": {"name": "digits", "size": 8, "channels": 1}})
    assert "study.unknown: images of (1, 8, 8) resized to (3, 16, 16)" in session.events
    own = examined()
    known = replace(own, test=replace(own.test, classes=("class 0", "3", "class 1")))
    with pytest.raises(UserError, match=r"study.unknown: its class '3' is one of the network's"):
        study.estimate(known, options(), run())
