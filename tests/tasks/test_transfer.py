"""Experts below other routers and on images of another look: what is trained, how it is summed up, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.core.result import Result, rows
from src.core.store import Store
from src.data.opening import data_module
from src.methods.hierarchy.tree import from_superclasses
from src.report.session import Session
from src.statistics.bootstrap import Resampled
from src.studies.transfer.data import SCRATCH, WARM, TargetImages, _add, _Expert
from src.tasks.transfer import transfer
from tests.tasks.composing import configured

NAMES = ["star5", "disc", "star6", "ring", "bar", "cross", "square", "hexagon"]


def ask(folder: Path, *overrides: str) -> tuple[Result, Store]:
    classes = [f"data.classes={_list(NAMES)}", f"target.classes={_list([*reversed(NAMES), 'tee'])}"]
    few = ["images_per_class=[2,4]", "experts=2"]
    config = configured(folder, "task=transfer", *classes, *few, *(overrides or ["other_tree.groups=2"]))
    store = Store(folder / "store")
    return transfer(config, store, Session(config, folder / "job", quiet=True)), store


def _list(names: list[str]) -> str:
    return f"[{','.join(names)}]"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Store]:
    return ask(tmp_path_factory.mktemp("transfer"))


def test_experts_are_moved_and_not_trained_again(done: tuple[Result, Store]) -> None:
    result, store = done
    source, moved, anew = rows(result.tables["trees"])
    assert (source["modules"], source["moved"], source["trained"]) == (5, 0, 5)
    # two groups of two superclasses: a root, two routers, and the four experts that are there
    assert (moved["modules"], moved["moved"], moved["trained"]) == (7, 4, 3)
    assert (anew["modules"], anew["moved"], anew["trained"]) == (7, 0, 7)
    assert moved["steps"] < anew["steps"] and moved["training_macs"] < anew["training_macs"]
    assert result.metrics["moving_saves"].value == pytest.approx(1 - moved["training_macs"] / anew["training_macs"])
    assert moved["against_anew"] == pytest.approx(moved["accuracy"] - anew["accuracy"])
    few = 2 * 2 * 2  # experts, numbers of images, starts
    assert len(list(store.entries())) == 5 + 3 + 4 + few
    assert set(result.uses) == {entry.digest for entry in store.entries()}


def test_few_images_take_as_many_steps_as_many(done: tuple[Result, Store]) -> None:
    result, store = done
    assert {(row["start"], row["images_per_class"]) for row in rows(result.tables["curve"])} == {
        (WARM, 0), (WARM, 2), (WARM, 4), (SCRATCH, 2), (SCRATCH, 4)
    }  # fmt: skip
    lengths = [
        len(json.loads((entry.folder / "history.json").read_text()))
        for entry in store.entries()
        if (entry.folder / "history.json").exists()
    ]
    assert set(lengths) == {1}  # at most 8 images in a batch of 32: one step each


def test_the_targets_images_get_the_numbers_of_the_source() -> None:
    options = {"source": {"name": "glyphs", "size": 16, "train_per_class": 8, "test_per_class": 3}}
    options["splits"] = {"validation": 2, "calibration": 0}  # type: ignore[dict-item]
    data = data_module(options)(**options, classes=["disc", "bar", "star6", "star5"])
    data.setup()
    tree = from_superclasses(["star5", "star6", "disc", "ring"], ["star", "star", "round", "round"])
    part = TargetImages(data, torch.tensor([2, -1, 1, 0])).below(tree, tree.node("star"))
    assert part.classes == ("star5", "star6")
    test, own = data.sets["test"], part.sets["test"]
    for name, old in (("star5", 3), ("star6", 2)):
        here = own.images[own.labels == part.classes.index(name)]
        assert torch.equal(here, test.images[test.labels == old])
    assert len(own) == 6


def constant(value: float) -> Resampled:
    return Resampled(value, torch.full((50,), value, dtype=torch.float64))


def test_gains_are_means_over_experts_with_their_interval() -> None:
    few = {(WARM, 4): 0.9, (SCRATCH, 4): 0.5, (WARM, 8): 0.9, (SCRATCH, 8): 0.8}
    other = {(WARM, 4): 0.7, (SCRATCH, 4): 0.5, (WARM, 8): 0.7, (SCRATCH, 8): 0.8}
    experts = [
        _Expert(name, 0.25, constant(0.95), constant(zero), {key: constant(value) for key, value in own.items()})
        for name, zero, own in (("a", 0.6, few), ("b", 0.4, other))
    ]
    result = Result("transfer", "test")
    said = _add(result, experts, [4, 8], {"seed": 0})
    gain = result.metrics["gain"]
    assert gain.value == pytest.approx(0.3) and (gain.n, gain.unit) == (2, "experts")
    assert (gain.low, gain.high) == pytest.approx((0.2, 0.4))  # both the one or both the other expert
    assert [row["gain"] for row in rows(result.tables["gain"])] == pytest.approx([0.3, 0.0])
    assert [row["over_zero_shot"] for row in rows(result.tables["gain"])] == pytest.approx([0.3, 0.3])
    assert [row["gain"] for row in rows(result.tables["experts"])] == pytest.approx([0.4, 0.1, 0.2, -0.1])
    curve: dict[Any, float] = {
        (row["start"], row["images_per_class"]): row["accuracy"] for row in rows(result.tables["curve"])
    }
    assert curve[WARM, 0] == pytest.approx(0.5) and curve[SCRATCH, 8] == pytest.approx(0.8)
    assert "gains +30.0 points [+20.0, +40.0] over 2 experts (80.0% against 50.0%" in said
    assert "chance is 25%" in result.captions["curve"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([f"target.classes={_list(NAMES[1:])}"], r"^target: has no class 'star5'"),
        (["target.source.size=16"], r"^target: images of shape \(3, 16, 16\)"),
        (["data@target=digits", "target.classes=null"], r"^target: has no class 'star5'"),  # a source with other keys
        (["+few.epochs=3"], r"^few\.epochs: a recipe has no such part"),
        (["+few.training.epoch=3"], r"^few\.training\.epoch is not a setting; did you mean 'epochs'"),
        (["other_tree.groups=3"], r"^other_tree\.groups=3: 4 classes can be put into 2 to 2 groups"),
        (
            ["tree@other_tree=file", "other_tree.path=/nowhere.json"],
            r"^other_tree\.path=/nowhere\.json: cannot be read",
        ),
        (["tree@other_tree=data"], r"^other_tree\.name=data: this data set has no tree.*take tree@other_tree=file or"),
        (["tree@other_tree=random"], r"^other_tree\.name=random: no expert of tree\.name=superclasses stands in it"),
        (["experts=5"], r"^experts=5: the tree has 4; take 1 to 4"),
        (["images_per_class=[]"], r"^images_per_class=\[\]: allowed is a list of whole numbers from 1"),
        (["data.contrast=zca"], r"^data\.contrast=zca: whitening is fitted to one data set"),
    ],
)
def test_what_is_refused_before_anything_trains(overrides: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as error:
        ask(tmp_path, *overrides)
    assert "\n" not in str(error.value)
    assert not list(Store(tmp_path / "store").entries())


def test_what_is_wrong_in_the_other_trees_file_is_said_of_it(tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    file.write_text(json.dumps({"star": ["star5", "star6"], "rest": [*NAMES[1:2], *NAMES[3:], "disk"]}))
    with pytest.raises(UserError, match=r"^other_tree: class 'disk' is not in the data; did you mean 'disc'"):
        ask(tmp_path, "tree@other_tree=file", f"other_tree.path={file}")
    assert not list(Store(tmp_path / "store").entries())


def test_modules_are_those_of_a_composition(tmp_path: Path) -> None:
    composition, own, change = (configured(tmp_path, f"task={task}") for task in ("compose", "transfer", "add_class"))
    for role in ("router", "expert"):
        assert composition[role] == own[role] == change[role]
    assert composition["monolith"] == change["monolith"]
    assert composition["monolith"]["data"] == own["data"]
