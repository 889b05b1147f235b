"""A user's own study and network in a folder of his own: no file of the project is edited."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import ROOT, TINY, Run
from tests.end_to_end.fake_photographs import write_photographs

OPTIONS = '''
"""What the study of brightness is asked."""

from src.core.options import Count, options


@options
class Options:
    steps: Count
    batch: Count
'''

STUDY = '''
"""Does a network answer otherwise where its images are darker?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from methods.darkening import darker
from src.core.estimate import Estimate
from src.core.result import Figure, Panel, Verdict
from src.networks.activations import predict
from src.statistics.bootstrap import proportion
from studies.brightness.options import Options


@dataclass(frozen=True)
class Findings:
    levels: list[float]
    accuracy: list[Estimate]


def check(options, images):
    pass


def estimate(examined, options: Options, run) -> Findings:
    subject, test = examined.subject, examined.test
    levels = [1 - step / options.steps for step in range(options.steps)]
    accuracy = []
    with run.session.stage("brightness", options.steps) as advance:
        for level in levels:
            images = darker(test.images, level)
            right = predict(subject.model, subject.normalise(images)).argmax(1) == test.labels
            accuracy.append(proportion(int(right.sum()), len(right), unit="images"))
            advance()
    return Findings(levels, accuracy)


def panels(findings: Findings) -> Iterator[Panel]:
    rows = [{"level": level, **accuracy.columns("accuracy")}
            for level, accuracy in zip(findings.levels, findings.accuracy)]
    yield Panel("Brightness", "brightness", rows, "Images times the level.", {"accuracy": "%"},
                [Figure("lines", "brightness", "Accuracy in the dark", x="level", y="accuracy", percent=True)])


def verdict(findings: Findings) -> Verdict:
    lost = findings.accuracy[0].value - findings.accuracy[-1].value
    return Verdict(f"the darkest images cost {lost:.1%}", metrics={"lost": Estimate(lost)}, units={"lost": "points"},
                   screen=["brightness"])
'''

METHOD = """
def darker(images, level):
    return (images.float() * level).to(images.dtype)
"""

NETWORK = """
from torch import nn

from layers import HIDDEN


def net(classes, input_shape):
    channels, height, width = input_shape
    return nn.Sequential(nn.Conv2d(channels, HIDDEN, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(4 * HIDDEN, classes))
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    files = {
        "studies/brightness/options.py": OPTIONS,
        "studies/brightness/study.py": STUDY,
        "methods/darkening.py": METHOD,
        "nets.py": NETWORK,
        "layers.py": "HIDDEN = 8\n",
        "conf/study/brightness.yaml": "# Darker images\nname: brightness\nsteps: 3\nbatch: 64\n",
        "conf/model/mine.yaml": "name: python:nets:net\n",
    }
    for name, text in files.items():
        path = tmp_path / "my folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "my folder"


@pytest.mark.parametrize("launcher", ["basic", pytest.param("cores", marks=pytest.mark.slow)])
def test_an_own_study_of_two_subjects(run: Run, tmp_path: Path, mine: Path, launcher: str):
    ran = run(tmp_path / "out", "-m", "task=measure", "study=brightness", f"own={mine}",
              "subject=trained,extracted", f"hydra/launcher={launcher}", *TINY)  # fmt: skip
    assert ran.code == 0, ran.text
    assert {result["row"]["subject"] for result in ran.results} == {"trained", "extracted"}
    titles = {result["opening"]["title"] for result in ran.results}
    subjects = ("a SimCNN", "the modules of a SimCNN")
    assert titles == {f"Brightness of {subject} (drawn shapes)" for subject in subjects}
    for result in ran.results:
        assert result["row"]["study"] == "brightness" and "lost" in result["metrics"]
        assert pq.read_table(result["folder"] / "tables" / "brightness.parquet").num_rows == 3


def test_an_edited_own_study_runs_again(run: Run, tmp_path: Path, mine: Path):
    line = ("-m", "task=measure", "study=brightness", f"own={mine}", "seed=0,1", *TINY)
    assert run(tmp_path / "out", *line).code == 0
    assert "2 of 2 jobs are done already" in run(tmp_path / "out", *line).text
    (mine / "methods" / "darkening.py").write_text(METHOD.replace("* level", "* level / 2"))
    edited = run(tmp_path / "out", *line)
    assert edited.code == 0 and "done already" not in edited.text


def test_an_edited_own_network_is_trained_anew(run: Run, tmp_path: Path, mine: Path):
    line = ("task=train", "model@recipe.model=mine", f"own={mine}", *TINY)
    first = run(tmp_path / "out", *line)
    assert first.code == 0, first.text
    same = run(tmp_path / "out", *line)
    assert same.result["metrics"] == first.result["metrics"] and len(same.store) == 1
    (mine / "layers.py").write_text("HIDDEN = 9\n")  # of what it imports from the same folder
    edited = run(tmp_path / "out", *line)
    assert edited.code == 0, edited.text
    assert len(edited.store) == 2
    results = {result["identity"]: result for result in edited.results}
    assert len(results) == 2
    told = [any("its source has changed" in event for event in result["events"]) for result in edited.results]
    assert told == [False, True]


def test_help_shows_the_options_of_an_own_study(run: Run, tmp_path: Path, mine: Path):
    ran = run(tmp_path / "out", "task=measure", "study=brightness", f"own={mine}", "--help")
    assert ran.code == 0 and "study.steps=3" in ran.text and "a whole number from 1" in ran.text


def test_what_is_missing_is_one_line(run: Run, tmp_path: Path, mine: Path):
    nowhere = run(tmp_path / "out", "task=measure", f"own={tmp_path / 'nowhere'}", *TINY)
    assert nowhere.code == 2 and "no such folder" in nowhere.text
    unknown = run(tmp_path / "out", "task=measure", "study=brightnes", f"own={mine}", *TINY)
    assert unknown.code == 2 and "did you mean 'brightness'?" in unknown.text
    bad = run(tmp_path / "out", "task=measure", "study=brightness", f"own={mine}", "study.steps=0", *TINY)
    assert bad.code == 2 and "study.steps=0: allowed is a whole number from 1" in bad.text
    (mine / "conf" / "study" / "brightness.yaml").rename(mine / "conf" / "study" / "dark.yaml")
    without = run(tmp_path / "out", "task=measure", "study=brightness", f"own={mine}", *TINY)
    assert without.code == 2 and "write conf/study/brightness.yaml in your folder" in without.text
    (mine / "conf" / "study" / "dark.yaml").rename(mine / "conf" / "study" / "brightness.yaml")
    (mine / "studies" / "brightness" / "study.py").unlink()
    unwritten = run(tmp_path / "out", "task=measure", "study=brightness", f"own={mine}", *TINY)
    assert unwritten.code == 2 and "study.py is missing; a study needs options.py and study.py there" in unwritten.text
    nameless = run(tmp_path / "out", "task=measure", "study=zzz", *TINY)
    assert nameless.code == 2 and "your own is found by own=FOLDER" in nameless.text
    (mine / "studies" / "robustness").mkdir()
    (mine / "studies" / "robustness" / "study.py").write_text("")
    clash = run(tmp_path / "out", "task=measure", "study=brightness", f"own={mine}", *TINY)
    assert clash.code == 2 and "give yours another name" in clash.text


def walk() -> list[list[str]]:
    """The commands on own images of conf/README.md, as lists of arguments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "conf" / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.partition(" src.run ")[2]) for line in lines if "data_root=photos" in line]


@pytest.mark.slow
@pytest.mark.parametrize("command", walk(), ids=" ".join)
def test_the_walk_through_own_images_network_and_study(run: Run, tmp_path: Path, mine: Path, command: list[str]):
    write_photographs(tmp_path / "photos")
    places = {"data_root=photos": f"data_root={tmp_path / 'photos'}", "own=mine": f"own='{mine}'"}
    more = ["data@unknown=glyphs_small"] if "experiment=modular_own" in command else []
    ran = run(tmp_path / "out", *(places.get(word, word) for word in command), *more, *TINY)
    assert ran.code == 0, ran.text
    (classes,) = {name for result in ran.results for name in result["tables"] if name == "classes"}
    assert ran.result["events"][0].startswith("data.source.size=auto: 32 pixels") and classes


def test_the_walk_has_every_own_thing():
    words = {word.partition("=")[0] for command in walk() for word in command}
    assert {"data_root", "own", "study", "target_class", "model@recipe.model"} <= words and len(walk()) == 4
