"""Whether a sweep or a job is at work, here or on another machine that shares the disk.

A sweep has a folder that is named by its machine and process and that it touches while it runs: it is dead once its
process is gone or it has been silent for long. A job holds a lock in its folder, which the system lets go with it.
"""

import os
import time
from pathlib import Path

from src.core.claims import started

LOCK = ".lock"  # in the folder of a job
PATIENCE = 600.0  # seconds of silence after which a sweep is dead, whatever process has its number now


def new_id() -> str:
    """A name for a sweep that no other one has, on this machine or another."""
    return f"{time.strftime('%m%d-%H%M%S')}-{_host()}-{os.getpid()}"


def sweep_lives(folder: Path) -> bool:
    """Whether the sweep of this name, from :func:`new_id`, still touches its folder and has its process, if here."""
    try:
        silent = time.time() - folder.stat().st_mtime > PATIENCE
    except FileNotFoundError:  # it ends at this moment
        return False
    above, _, process = folder.name.rpartition("-")
    here = above.split("-", 2)[2:] == [_host()] and process.isdecimal()
    return not silent and not (here and not started(int(process)))


def job_lives(folder: Path) -> bool:
    """Whether a process is at the job of this folder; nothing is left behind by asking."""
    import fcntl

    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or none that we may look at
        return False
    return False


def _host() -> str:
    return os.uname().nodename.split(".")[0]
