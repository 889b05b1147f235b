"""Configurations as the command line makes them, for tests that call a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from src.core.paths import CONF
from src.jobs.border import plain
from src.jobs.resolvers import register


def configured(outputs: Path, *overrides: str) -> dict[str, Any]:
    """The tiny configuration of a task, which writes below ``outputs``."""
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        return plain(compose("config", ["debug=tiny", "logger=csv", "report=none", f"outputs={outputs}", *overrides]))
