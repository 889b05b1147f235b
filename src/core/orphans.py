"""Workers whose sweep was killed end by themselves, so that the next sweep finds memory, cores and the GPU free.

joblib's workers would wait five minutes for further jobs. What they were at goes on from its last checkpoint.
"""

import multiprocessing
import os
import threading
import time

INTERVAL = 1.0  # seconds between two looks

_watched: list[threading.Thread] = []


def end_with_parent(kind: str = "Loky") -> None:
    """In a process whose name begins with ``kind`` (a worker of joblib), a thread ends it once its parent is gone."""
    if _watched or not multiprocessing.current_process().name.startswith(kind):
        return
    parent = os.getppid()
    _watched.append(threading.Thread(target=_watch, args=(parent,), daemon=True))
    _watched[0].start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
