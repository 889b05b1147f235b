"""What tasks get beside their options, for tests that call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.core.running import Logger, Report, Running, Sweep
from src.core.store import Store
from tests.fakes.study import FakeSession


def running(**changes: Any) -> Running:
    """A quiet job on the CPU."""
    values: dict[str, Any] = {
        "name": "n", "label": "seed0", "device": "cpu", "threads": 1, "workers": 1, "jobs_at_once": 1, "outputs": "",
        "data_root": "", "logger": Logger("csv"), "report": Report("none"), "traceback": False, "resume_every": 0,
        "until": None, "comparison": None, "sweep": Sweep(None, False, None),
    }  # fmt: skip
    return Running(**values | changes)


def artifacts(session: Any = None, store: Path | None = None, **changes: Any) -> Artifacts:
    """Of such a job; without a folder nothing may be asked of the store."""
    where: Any = None if store is None else Store(store)
    return Artifacts(running(**changes), where, session or FakeSession())
