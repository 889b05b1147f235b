"""The tree that a configuration names, and what a modular network of it would cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from src.artifacts.composed import tree_of
from src.artifacts.matching import matched_recipe, modules_cost
from src.artifacts.options import ComposedOptions
from src.artifacts.tree_modules import cap_of, node_images
from src.core.errors import UserError
from src.core.options import options_of
from src.networks.cost import cost
from src.networks.models import build
from tests.fakes.data import TinyData

SUPERCLASSES = ("warm", "cold", "cold")
MODEL = {"name": "maxout", "units": [4, 6], "pieces": 2, "hidden": [5], "hidden_pieces": 2, "width": 1.0}
RECIPE = {"model": MODEL}


class Events:
    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, text: str) -> None:
        self.events.append(text)


def images(superclasses: tuple[str, ...] | None = SUPERCLASSES) -> TinyData:
    data = TinyData()
    data.setup()
    data.sets = {part: replace(some, superclasses=superclasses) for part, some in data.sets.items()}
    return data


def tree(options: dict[str, Any], data: TinyData | None = None) -> Any:
    return tree_of(options, data or images(), lambda: torch.eye(3) * 8 + 1)


def config(**changes: Any) -> ComposedOptions:
    plain: dict[str, Any] = {
        "monolith": RECIPE, "router": RECIPE, "expert": RECIPE, "expert_cap": None, "match": "data",
        "modules": "separate", "finetune_epochs": 0, "control": "none", "tree": {}, "temperature": "none",
        "views": "whole", "seed": 0, "composition": {"rule": "soft", "m": 2, "beam": 3, "route": "image"},
    }  # fmt: skip
    return options_of(ComposedOptions, plain | changes)


def test_superclasses():
    found = tree({"name": "superclasses"})
    assert [node.children for node in found.nodes] == [("red", "cold"), ("green", "blue")]  # one class needs no expert
    with pytest.raises(UserError, match="has none"):
        tree({"name": "superclasses"}, images(None))


def test_a_file(tmp_path: Path):
    path = tmp_path / "tree.json"
    path.write_text(json.dumps({"light": ["red", "green"], "blue": None}))
    found = tree({"name": "file", "path": str(path)})
    assert [node.children for node in found.nodes] == [("light", "blue"), ("red", "green")]
    path.write_text(json.dumps({"light": ["red", "green"]}))
    with pytest.raises(UserError):
        tree({"name": "file", "path": str(path)})


def test_a_random_tree_has_the_other_ones_shape():
    own = tree({"name": "superclasses"})
    for seed in range(4):
        other = tree({"name": "random", "like": "superclasses", "seed": seed})
        assert [len(node.children) for node in other.nodes] == [len(node.children) for node in own.nodes]
        assert sorted(other.classes) == sorted(own.classes)


def test_one_line_for_what_is_not_there():
    with pytest.raises(UserError, match=r"tree\.name=superclass: .*superclasses"):
        tree({"name": "superclass"})
    with pytest.raises(UserError, match="tree=file"):
        tree({"name": "data"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "data"}, "other_tree.name=data: this data set has no tree of its own; take tree@other_tree=file or "
                           "tree@other_tree=clustered"),
        ({"name": "random", "like": "file", "seed": 0}, "other_tree.like=file: allowed are superclasses, data"),
        ({"name": "clustered", "groups": 2}, "other_tree.groups=2: 3 classes can be put into 2 to 1 groups of at least "
                                             "two classes"),
        ({"name": "file", "path": "/nowhere.json"}, "other_tree.path=/nowhere.json: cannot be read (No such file or "
                                                    "directory); give a JSON file"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_message_speaks_of_the_key_that_the_tree_has(options: dict[str, Any], message: str):
    with pytest.raises(UserError) as error:
        tree_of(options, images(), lambda: torch.eye(3), "other_tree")
    assert str(error.value) == message


def test_what_is_in_a_trees_file_is_said_of_its_key(tmp_path: Path):
    path = tmp_path / "tree.json"
    for nested, message in (
        ('{"light": ["red", "green"]}', "class 'blue' is missing"),
        ('{"light": ["red", "green"], "light": ["blue"]}', "'light' stands twice at one place"),
        ('{"light": ["red", "green", "blue", 1.5]}', "node 'light' holds 1.5"),
        ('{"light": [], "red": null, "green": null, "blue": null}', "node 'light' has no child"),
        ('{"light": ["red"], "green": null, "blue": null}', "node 'light' has one child"),
    ):
        path.write_text(nested)
        with pytest.raises(UserError, match=f"^other_tree: {message}"):
            tree_of({"name": "file", "path": str(path)}, images(), lambda: torch.eye(3), "other_tree")


def test_modules_cost_what_they_will_have():
    data = images()
    found = modules_cost(config(), tree({"name": "superclasses"}), data)
    own = [cost(build({**MODEL, "classes": 2, "input_shape": [3, 12, 12]}), (3, 12, 12)) for _ in range(2)]
    assert found.stored_parameters == sum(part.parameters for part in own)
    # one class stands at the root, two go through both modules
    assert found.hard_macs == pytest.approx(own[0].macs + own[1].macs * 2 / 3)


def test_a_shared_trunk_counts_once():
    data, own = images(), tree({"name": "superclasses"})
    apart, shared = modules_cost(config(), own, data), modules_cost(config(modules="trunk"), own, data)
    trunk = (3 * 9 + 1) * 8 + (4 * 9 + 1) * 12  # two convolutions of 4 and 6 units in 2 pieces each
    assert apart.stored_parameters - shared.stored_parameters == trunk


@pytest.mark.parametrize("match", ["parameters", "macs"])
def test_a_matched_monolith_is_the_smallest_that_reaches_it(match: str):
    data, own, session = images(), tree({"name": "superclasses"}), Events()
    recipe = matched_recipe(config(match=match), own, data, session)  # type: ignore[arg-type]
    wanted = modules_cost(config(), own, data)
    aim = wanted.stored_parameters if match == "parameters" else wanted.hard_macs

    def size(width: float) -> int:
        network = build({**MODEL, "width": width, "classes": 3, "input_shape": [3, 12, 12]})
        found = cost(network, (3, 12, 12))
        return found.parameters if match == "parameters" else found.macs

    width = recipe["model"]["width"]
    assert size(width) >= 0.99 * aim and size(width - 0.2) < aim
    assert match in session.events[0] and str(width) in session.events[0]


def test_matching_by_data_leaves_the_size():
    session = Events()
    recipe = matched_recipe(config(), tree({"name": "superclasses"}), images(), session)  # type: ignore[arg-type]
    assert recipe["model"] == MODEL and "its size is" in session.events[0]


LOOKING = """
from torch import nn
class Looking(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(3, classes)
    def forward(self, x):
        means = x.mean((2, 3))
        return self.head(means / (1 + means.abs().max().item()))
"""


@pytest.mark.parametrize("match", ["parameters", "macs"])
@pytest.mark.parametrize("model", [{"name": "maxout", "units": [4]}, {"name": "python:looking:Looking"}],
                         ids=["ours", "own"])  # fmt: skip
def test_a_network_without_a_width_is_matched_by_data(match, model, tmp_path, monkeypatch):
    (tmp_path / "looking.py").write_text(LOOKING)
    monkeypatch.syspath_prepend(tmp_path)
    session, unsized = Events(), config(match=match, monolith={"model": model})
    recipe = matched_recipe(unsized, tree({"name": "superclasses"}), images(), session)  # type: ignore[arg-type]
    assert recipe["model"] == model and unsized.matched == "data"
    assert session.events[0].startswith(f"match={match}: monolith.model.name={model['name']} has no width to set")
    assert session.events[1].startswith("match=data: the monolith has seen the modules' images, its size is ")
    assert config(match=match).matched == match


@pytest.mark.parametrize("modules", ["trunk", "separate"])
def test_networks_that_cannot_be_modules_are_refused_before_the_monolith_trains(modules, tmp_path, monkeypatch):
    (tmp_path / "looking.py").write_text(LOOKING)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"model": {"name": "python:looking:Looking"}}
    small = {"model": {"name": "simcnn", "width": 0.1}}
    asked = config(modules=modules, **({"router": own} if modules == "trunk" else {"expert": small}))
    said = "cannot be split into trunk and head" if modules == "trunk" else "simcnn pools 5 times"
    with pytest.raises(UserError, match=said):
        matched_recipe(asked, tree({"name": "superclasses"}), images(), Events())  # type: ignore[arg-type]


def test_a_cap_is_for_experts_alone():
    data, own = images(), tree({"name": "superclasses"})
    assert cap_of(config(expert_cap="smallest"), own, data) == 24
    capped = config(expert_cap=10)
    assert len(node_images(capped, own, 0, data).sets["train"]) == 36
    expert = node_images(capped, own, 1, data).sets["train"]
    assert expert.per_class.tolist() == [5, 5] and expert.classes == ("green", "blue")
