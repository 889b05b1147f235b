"""The two copies of the pins agree, and none names a host."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_pins_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    assert project["tool"]["uv"]["constraint-dependencies"] == pins


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"]) + project["dependency-groups"]["dev"]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    pinned = {re.split(r"[=;\[ ]", line)[0] for line in (ROOT / "requirements.txt").read_text().splitlines()}
    for line in wanted:
        assert re.split(r"[<>=\[ ]", line)[0].lower() in pinned


def test_no_host_is_named():
    for name in ("pyproject.toml", "requirements.txt"):
        assert not re.search(r"\w+://", (ROOT / name).read_text())


def test_lock_file_is_ignored():
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()
