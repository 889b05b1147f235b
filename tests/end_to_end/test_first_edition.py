"""What the first edition of the house left behind is still read: its results, its pages, its store.

``first_edition`` holds what its last commit wrote for ``-m task=train seed=0,1 debug=tiny``, and an entry of the store.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from src.core.result import load
from src.core.store import Store
from src.report.__main__ import main
from tests.end_to_end.conftest import TINY, Run

LEFT = Path(__file__).with_name("first_edition")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    shutil.copytree(LEFT, tmp_path / "outputs")
    return tmp_path / "outputs"


def test_results_are_read_and_their_pages_made_anew(outputs: Path, capsys: pytest.CaptureFixture[str]):
    folders = sorted((outputs / "train").iterdir())
    for folder in folders:
        result = load(folder)
        assert result.metrics["test_accuracy"].n == 120 and result.units_of("training")["accuracy"] == "%"
    assert main([str(folders[0]), str(outputs / "train")]) == 0
    assert "2 jobs" in (outputs / "train" / "overview" / "page.html").read_text()
    assert (folders[0] / "page.html").is_file() and "error" not in capsys.readouterr().err


def test_the_store_tells_who_made_an_entry(run: Run, outputs: Path):
    (entry,) = Store(outputs / "store").entries()
    assert entry.older
    ran = run(outputs, "task=store", *TINY)
    assert ran.code == 0 and "made by an older edition" in ran.text
    (folder,) = [result["folder"] for result in ran.results if result["task"] == "store"]
    assert pq.read_table(folder / "tables" / "entries.parquet")["edition"].to_pylist() == ["made by an older edition"]


def test_a_network_of_the_first_edition_is_not_trained_again(run: Run, outputs: Path):
    before = {folder.name: json.loads((folder / "result.json").read_text()) for folder in (outputs / "train").iterdir()}
    (entry,) = Store(outputs / "store").entries()
    (old,) = [result for result in before.values() if entry.digest in result["uses"]]
    ran = run(outputs, "task=train", f"seed={old['config']['seed']}", *TINY)
    assert ran.code == 0, ran.text
    assert "in store" in ran.text and len(ran.store) == 1
    (new,) = [result for result in ran.results if result["folder"].name not in before]
    assert new["metrics"] == old["metrics"] and new["uses"] == old["uses"]
