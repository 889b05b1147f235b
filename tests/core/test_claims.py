"""One process at a time, by files alone: no lock is ever asked for."""

import fcntl
import json
import multiprocessing
import os
import signal
import time

import pytest

from src.core import claims
from src.core.claims import CLAIM, alone, claimed, lives

SPAWN = multiprocessing.get_context("spawn")


def _work(folder, system, seconds):
    """At a job of this or of another system; whoever is at it as well would find the file."""
    fcntl.flock = lambda *_: None
    claims.PATIENCE = 0.01
    if system:
        claims._system = lambda: system
    with alone(folder):
        (folder / "progress").open("x").close()
        time.sleep(seconds)
        (folder / "progress").unlink()


def test_two_processes_are_never_at_one_job(tmp_path):
    workers = [SPAWN.Process(target=_work, args=(tmp_path / "job", system, 0.1)) for system in ("", "", "other", "")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert not list((tmp_path / "job").iterdir())


@pytest.mark.parametrize("system", ["", "other"])
def test_of_a_killed_job_the_next_one_has_folder_and_progress(tmp_path, monkeypatch, system):
    """On the same system at once; from another one when its heart has not beaten for long."""
    worker = SPAWN.Process(target=_work, args=(tmp_path, system, 60))
    worker.start()
    while not (tmp_path / "progress").exists():
        time.sleep(0.01)
    assert lives(tmp_path / CLAIM)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    if system:
        assert lives(tmp_path / CLAIM), "nobody here can know"
        monkeypatch.setattr(claims, "DEAD", 0.0)
    with alone(tmp_path):
        assert (tmp_path / "progress").exists()


@pytest.mark.parametrize(("system", "alive"), [("", True), ("other", False)])
def test_a_silent_process_lives_where_it_can_be_seen(tmp_path, system, alive):
    """A machine that slept has silent processes, and the one that wakes first must not take over from the others."""
    with claimed(tmp_path / CLAIM):
        if system:
            plain = json.loads((tmp_path / CLAIM).read_text())
            (tmp_path / CLAIM).write_text(json.dumps({**plain, "system": system}))
        os.utime(tmp_path / CLAIM, (0, 0))
        assert lives(tmp_path / CLAIM) == alive


def test_a_number_that_another_process_has_by_now_is_no_life(tmp_path):
    with claimed(tmp_path / CLAIM):
        plain = json.loads((tmp_path / CLAIM).read_text())
        (tmp_path / CLAIM).write_text(json.dumps({**plain, "started": "0"}))
        assert not lives(tmp_path / CLAIM)
