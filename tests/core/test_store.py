"""An entry is there whole or not at all; it is built once, and a damaged one is never believed."""

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core import claims
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


def no_locks() -> None:
    """As on a shared disk whose locks do not reach other hosts."""
    fcntl.flock = lambda *_: None
    claims.PATIENCE = 0.02


def _slow_build(root: str, log: str, locks: bool) -> None:
    if not locks:
        no_locks()

    def build(folder: Path) -> None:
        with open(log, "a") as file:
            file.write("built\n")
        (folder / "x").write_text(f"{os.getpid()}")
        time.sleep(0.3)
        (folder / "y").write_text(f"{os.getpid()}")

    Store(Path(root)).make(KEY, build)


@pytest.mark.parametrize("locks", [True, False])
def test_jobs_at_once_build_once(tmp_path, locks):
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    arguments = str(tmp_path / "store"), str(log), locks
    processes = [context.Process(target=_slow_build, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert log.read_text() == "built\n"
    (entry,) = Store(tmp_path / "store").entries()
    assert (entry.folder / "x").read_text() == (entry.folder / "y").read_text()
    assert {path.suffix for path in entry.folder.parent.iterdir()} <= {"", ".lock"}


def _sleepy_build(root: str) -> None:
    """The builder of another host, whose heart does not beat while it sleeps."""
    no_locks()
    claims._system = lambda: "another host"
    claims.HEARTBEAT = 60.0

    def build(folder: Path) -> None:
        (folder / "begun").write_text("sleepy")
        while folder.exists():
            time.sleep(0.02)
        (folder / "ended").write_text("sleepy")

    entry = Store(Path(root)).make(KEY, build)
    assert not entry.built and (entry.folder / "ended").read_text() == "awake"


def test_a_builder_that_was_taken_for_dead_mixes_nothing_in(tmp_path, monkeypatch):
    """Its progress is gone on with; as it wakes it finds its folder gone, and what the other has made."""
    sleepy = multiprocessing.get_context("spawn").Process(target=_sleepy_build, args=(str(tmp_path),))
    sleepy.start()
    while not list(tmp_path.glob("number/*.work/begun")):
        time.sleep(0.02)
    store = Store(tmp_path)
    assert not store.leftovers(), "it is under way"
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(claims, "DEAD", 0.0)
    assert len(store.leftovers()) == 1

    def build(folder: Path) -> None:
        assert (folder / "begun").read_text() == "sleepy"
        time.sleep(0.2)
        (folder / "ended").write_text("awake")

    entry = store.make(KEY, build)
    sleepy.join()
    assert sleepy.exitcode == 0
    assert {path.name for path in entry.folder.iterdir()} == {"begun", "ended", MANIFEST}
    assert store.find(KEY) and not store.leftovers()


def test_a_claim_whose_writer_was_killed_at_it_is_soon_nobodys(tmp_path):
    claim = tmp_path / "a.claim"
    claim.touch()
    assert claims.lives(claim), "it may be written at this moment"
    os.utime(claim, (time.time() - claims.EMPTY - 1,) * 2)
    assert not claims.lives(claim)


def test_who_ends_second_throws_its_own_away(tmp_path):
    """Two build at once where a claim was lost; each does so in a folder of its own."""
    store, other = Store(tmp_path), Store(tmp_path)

    def build(folder: Path) -> None:
        (folder / "x").write_text("second")
        (claim,) = tmp_path.glob("number/*.claim")
        claim.unlink()
        folder.rename(folder.with_name("aside"))  # or the other would go on with it
        other._built(KEY, write_seven)
        folder.with_name("aside").rename(folder)

    entry = store.make(KEY, build)
    assert not entry.built and {path.name for path in entry.folder.iterdir()} == {"seven.txt", MANIFEST}
    assert not store.leftovers()


def test_a_build_that_had_ended_is_not_begun_again(tmp_path):
    """Its job was killed just before the entry had its name."""
    store = Store(tmp_path)
    entry = store.make(KEY, write_seven)
    work = entry.folder.with_name(f"{entry.digest}.1-a.work")
    entry.folder.rename(work)
    assert not store.make(KEY, lambda folder: pytest.fail("built again")).built
    entry.folder.rename(work)
    (work / "seven.txt").write_text("8")
    assert store.make(KEY, write_seven).built and (entry.folder / "seven.txt").read_text() == "7"


def test_what_is_hidden_is_no_part_of_an_entry(tmp_path):
    def build(folder: Path) -> None:
        (folder / ".progress").write_text("half")

    entry = Store(tmp_path).make(KEY, build)
    assert [path.name for path in entry.folder.iterdir()] == [MANIFEST]


def test_a_disk_without_locks_has_claims(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert Store(tmp_path).make(KEY, write_seven).built


def _endless_build(root: str) -> None:
    def build(folder: Path) -> None:
        (folder / "begun").write_text("")
        time.sleep(60)

    Store(Path(root)).make(KEY, build)


def test_killed_builder_releases_the_lock(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_endless_build, args=(str(tmp_path),))
    process.start()
    while not list(tmp_path.glob(f"number/{KEY.digest()}.*.work/begun")):
        time.sleep(0.02)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    entry = Store(tmp_path).make(KEY, write_seven)
    assert (entry.folder / "begun").exists(), "gone on with, at once"


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
