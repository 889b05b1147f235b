"""The tiny default job gives the numbers it gave before, so that later work cannot change the science unseen.

After a change that is meant to change them: ``uv run python -m tests.end_to_end.test_frozen_reference`` and say why.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REFERENCE = Path(__file__).with_name("reference_patch_weak_tiny.json")
#: what other versions of torch may move: a few of 120 test images; shares of kernels hardly
TOLERANCE = {"kernels_retained": 0.02, "macs_retained": 0.02}


def values(result):
    return {name: estimate["value"] for name, estimate in result["metrics"].items()}


def test_the_numbers_are_those_of_the_reference(tiny):
    found, reference = values(tiny.result), json.loads(REFERENCE.read_text())
    assert found.keys() == reference.keys()
    for name, value in reference.items():
        assert found[name] == pytest.approx(value, abs=TOLERANCE.get(name, 0.05)), name


def test_workers_do_not_change_a_bit(run, tmp_path, tiny):
    from tests.end_to_end.conftest import TINY

    ran = run(tmp_path, "experiment=patch_weak", *TINY, "workers=3")
    assert ran.result["metrics"] == tiny.result["metrics"]
    assert ran.result["identity"] == tiny.result["identity"]


if __name__ == "__main__":
    from tests.end_to_end.conftest import ROOT, TINY

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "src.run", "experiment=patch_weak", *TINY, f"outputs={folder}"]
        subprocess.run(command, cwd=ROOT, check=True)
        (path,) = Path(folder).rglob("result.json")
        REFERENCE.write_text(json.dumps(values(json.loads(path.read_text())), indent=2) + "\n")
