"""One process at a time in a job's folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.core.liveness import LOCK


@contextmanager
def alone(folder: Path, say: bool = False) -> Iterator[None]:
    """Holds the job's folder: another sweep, or the worker of one that was killed, may be at this very job."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        if say:
            print(f"another process is at this job; waiting until it has ended ({folder})", flush=True)
        held = lock.acquire()
    with held:
        yield
