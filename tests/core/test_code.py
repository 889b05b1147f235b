"""A user's own code is known by its source and by that of what it imports from the same place."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core import code
from src.core.code import own_code

code_digest = code.code_digest.__wrapped__  # as a new process would

FILES = {
    "alone.py": "from near import SIZE\nimport torch\n",
    "near.py": "SIZE = 3\n",
    "far.py": "SIZE = 4\n",
    "mine/__init__.py": "",
    "mine/nets.py": "from mine.layers import block\nfrom . import parts\nfrom .deep.more import thing\n",
    "mine/layers.py": "def block(): ...\n",
    "mine/parts.py": "import os\n",
    "mine/unused.py": "x = 1\n",
    "mine/deep/__init__.py": "from .other import x\n",
    "mine/deep/more.py": "thing = 1\n",
    "mine/deep/other.py": "x = 1\n",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file", "matters"),
    [
        ("python:alone:Net", "alone.py", True),
        ("python:alone:Net", "near.py", True),
        ("python:alone:Net", "far.py", False),
        ("python:mine.nets:Net", "mine/nets.py", True),
        ("python:mine.nets:Net", "mine/layers.py", True),
        ("python:mine.nets:Net", "mine/parts.py", True),
        ("python:mine.nets:Net", "mine/deep/more.py", True),
        ("python:mine.nets:Net", "mine/unused.py", False),
        ("python:mine.nets:Net", "mine/__init__.py", True),
        ("python:mine.deep.more:Net", "mine/__init__.py", True),
    ],
)
def test_what_is_imported_from_the_same_place_counts(place: Path, name: str, file: str, matters: bool):
    before = code_digest(name)
    assert len(before) == 16
    (place / file).write_text(FILES[file] + "y = 2\n")
    assert (code_digest(name) != before) == matters


def test_nothing_is_imported(place: Path):
    (place / "loud.py").write_text("raise RuntimeError\n")
    assert code_digest("python:loud:Net")
    (place / "broken.py").write_text("def (\n")
    assert code_digest("python:broken:Net")


def test_other_names_have_no_code(place: Path):
    assert not code_digest("simcnn") and not code_digest("timm:resnet18") and not code_digest("python:nowhere:Net")
    config = {"recipe": {"model": {"name": "python:alone:Net"}}, "parts": [{"model": {"name": "python:mine.nets:Net"}}],
              "label": {"name": "vgg"}}  # fmt: skip
    assert own_code(config) == {"recipe.model.name": code_digest("python:alone:Net"),
                                "parts.0.model.name": code_digest("python:mine.nets:Net")}  # fmt: skip
