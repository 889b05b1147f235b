"""An entry is there whole or not at all; it is built once, and a damaged one is never believed."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.store import MANIFEST, Key, Store, digest_of

KEY = Key("number", {"value": 7})


def write_seven(folder: Path) -> dict:
    (folder / "seven.txt").write_text("7")
    return {"note": (1, 2)}


def test_made_once_and_found_again(tmp_path):
    store = Store(tmp_path)
    assert store.find(KEY) is None
    first = store.make(KEY, write_seven)
    again = store.make(KEY, lambda folder: pytest.fail("built twice"))
    assert first.built and not again.built
    assert again.folder == first.folder and (again.folder / "seven.txt").read_text() == "7"
    assert again.notes == first.notes == {"note": [1, 2]}


def test_key_decides_identity():
    digests = {
        KEY.digest(),
        Key("number", {"value": 8}).digest(),
        Key("number", {"value": 7}, version=2).digest(),
        Key("number", {"value": 7}, parents=("a",)).digest(),
        Key("other", {"value": 7}).digest(),
    }
    assert len(digests) == 5
    assert Key("number", {"value": 7}).digest() == KEY.digest()


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_digest_ignores_order(mapping):
    assert digest_of(mapping) == digest_of(dict(reversed(mapping.items())))


def test_digest_survives_a_round_trip():
    plain = {2: 0.95, 10: 0.8, "tuple": (1, 2)}
    assert digest_of(plain) == digest_of(json.loads(json.dumps(plain)))


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_damage_is_quarantined_and_mended(tmp_path, damage):
    events = []
    store = Store(tmp_path, events.append)
    entry = store.make(KEY, write_seven)
    if damage == "change":
        (entry.folder / "seven.txt").write_text("8")
    elif damage == "remove":
        (entry.folder / "seven.txt").unlink()
    else:
        (entry.folder / MANIFEST).write_text("{")
    assert store.find(KEY) is None
    assert len(events) == 1 and "damaged" in events[0]
    assert (store.make(KEY, write_seven).folder / "seven.txt").read_text() == "7"


def test_failed_build_leaves_no_entry_but_its_work(tmp_path):
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "part.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.make(KEY, fail)
    assert store.find(KEY) is None and not list(store.entries())

    def go_on(folder: Path) -> None:
        assert (folder / "part.txt").read_text() == "half"

    store.make(KEY, go_on)
    assert len(list(store.entries())) == 1


def _slow_build(root: str, log: str) -> None:
    def build(folder: Path) -> None:
        with open(log, "a") as file:
            file.write("built\n")
        time.sleep(0.3)
        (folder / "x").write_text("x")

    Store(Path(root)).make(KEY, build)


def test_jobs_at_once_build_once(tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_slow_build, args=(str(tmp_path / "store"), str(log))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert log.read_text() == "built\n"


def _endless_build(root: str) -> None:
    def build(folder: Path) -> None:
        (folder / "begun").write_text("")
        time.sleep(60)

    Store(Path(root)).make(KEY, build)


def test_killed_builder_releases_the_lock(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_endless_build, args=(str(tmp_path),))
    process.start()
    begun = tmp_path / "number" / f"{KEY.digest()}.work" / "begun"
    while not begun.exists():
        time.sleep(0.02)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    entry = Store(tmp_path).make(KEY, write_seven)
    assert (entry.folder / "begun").exists()


def test_prune_keeps_ancestors(tmp_path):
    store = Store(tmp_path)
    parent = store.make(KEY, write_seven)
    child = store.make(Key("child", {}, parents=(parent.digest,)), lambda folder: None)
    stray = store.make(Key("child", {"stray": True}), lambda folder: None)
    assert [entry.digest for entry in store.prune({child.digest})] == [stray.digest]
    assert {entry.digest for entry in store.entries()} == {parent.digest, child.digest}


def test_manifest_is_plain_json(tmp_path):
    entry = Store(tmp_path).make(KEY, write_seven)
    manifest = json.loads((entry.folder / MANIFEST).read_text())
    assert manifest["recipe"] == {"value": 7} and set(manifest["files"]) == {"seven.txt"}
