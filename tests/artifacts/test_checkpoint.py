"""What a file of weights is said to hold, by whom, and the round trips of the manual."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision

from src.artifacts import checkpoint as module
from src.artifacts.checkpoint import network_of
from src.artifacts.description import described
from src.artifacts.options import CheckpointOptions
from src.core.errors import UserError
from src.core.options import options_of
from src.networks.models import build
from src.networks.subjects import Subject, load_subject, save_description, save_subject
from tests.fakes.networks import ARCHITECTURE, SHAPE, images, subject

NULL = {"model": None, "classes": None, "normalisation": None, "training": "plain", "answers": "all"}
MODEL = {key: value for key, value in ARCHITECTURE.items() if key not in ("classes", "input_shape")}


def data(**changes: Any) -> Any:
    """The images that a file is measured on."""
    values: dict[str, Any] = {"classes": ("a", "b", "c"), "input_shape": SHAPE, "contrast": "none",
                              "normalisation": "train", "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0]}  # fmt: skip
    return SimpleNamespace(**values | changes)


def read(path: Path, given: Any = None, outputs: str = "/nowhere", **changes: Any) -> tuple[Subject, list[str]]:
    asked = options_of(CheckpointOptions, {"kind": "checkpoint", "path": str(path), **NULL, **changes}, "subject")
    description = described(asked, Path(outputs))

    def opened() -> Any:
        assert given is not None, "images are opened that nothing needs"
        return given

    return network_of(asked, description, opened)


def refusal(path: Path, given: Any = None, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        read(path, given, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def write(folder: Path, **plain: Any) -> Path:
    (folder / "subject.json").write_text(json.dumps(plain))
    return folder / "a.pth"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(subject().model.state_dict(), tmp_path / "a.pth")
    return tmp_path / "a.pth"


def test_everything_by_the_configuration(file: Path):
    given = {"mean": [0.5], "std": [0.25, 0.5, 1]}
    found, events = read(file, data(), model=MODEL, classes=["x", 1, "z"], normalisation=given)
    assert found.classes == ("x", "1", "z") and found.mean == (0.5,) * 3 and found.std == (0.25, 0.5, 1.0)
    assert found.architecture == ARCHITECTURE and events == [] and not found.model.training
    seen = torch.rand(2, *SHAPE)
    assert torch.equal(found.model(seen), subject().model(seen))
    found, _ = read(file, data(), model=MODEL, normalisation="mnist")
    assert found.mean == (0.1307,) * 3


def test_what_nobody_says_is_the_images_and_told(file: Path):
    found, events = read(file, data(contrast="global"), model=MODEL)
    assert found.classes == ("a", "b", "c") and found.mean == (0.1, 0.2, 0.3) and found.contrast == "global"
    assert events == [
        "subject.classes=null: its outputs are taken for the images' 3 classes, in order",
        "subject.normalisation=null: data.normalisation=train is taken for what it was trained with",
    ]
    found, _ = read(file, data(normalisation="imagenet", mean=[], std=[]), model=MODEL)
    assert found.mean == (0.485, 0.456, 0.406), "of test images alone nothing is measured"
    assert "needs images to train on, and there are none" in refusal(file, data(mean=[], std=[]), model=MODEL)


def test_the_description_says_it_without_images_and_the_configuration_goes_before(file: Path):
    write(
        file.parent, architecture={**MODEL, "input_shape": SHAPE}, classes=["x", "y", "z"], mean=[0.5] * 3, std=[1] * 3
    )
    found, events = read(file)
    assert found.architecture == ARCHITECTURE and found.classes == ("x", "y", "z") and found.mean == (0.5,) * 3
    assert events == [] and found.lineage == () and found.notes == {}
    found, _ = read(file, classes=["1", "2", "3"], normalisation="half")
    assert found.classes == ("1", "2", "3") and found.std == (0.5,) * 3
    assert "not the weights of p4_conv for 3 classes" in refusal(file, data(), model={"name": "p4_conv"})
    found, _ = read(file, model={"name": MODEL["name"], "dropout": 0.0})
    assert found.architecture == {**ARCHITECTURE, "dropout": 0.0}, "the same network: the file says the rest"


def test_a_network_of_this_project_is_read_as_it_always_was(tmp_path: Path):
    before = replace(subject(3, batch_norm=True), contrast="global", interpolation="bicubic", notes={"class": 1})
    path = save_subject(before, tmp_path)
    found, events = read(path)
    same = load_subject(path)
    for name in ("architecture", "classes", "mean", "std", "kept", "lineage", "notes", "contrast", "interpolation"):
        assert getattr(found, name) == getattr(same, name) == getattr(before, name), name
    assert not events and torch.equal(found.model(torch.ones(1, *SHAPE)), before.model(torch.ones(1, *SHAPE)))


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"clases": ["a"]}, "clases is not a setting; did you mean 'classes'?"),
        ({"classes": "cifar"}, "classes=cifar: allowed is null, a list of different names, or a known list"),
        ({"architecture": {"width": 1}}, "architecture.name: missing"),
        ({"mean": [0.5]}, "mean, std: one without the other"),
        ({"mean": [0.5], "std": [0]}, "std=[0]: allowed is"),
        ({"architecture": {"name": "simcn"}}, "did you mean 'simcnn'?"),
        ({"architecture": {"name": "patched", "input_shape": SHAPE}}, "model: describes no network"),
        ({"architecture": MODEL, "classes": ["a", "b"]}, "has 3 outputs, and there are 2 classes"),
        ({"architecture": {**MODEL, "classes": 4}}, "architecture.classes=4, and there are 3 names of classes"),
        ({"architecture": MODEL, "mean": [0, 1], "std": [1, 1]}, "is of 2 channels, the network's images have 3"),
    ],
)
def test_a_wrong_description_is_one_line_that_names_the_file(plain: Mapping[str, Any], said: str, file: Path):
    write(file.parent, **plain)
    told = refusal(file, data())
    assert said in told and str(file.parent) in told
    (file.parent / "subject.json").write_text("{")
    assert f"{file.parent / 'subject.json'}: cannot be read as JSON" in refusal(file, data())


def test_what_needs_no_weights_is_refused_first(tmp_path: Path):
    assert "it is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "a.pth")
    (tmp_path / "a.onnx").touch()
    assert "allowed is a file that ends in .pt, .pth" in refusal(tmp_path / "a.onnx")
    (tmp_path / "a.pth").touch()
    assert "nothing says which network its weights are of" in refusal(tmp_path / "a.pth")


def test_classes_and_channels_that_do_not_fit_are_both_named(tmp_path: Path, file: Path):
    said = refusal(file, data(classes=tuple("abcde")), model=MODEL)
    assert "the network in it has 3 outputs, and there are 5 classes" in said
    said = refusal(file, data(input_shape=(1, 12, 12)), model=MODEL)
    assert "the network in it takes images of 3 channels, and these have 1" in said
    said = refusal(file, data(input_shape=(1, 12, 12), classes=tuple("abcde")), model=MODEL)
    assert "not the weights of simcnn_svhn_weak for 5 classes and images of (1, 12, 12): of another shape: " in said


@pytest.mark.parametrize("small", [True, False])
def test_the_stem_of_a_residual_network_is_told(small: bool, tmp_path: Path):
    model = {"name": "torchvision:resnet18"}
    right = build({**model, "classes": 3, "input_shape": (3, 32, 32), "small_images": small})
    torch.save(right.state_dict(), tmp_path / "a.pth")
    wrong = {**model, "small_images": not small}
    said = refusal(tmp_path / "a.pth", data(input_shape=(3, 32, 32)), model=wrong)
    assert said.endswith(f"(of the stem: subject.model.small_images={str(small).lower()})")


@pytest.mark.parametrize("more", [{"weights": "DEFAULT"}, {"weights_backbone": "DEFAULT"}])
def test_no_other_weights_are_fetched(more: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("was fetched"))
    torch.save(torchvision.models.squeezenet1_1(num_classes=3).state_dict(), tmp_path / "a.pth")
    path = write(tmp_path, architecture={"name": "torchvision:squeezenet1_1", **more})
    found, events = read(path, data(input_shape=(3, 32, 32)))
    told = f"subject.path: the weights are the file's; not looked at: {next(iter(more))}=DEFAULT"
    assert found.classes == ("a", "b", "c") and told in events and not more.keys() & found.architecture.keys()


def test_no_other_file_is_read_for_a_network_of_timm(tmp_path: Path):
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "a.pth")
    other = {"name": "timm:test_resnet", "checkpoint_path": str(tmp_path / "nowhere.pth"), "pretrained": True}
    found, _ = read(write(tmp_path, architecture=other), data(input_shape=(3, 64, 64)))
    assert set(found.architecture) == {"name", "classes", "input_shape", "small_images"}


CODE = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("imported").touch()


class Net(nn.Sequential):
    def __init__(self, classes, input_shape):
        super().__init__(nn.Flatten(), nn.Linear(432, classes))
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose description builds it by code, which leaves a trace when it is imported."""
    (tmp_path / "stranger.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 3)).state_dict(), tmp_path / "a.pth")
    yield write(tmp_path, architecture={"name": "python:stranger:Net"})
    sys.modules.pop("stranger", None)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_description_imports_no_code_unless_the_user_names_it(hidden: bool, foreign: Path):
    if hidden:  # within a network that is made of others
        inner = {"name": "python:stranger:Net", "classes": 3, "input_shape": SHAPE}
        outer = {"name": "restricted", "input_shape": SHAPE, "numbers": [0, 1, 2], "model": inner, "kept": None}
        tensors = {f"model.{name}": value for name, value in torch.load(foreign).items()}
        torch.save(tensors, write(foreign.parent, architecture=outer))
    said = refusal(foreign, data())
    assert "builds the network by code (python:stranger:Net), which no file may start by itself" in said
    assert said.endswith("add model@subject.model=python subject.model.name=python:stranger:Net")
    assert not (foreign.parent / "imported").exists() and "stranger" not in sys.modules
    found, _ = read(foreign, data(), model={"name": "python:stranger:Net"})
    assert (foreign.parent / "imported").exists() and found.model(torch.ones(1, *SHAPE)).shape == (1, 3)


@pytest.mark.parametrize("name", ["manifest.json", "result.json"])
def test_what_a_job_of_ours_left_may_be_built_as_its_configuration_said(name: str, foreign: Path, tmp_path: Path):
    folder = tmp_path / "outputs" / "job" / "modules"
    folder.mkdir(parents=True)
    path = foreign.rename(folder / "a.pth")
    (foreign.parent / "subject.json").rename(folder / "subject.json")
    record = folder.parent / name
    record.write_text(json.dumps({"recipe": {"model": {"name": "python:another:Net"}}}))
    assert "by code" in refusal(path, data(), outputs=str(tmp_path / "outputs"))
    record.write_text(json.dumps({"recipe": {"model": {"name": "python:stranger:Net"}}}))
    assert "by code" in refusal(path, data(), outputs=str(tmp_path / "other"))
    assert read(path, data(), outputs=str(tmp_path / "outputs"))[0].architecture["name"] == "python:stranger:Net"


def test_in_python_too_code_is_imported_where_it_is_asked_for(foreign: Path):
    found, _ = read(foreign, data(), model={"name": "python:stranger:Net"})
    path = save_subject(found, foreign.parent / "saved")
    with pytest.raises(UserError, match="by code, python:stranger:Net; if you trust it, load with code=True"):
        load_subject(path)
    assert load_subject(path, code=True).architecture == found.architecture


def test_code_that_has_changed_since_is_told(foreign: Path):
    found, _ = read(foreign, data(), model={"name": "python:stranger:Net"})
    save_description(found, foreign.parent)
    assert read(foreign, model={"name": "python:stranger:Net"})[1] == []
    plain = json.loads((foreign.parent / "subject.json").read_text())
    write(foreign.parent, **plain | {"code": {"name": "0"}})
    found, events = read(foreign, model={"name": "python:stranger:Net"})
    assert found.notes == {"code_changed": True} and "is not the one that its weights were saved with" in events[0]


MANUAL = Path(module.__file__).parents[1] / "networks" / "README.md"
CONVERT, OURS, THEIRS = re.findall(
    r"^```python\n(.*?)^```", MANUAL.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def test_the_manuals_lines_bring_a_network_of_torch_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    names: dict[str, Any] = {}
    exec(OURS, names)
    found, events = read(Path("folder/mine.pth"), data(input_shape=(3, 32, 32)))
    seen = torch.rand(2, 3, 32, 32)
    assert torch.equal(found.model(seen), names["model"].eval()(seen))
    assert found.classes == ("disc", "ring", "bar") and found.mean == (0.5,) * 3 and found.std == (0.25,) * 3
    assert events == []
    assert [len(lines.replace("\n\n", "\n").splitlines()) for lines in (CONVERT, OURS, THEIRS)] == [3, 5, 5]


def test_the_manuals_lines_read_a_network_of_ours_without_this_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    architecture = {"name": "torchvision:resnet18", "small_images": False, "classes": 3, "input_shape": [3, 32, 32]}
    ours = Subject(build(architecture).eval(), architecture, ("a", "b", "c"), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    save_subject(ours, Path("folder"))
    shown = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    names: dict[str, Any] = {"images": shown}
    exec(THEIRS, names)
    assert "src" not in THEIRS
    assert torch.allclose(names["logits"], ours.model(ours.normalise(shown)), atol=1e-5)


def test_the_manuals_lines_convert_a_file_with_code_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for content in (subject().model, {"state_dict": subject().model.state_dict(), "hparams": SimpleNamespace(a=1)}):
        torch.save(content, "old.ckpt")
        assert "holds more than weights" in refusal(Path("old.ckpt"), data(), model=MODEL)
        exec(CONVERT, {})
        found, _ = read(Path("old_weights.pth"), data(), model=MODEL)
        assert torch.equal(found.model(found.normalise(images())), subject().model(found.normalise(images())))
