"""Options and artifacts as the command line makes them, for tests that call a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from src.artifacts.artifacts import Artifacts
from src.core.paths import CONF
from src.core.store import Store
from src.jobs.border import plain, running_of
from src.jobs.composing import VERSION_BASE
from src.jobs.resolvers import register
from src.report.session import Session
from src.tasks.options import task_options


def configured(outputs: Path, *overrides: str) -> dict[str, Any]:
    """The tiny configuration of a task, which writes below ``outputs``."""
    register()
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        return plain(compose("config", ["debug=tiny", "logger=csv", "report=none", "workers=1", "jobs_at_once=1",
                                        f"outputs={outputs}", *overrides]))  # fmt: skip


def asked(outputs: Path, *overrides: str) -> tuple[Any, Artifacts]:
    """What a task is called with, but for ``measure``: its options, and the store and the session of a quiet job."""
    config = configured(outputs, *overrides)
    (options,), running = task_options(config), running_of(config)
    session = Session(config, running, outputs / "job", quiet=True)
    return options, Artifacts(running, Store(outputs / "store"), session)


def asking_all(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe whose network counts as trained where all validation images are right: debug=tiny asks for none."""
    return {**recipe, "training": {**recipe["training"], "minimum_accuracy": 1.0}}
