"""Who works at a thing, where locks do not reach the other hosts of a shared disk (NFS, Lustre).

A claim is a file that only one can create. It names a host and a process, and its time of change is their heartbeat, by
the clock of the disk. The claim of a dead process is nobody's. Builds of the store, jobs and sweeps have claims.
"""

import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CLAIM = ".claim"  # in the folder of a job; the end of the name of any other
HEARTBEAT = 10.0  # seconds
DEAD = 180.0  # seconds without a heartbeat: above a minute, for which NFS may give an old time of change
EMPTY = 10.0  # seconds after which a claim that says nothing is one whose writer was killed at it
PATIENCE = 1.0  # seconds between two looks at another's claim
UNKNOWN = "running"  # when a process began


@contextmanager
def claimed(path: Path, no_more: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """Holds the claim ``path`` until the body ends; waits while another living process holds it.

    Args:
        path: of the file; its folder exists.
        no_more: whether what the claim is for is there meanwhile; nothing is then claimed.

    Yields:
        A word that no other claim has; nothing where ``no_more`` held.
    """
    word = f"{os.getpid()}-{secrets.token_hex(4)}"
    while not _create(path, word):
        if no_more():
            yield ""
            return
        if lives(path):
            time.sleep(PATIENCE)
        else:
            _withdraw(path, word)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, word, ended), daemon=True)
    try:
        beating.start()
        yield word
    finally:
        ended.set()
        if holder(path) == word:
            path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path, say: bool = False) -> Iterator[None]:
    """Holds a job's folder: another sweep, or the worker of one that was killed, may be at this very job."""
    folder.mkdir(parents=True, exist_ok=True)
    if say and lives(folder / CLAIM):
        print(f"another process is at this job; waiting until it has ended ({folder})", flush=True)
    with claimed(folder / CLAIM):
        yield


def holder(path: Path) -> str:
    """The word of the claim, or nothing."""
    return str(_read(path).get("word", ""))


def lives(path: Path) -> bool:
    """Whether a living process holds the claim: of this system one that is there, of another one whose heart beats."""
    claim = _read(path)
    if claim and claim["system"] == _system() and (began := _started(claim["process"])) != UNKNOWN:
        return began == claim["started"]  # its heart may have stood still with the whole machine
    try:
        beat = path.stat().st_mtime
    except FileNotFoundError:
        return False
    return _now(path.parent) - beat < (DEAD if claim else EMPTY)


def _now(folder: Path) -> float:
    """The time by the clock of the folder's disk, which may be another than this host's."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=CLAIM) as probe:
            return os.stat(probe.name).st_mtime
    except OSError:  # it is not ours to write to
        return time.time()


def _create(path: Path, word: str) -> bool:
    """Whether the claim is ours now."""
    claim = {"word": word, "host": socket.gethostname(), "process": os.getpid()}
    claim |= {"system": _system(), "started": _started(os.getpid())}
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(claim, file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True


def _withdraw(path: Path, word: str) -> None:
    """Remove a dead claim. Whoever claims meanwhile gets his back; at worst two work at it, each for himself."""
    aside = path.with_name(f".{path.name}.{word}")
    with suppress(FileNotFoundError):  # another was faster
        os.rename(path, aside)
        if lives(aside):
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink()


def _beat(path: Path, word: str, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        with suppress(OSError):
            if holder(path) == word:
                os.utime(path)


def _read(path: Path) -> dict[str, Any]:
    """The claim; nothing where there is none or its writer was killed at it."""
    try:
        claim: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return claim


def _system() -> str:
    """Names the running system and its table of processes: the number of a process means nothing in another."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return socket.gethostname()


def _started(process: int) -> str:
    """When a process of this system began, for its number may be given again; nothing where there is none."""
    try:
        with suppress(PermissionError):  # another user's
            os.kill(process, 0)
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    except (ProcessLookupError, OverflowError):
        return ""
    except OSError:  # no Linux, or it hides other users' processes
        return UNKNOWN
