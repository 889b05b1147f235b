"""What is there to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.artifacts.options import MemoryOptions
from src.core.errors import UserError
from src.core.options import options_of
from src.networks.memory import budget
from src.networks.memory.budget import _available, _left_in_groups


def test_auto_is_divided_among_jobs() -> None:
    whole, half = budget("auto"), budget("auto", jobs=2)
    assert 0 < half < whole
    assert half == pytest.approx(whole / 2, rel=0.2)


def test_given_numbers() -> None:
    assert budget(1.5) == round(1.5 * 2**30) == budget(1.5, jobs=4)


@pytest.mark.parametrize("value", [0, -1, "much", None, True, [1]])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(UserError, match=r"memory\.budget_gb"):
        options_of(MemoryOptions, {"budget_gb": value, "allow": []}, "memory")


def test_available_memory(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 40 kB\n")
    assert _available(path) == 40 * 1024
    assert _available(tmp_path / "none") > 2**20


def group(folder: Path, limit: str, used: int, files: int, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{'total_' if version == 1 else ''}inactive_file {files}\n")


def test_limits_of_control_groups(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/slice/job\n")
    group(tmp_path / "slice" / "job", "max", 100, 0, version=2)
    assert _left_in_groups(tmp_path, own) == float("inf")
    group(tmp_path / "slice", "1000", 300, 50, version=2)  # the limit of a group around
    assert _left_in_groups(tmp_path, own) == 750
    group(tmp_path / "slice" / "job", "400", 500, 0, version=2)
    assert _left_in_groups(tmp_path, own) == 0


def test_limits_of_the_older_control_groups(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("5:devices:/\n4:memory:/somewhere/else\n")
    group(tmp_path / "memory", "2000", 600, 100, version=1)  # a container's own path is not visible inside
    assert _left_in_groups(tmp_path, own) == 1500
    assert _left_in_groups(tmp_path, tmp_path / "none") == float("inf")
