import json
from pathlib import Path

import pytest

from src.core import result as results
from src.core.result import Result
from src.core.store import Key, Store
from src.tasks.options import Store as StoreOptions
from src.tasks.store import store
from tests.fakes.artifacts import artifacts


@pytest.fixture
def place(tmp_path):
    """A parent that a used child was built from, an entry that nothing uses, and what a killed build left."""
    kept = Store(tmp_path / "store")

    def build(folder: Path) -> None:
        (folder / "file").write_bytes(b"x" * 1000)

    parent = kept.make(Key("checkpoint", {"model": {"name": "simcnn"}}), build)
    child = kept.make(Key("modules", {"n": 1}, parents=(parent.digest,)), build)
    kept.make(Key("checkpoint", {"n": 2}), build)
    results.save(Result("patch", "patch/a", uses=[child.digest]), tmp_path / "patch" / "a")
    results.save(Result("patch", "patch/b", status="failed", uses=["x"]), tmp_path / "patch" / "b")
    (tmp_path / "store" / "checkpoint" / "dead.work").mkdir()
    (tmp_path / "store" / "checkpoint" / "dead.work" / "half").write_bytes(b"y" * 500)
    return tmp_path


def run(place, prune):
    return store(StoreOptions(0, prune), artifacts(store=place / "store", outputs=str(place)))


def kinds(place):
    return sorted(entry.kind for entry in Store(place / "store").entries())


def test_what_is_kept_its_size_and_who_uses_it(place):
    found = run(place, "none")
    rows = {(row["kind"], row["of"]): row for row in results.rows(found.tables["entries"])}
    assert rows["modules", ""]["used_by"] == 1 and rows["modules", ""]["for_example"] == "patch/a"
    assert rows["checkpoint", "simcnn"]["used_by"] == 1, "through the modules that were cut from it"
    assert rows["checkpoint", ""]["used_by"] == 0
    manifest = next(entry for entry in Store(place / "store").entries() if entry.kind == "modules")
    assert rows["modules", ""]["megabytes"] == manifest.size / 1e6 > 0.001
    assert found.tables["leftovers"]["folder"] == ["checkpoint/dead.work"]
    assert found.metrics["unused"].value == 1 and kinds(place) == ["checkpoint", "checkpoint", "modules"]


def test_pruning_deletes_what_nothing_uses_and_leaves_builds_alone(place):
    found = run(place, "unused")
    assert kinds(place) == ["checkpoint", "modules"] and found.metrics["unused"].value == 0
    assert found.verdict.startswith("1 deleted, 0.0 MB") and (place / "store" / "checkpoint" / "dead.work").exists()


def test_leftovers_go_only_where_asked(place):
    assert run(place, "all_leftovers").verdict.startswith("2 deleted")
    assert not list((place / "store").rglob("*.work"))


def test_an_empty_store_has_nothing_to_list(tmp_path):
    found = run(tmp_path, "unused")
    assert found.metrics["entries"].value == 0 and not found.tables
    json.dumps(found.verdict)
