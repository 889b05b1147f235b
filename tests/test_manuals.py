"""README.md is the front door, and every manual beside the code can be reached by links that lead somewhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from src.report.rebuild import BEGIN, MARKS

ROOT = Path(__file__).parents[1]
FRONT = ROOT / "README.md"
MANUALS = [FRONT, *sorted(path for folder in ("conf", "src", "tests") for path in (ROOT / folder).rglob("README.md"))]


def prose(path: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if "://" not in link]


@cache
def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def place(path: Path, link: str) -> Path:
    name = link.partition("#")[0]
    return (path.parent / name).resolve() if name else path


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    for link in links(path):
        file, anchor = place(path, link), link.partition("#")[2]
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_every_manual_is_reached_from_the_front():
    reached, waiting = set(), [FRONT]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [file for link in links(path) if (file := place(path, link)).name == "README.md"]
    assert reached == set(MANUALS)


def test_the_front_is_short_and_begins_with_the_two_commands():
    text = FRONT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    job, tests, *_ = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert job.splitlines()[-1] == ".uv/bin/uv run python -m src.run experiment=patch_weak"
    assert tests.splitlines()[-1] == ".uv/bin/uv run pytest"


@pytest.mark.parametrize("group", ["experiment", "task"])
def test_the_front_names_all_experiments_and_tasks(group: str):
    named = set(re.findall(r"`(?:task=)?(\w+)`", FRONT.read_text(encoding="utf-8")))
    assert {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")} <= named


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: str(path.relative_to(ROOT)))
def test_marks_of_claims_name_their_own_file(path: Path):
    for marks in MARKS.finditer(path.read_text(encoding="utf-8")):
        assert marks[0].startswith(BEGIN.format(path.relative_to(ROOT)))
