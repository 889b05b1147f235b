"""What a sweep must know of a task before any of its jobs runs. Imports nothing heavy: the sweep's parent reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Raised by hand when a task's code changes what it finds; finished jobs of an older version run again.
VERSIONS: dict[str, int] = {}

#: task -> stage (a value of ``until``) -> the keys of the configuration that decide what the stage leaves in the store.
ANCESTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "modularize": {"strong": ("strong",)},
    "patch": {
        "strong": ("strong",),
        "modules": ("strong", "importance", "sensitivity", "search", "seed"),
    },
}


def version_of(task: str) -> int:
    """The version of a task's results."""
    return VERSIONS.get(task, 1)


def ancestors(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The stages that jobs of this configuration could share with others."""
    return ANCESTORS.get(config["task"], {})


def expense(config: Mapping[str, Any]) -> float:
    """How long a job takes, in a unit that the jobs of one task share; 0 where nothing tells them apart."""
    if config["task"] == "train_variant":
        from src.widths.costs import training_expense

        return training_expense(config["recipe"])
    return 0.0
