from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import yaml

from src.core.errors import UserError
from src.core.paths import CONF
from src.data.sources import SOURCES, load_cached, load_source


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_a_documented_function(name: str) -> None:
    module = importlib.import_module(f"src.data.sources.{SOURCES[name]}")
    assert getattr(module, name).__doc__


def test_only_works_where_a_source_does_not_know_it() -> None:
    splits = load_source("digits", {"only": [7, "2"]})
    assert splits.train.classes == ("7", "2")
    assert torch.equal(splits.test.images, load_source("digits", {"only": [7, 2]}).test.images)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("minst", {}, "did you mean 'mnist'"),
        ("digits", {"sice": 3}, "did you mean 'size'"),
        ("mnist", {}, "data.source.root: missing; allowed is a folder"),
        ("image_folder", {"root": None}, "root=null: allowed is a folder"),
    ],
)
def test_mistakes_are_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_source(name, options)


def test_the_same_options_are_loaded_once() -> None:
    first = load_cached("digits", {"size": 9, "seed": 1})
    assert load_cached("digits", {"seed": 1, "size": 9}) is first
    assert load_cached("digits", {"seed": 2, "size": 9}) is not first


def test_sources_are_imported_only_when_asked_for() -> None:
    code = (
        "import sys; from src.data.sources import load_source\n"
        "load_source('glyphs', {'train_per_class': 1, 'only': [0]})\n"
        "print([name for name in ('pyarrow', 'torchvision', 'sklearn', 'PIL') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"glyphs"}))
def test_every_option_stands_in_the_preset_of_its_source(name: str) -> None:
    """So that what a message advises can be typed; ``only`` is what ``data.classes`` becomes."""
    source = getattr(importlib.import_module(f"src.data.sources.{SOURCES[name]}"), name)
    (parameter,) = inspect.signature(source, eval_str=True).parameters.values()
    preset = yaml.safe_load((CONF / "data" / f"{name}.yaml").read_text())["source"]
    assert {field.name for field in fields(parameter.annotation)} - {"only"} == set(preset) - {"name"}
