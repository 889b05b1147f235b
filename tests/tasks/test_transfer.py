"""Experts below other routers and on images of another look: what is trained, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.result import Result, rows
from src.core.store import Store
from src.studies.transfer.few_images import SCRATCH, STARTS, WARM
from src.tasks.transfer import transfer
from tests.tasks.composing import asked, asking_all, configured

NAMES = ["star5", "disc", "star6", "ring", "bar", "cross", "square", "hexagon"]


CLASSES = [f"data.classes=[{','.join(NAMES)}]", f"target.classes=[{','.join([*reversed(NAMES), 'tee'])}]"]
FEW = ["images_per_class=[2,4]", "experts=2"]


def ask(folder: Path, *overrides: str) -> tuple[Result, Store]:
    options, artifacts = asked(folder, "task=transfer", *CLASSES, *FEW, *(overrides or ["other_tree.groups=2"]))
    return transfer(options, artifacts), artifacts.store


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
        (STARTS[WARM], 0), (STARTS[WARM], 2), (STARTS[WARM], 4), (STARTS[SCRATCH], 2), (STARTS[SCRATCH], 4)
    }  # fmt: skip
    lengths = [
        len(json.loads((entry.folder / "history.json").read_text()))
        for entry in store.entries()
        if (entry.folder / "history.json").exists()
    ]
    assert set(lengths) == {1}  # at most 8 images in a batch of 32: one step each


def test_no_verdict_where_a_network_did_not_train(done: tuple[Result, Store]) -> None:
    """With few images any accuracy is a finding, unless somebody asks for one."""
    assert done[0].verdict_kind != "no verdict"
    options, artifacts = asked(done[1].root.parent, "task=transfer", *CLASSES, *FEW, "other_tree.groups=2")
    for changed, who in (
        ({"router": asking_all(options.router)}, "the module 'root' reached "),
        ({"few": asking_all(options.few)}, "the expert 'star' with 2 images per class, warm start, reached "),
    ):
        result = transfer(replace(options, **changed), artifacts)
        assert result.verdict_kind == "no verdict" and result.metrics
        assert result.verdict.startswith(f"did not train, no verdict: {who}")


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
        (
            ["tree@other_tree=random", "other_tree.like=file"],
            r"^other_tree\.like=file: allowed are superclasses, data",
        ),
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
