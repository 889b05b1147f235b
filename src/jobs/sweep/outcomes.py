"""What the jobs of a sweep came to, as files: any launcher's workers can leave them, and the parent reads them.

``<sweep folder>/.sweeps/<id>/<job folder>.json`` holds one outcome: ``status`` (ok, failed, interrupted, not started),
``label``, ``verdict``, ``folder``, ``seconds``. The folder of a sweep vanishes when the sweep has ended.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.core.files import read_json, write_atomically
from src.core.paths import PLACE

FAILED = ("failed", "interrupted")

Outcome = Mapping[str, Any]


def outcome(status: str, label: str, verdict: str, folder: Path, seconds: float = 0.0) -> dict[str, Any]:
    """What a job came to."""
    return {"status": status, "label": label, "verdict": verdict, "folder": str(folder), "seconds": seconds}


def refused(message: str, folder: Path) -> dict[str, Any]:
    """The outcome of a job that was not run, or could not leave a word of it; said at once."""
    print(f"error: {message}", file=sys.stderr)
    return outcome("failed", folder.name, message, folder)


def remove_dead(sweep: Path) -> None:
    """Remove what sweeps of this machine left that were killed."""
    host = os.uname().nodename.split(".")[0]
    for folder in (sweep / PLACE).glob(f"*-{host}-*"):
        if not Path(f"/proc/{folder.name.rpartition('-')[2]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def new_id() -> str:
    """A name for a sweep that no other one has, on this machine or another."""
    return f"{time.strftime('%m%d-%H%M%S')}-{os.uname().nodename.split('.')[0]}-{os.getpid()}"


class Outcomes:
    """The outcomes of one sweep.

    Args:
        sweep: the folder of its jobs. name: from :func:`new_id`.
    """

    def __init__(self, sweep: Path, name: str) -> None:
        self.folder = sweep / PLACE / name
        self._lock = threading.Lock()  # the parent's watching thread reads as well
        self._read: set[str] = set()
        self._found: dict[str, Outcome] = {}

    def begin(self, folder: Path) -> None:
        """Called by the job: if its process ends without a word, the sweep knows whom to suspect."""
        (self.folder / f"{folder.name}.begun").touch()

    def begun(self) -> set[str]:
        """Names of the folders of all jobs that have begun."""
        return {path.stem for path in self.folder.glob("*.begun")}

    def record(self, outcome: Outcome) -> None:
        """Called by the job, in whatever process it ran."""
        path = self.folder / f"{Path(outcome['folder']).name}.json"
        write_atomically(path, json.dumps(outcome))

    def read(self) -> dict[str, Outcome]:
        """Job folder -> outcome, of all jobs that have ended so far."""
        with self._lock:
            new = [path for path in self.folder.glob("[!.]*.json") if path.name not in self._read]
            for path in sorted(new, key=lambda path: path.stat().st_mtime_ns):
                try:
                    found = read_json(path)
                except (OSError, ValueError):  # a slow disk of a cluster: next time
                    continue
                self._read.add(path.name)
                self._found[found["folder"]] = found
            return dict(self._found)

    def failures(self) -> int:
        """How many have failed so far."""
        return sum(outcome["status"] in FAILED for outcome in self.read().values())

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.parent.rmdir()
        except OSError:  # another sweep is at work here
            return
