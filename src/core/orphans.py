"""Workers whose sweep was killed end by themselves, so that the next sweep finds memory, cores and the GPU free.

joblib's workers, also those that never had a job, would wait five minutes for one. What they were at goes on from its
last checkpoint.
"""

import os
import threading
import time

INTERVAL = 1.0  # seconds between two looks

#: Processes that are watched: a fork is another one, and takes no thread along.
_watched: set[int] = set()


def end_with_parent(parent: int | None = None) -> None:
    """A thread of this process ends it once its parent is gone, or at once where that happened before.

    Args:
        parent: who started it; None: who is its parent now.
    """
    if os.getpid() in _watched:
        return
    _watched.add(os.getpid())
    parent = os.getppid() if parent is None else parent
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
