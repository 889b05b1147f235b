"""What the jobs of a sweep came to, as files: any launcher's workers can leave them, and the parent reads them.

``<sweep folder>/.sweeps/<id>/<job folder>.json`` holds one outcome: ``status`` (ok, failed, interrupted, not started),
``label``, ``verdict``, ``folder``, ``seconds``. Beside it stand ``<job folder>.begun`` and, of a job that did not end
well, ``failed/<job folder>``, so that counting those reads nothing else. The folder of a sweep vanishes when the sweep
has ended; until then ``<id>.claim`` says that it is at work.
"""

import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from src.core.claims import CLAIM, claimed, lives
from src.core.files import read_json, write_json
from src.core.paths import PLACE
from src.core.redaction import redacted

FAILED = ("failed", "interrupted")
FAILURES = "failed"  # folder of those
KEYS = ("status", "label", "verdict", "folder", "seconds")

Outcome = Mapping[str, Any]


def outcome(status: str, label: str, verdict: str, folder: Path, seconds: float = 0.0) -> dict[str, Any]:
    """What a job came to."""
    return {"status": status, "label": label, "verdict": verdict, "folder": str(folder), "seconds": seconds}


def refused(message: str, folder: Path) -> dict[str, Any]:
    """The outcome of a job that was not run, or could not leave a word of it; said at once."""
    message = redacted(message, folders=False)
    print(f"error: {message}", file=sys.stderr)
    return outcome("failed", folder.name, message, folder)


def new_id() -> str:
    """A name for a sweep that no other one has, on this machine or another."""
    return f"{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(4)}"


def remove_dead(sweep: Path) -> None:
    """Remove what sweeps left that were killed."""
    for path in (sweep / PLACE).glob("[!.]*"):
        if not lives(path.with_suffix(CLAIM)):
            path.unlink(missing_ok=True) if path.suffix else shutil.rmtree(path, ignore_errors=True)


class Outcomes:
    """The outcomes of one sweep.

    Args:
        sweep: the folder of its jobs. name: from :func:`new_id`.
    """

    def __init__(self, sweep: Path, name: str) -> None:
        self.folder = sweep / PLACE / name
        self._lock = threading.Lock()  # the parent's watching thread reads as well
        self._read: set[str] = set()
        self._outcomes: dict[str, Outcome] = {}

    def begin(self, folder: Path) -> None:
        """Called by the job: if its process ends without a word, the sweep knows whom to suspect."""
        (self.folder / f"{folder.name}.begun").touch()

    def begun(self) -> set[str]:
        """Names of the folders of all jobs that have begun."""
        return {path.stem for path in self.folder.glob("*.begun")}

    def record(self, outcome: Outcome) -> None:
        """Called by the job, in whatever process it ran."""
        name = Path(outcome["folder"]).name
        if outcome["status"] in FAILED:
            (self.folder / FAILURES).mkdir(parents=True, exist_ok=True)
            (self.folder / FAILURES / name).touch()
        write_json(self.folder / f"{name}.json", outcome)

    def read(self) -> dict[str, Outcome]:
        """Job folder -> outcome, of all jobs that have ended so far."""
        with self._lock:
            new = [self.folder / name for name in self._names() - self._read if name.endswith(".json")]
            for path in sorted(new, key=lambda path: path.stat().st_mtime_ns):
                try:
                    plain = read_json(path)
                    ended = {key: plain[key] for key in KEYS}
                except (OSError, ValueError, KeyError):  # a slow disk of a cluster: next time
                    continue
                self._read.add(path.name)
                self._outcomes[ended["folder"]] = ended
            return dict(self._outcomes)

    def _names(self) -> set[str]:
        try:
            return {name for name in os.listdir(self.folder) if not name.startswith(".")}
        except FileNotFoundError:  # no job has begun
            return set()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Others see that the sweep lives while the body runs its jobs, and what comes before them."""
        with ExitStack() as held:
            with suppress(OSError):  # a full disk: whoever writes there will say so
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(claimed(self.folder.with_suffix(CLAIM)))
                self.folder.mkdir()
            yield

    def failures(self) -> int:
        """How many have failed so far."""
        try:
            return len(os.listdir(self.folder / FAILURES))
        except FileNotFoundError:
            return 0

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.parent.rmdir()
        except OSError:  # another sweep is at work here
            return
