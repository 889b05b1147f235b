import json
import os
import re
from pathlib import Path

import pytest

from src.core import result as results
from src.core.claims import CLAIM, alone, claimed
from src.core.errors import UserError
from src.core.files import read_json
from src.core.result import Result
from src.core.store import Entry, Key, Store
from src.tasks.options import Store as StoreOptions
from src.tasks.store import store
from tests.fakes.artifacts import artifacts
from tests.fakes.study import FakeSession


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
    session = FakeSession(place / "store" / "seed0-me")
    return store(StoreOptions(0, prune), artifacts(session, place / "store", outputs=str(place)))


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


def test_what_wandb_keeps_is_told_and_goes_with_its_entry(place):
    entries = {entry.manifest["recipe"].get("n"): entry.digest for entry in Store(place / "store").entries()}
    stages = place / "store" / "wandb"
    for folder in (place / "patch" / "a" / "wandb", *(stages / f"offline-run-1-{entries[n]}" for n in (1, 2))):
        folder.mkdir(parents=True)
        (folder / "run.wandb").write_bytes(b"z" * 1_000_000)
    (stages / "logged").mkdir()
    (stages / "logged" / f"{entries[2]}-view").write_text(entries[2])
    assert run(place, "none").verdict.endswith("; W&B keeps runs in 2 folders, 3.0 MB, 2.0 MB at most in one")
    assert run(place, "unused").verdict.startswith("1 deleted, 1.0 MB")
    assert {path.name for path in stages.iterdir()} == {"logged", f"offline-run-1-{entries[1]}"}
    assert not list((stages / "logged").iterdir()) and (place / "patch" / "a" / "wandb").exists()


@pytest.mark.parametrize("prune", ["unused", "all_leftovers"])
def test_what_a_damaged_result_used_is_not_deleted(place, prune):
    damaged = place / "patch" / "a" / results.FILE
    damaged.write_text(damaged.read_text()[:-9])
    with pytest.raises(UserError, match=rf"^prune={prune}: {re.escape(str(damaged))} is damaged"):
        run(place, prune)
    assert run(place, "none").metrics["entries"].value == 3
    damaged.unlink()
    assert run(place, prune).metrics["entries"].value == 0


def test_leftovers_go_only_where_asked(place):
    assert run(place, "all_leftovers").verdict.startswith("2 deleted")
    assert not list((place / "store").rglob("*.work"))


def test_an_empty_store_has_nothing_to_list(tmp_path):
    found = run(tmp_path, "unused")
    assert found.metrics["entries"].value == 0 and not found.tables
    json.dumps(found.verdict)


PRUNING = ("unused", "all_leftovers")


@pytest.mark.parametrize("prune", PRUNING)
def test_nothing_goes_while_a_job_is_at_work_and_anything_when_it_was_killed(place, prune):
    job = place / "group" / "patch" / "c"
    job.mkdir(parents=True)
    with alone(job), pytest.raises(UserError, match=rf"^prune={prune}: a job is running \({re.escape(str(job))}\)"):
        run(place, prune)
    assert len(kinds(place)) == 3 and list((place / "store").rglob("*.work"))
    (job / CLAIM).touch()  # as a killed one leaves it
    os.utime(job / CLAIM, (0, 0))
    assert "deleted" in run(place, prune).verdict


def test_the_job_that_deletes_is_not_in_its_own_way(place, monkeypatch):
    mine = place / "store" / "seed0-me"
    mine.mkdir()
    monkeypatch.chdir(place)
    with alone(mine):
        assert run(Path("."), "unused").verdict.startswith("1 deleted")


def test_a_sweep_at_work_is_waited_for_and_a_dead_one_is_in_nobodys_way(place):
    claim = place / "group" / "patch" / ".sweeps" / f"one{CLAIM}"
    claim.parent.mkdir(parents=True)
    with claimed(claim), pytest.raises(UserError, match=r"a sweep is running .*patch"):
        run(place, "unused")
    claim.touch()
    assert run(place, "none").metrics["entries"].value == 3
    os.utime(claim, (0, 0))
    assert run(place, "unused").verdict.startswith("1 deleted")


def test_an_entry_is_used_by_what_descends_from_it_over_any_number_of_steps(place):
    kept = Store(place / "store")
    child = next(entry for entry in kept.entries() if entry.kind == "modules")
    grandchild = kept.make(Key("composed", {}, parents=(child.digest,)), lambda folder: None)
    results.save(Result("compose", "compose/a", uses=[grandchild.digest, child.digest]), place / "compose" / "a")
    table = results.rows(run(place, "none").tables["entries"])
    used = {(row["kind"], row["of"]): (row["used_by"], row["for_example"]) for row in table}
    assert used["checkpoint", "simcnn"] == used["modules", ""] == (2, "compose/a")
    assert used["composed", ""] == (1, "compose/a") and used["checkpoint", ""] == (0, "")


def test_the_work_grows_with_the_entries_and_not_with_their_square(place, monkeypatch):
    """Every manifest is read twice at most: to list it, and to delete it."""
    kept = Store(place / "store")
    for number in range(30):
        kept.make(Key("checkpoint", {"more": number}), lambda folder: None)
    read: list[Path] = []
    original = read_json
    monkeypatch.setattr("src.core.store.read_json", lambda path: read.append(path) or original(path))
    asked: list[str] = []
    size = Entry.size.fget
    monkeypatch.setattr(Entry, "size", property(lambda entry: asked.append(entry.digest) or size(entry)))
    run(place, "unused")
    assert len(read) <= 2 * 33 and len(asked) == 33
