"""The jobs of a sweep before they run: which are done, what several of them share, and in which order they go."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from src.core.files import read_json
from src.core.result import FILE, FORMAT, damage
from src.core.store import digest_of

Ancestors = Mapping[str, Sequence[str]]


class Planning(Protocol):
    """What a sweep asks about tasks; see :mod:`src.tasks.versions`."""

    def version_of(self, config: Mapping[str, Any]) -> str: ...
    def ancestors(self, config: Mapping[str, Any]) -> Ancestors: ...
    def expense(self, config: Mapping[str, Any]) -> float: ...


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: what Hydra composes it from.
        folder: where its result goes.
        config: as the job will see it; empty where it could not be composed.
        expense: how long it takes, in any unit that the jobs of one sweep share.
        fault: why it cannot be run, in one line.
    """

    overrides: tuple[str, ...]
    folder: Path
    config: Mapping[str, Any]
    expense: float = 0.0
    fault: str = ""


def is_done(folder: Path, wanted: str, version: str) -> bool:
    """Whether ``folder`` holds a whole, successful result of this identity and of this version of the task."""
    try:
        plain = read_json(folder / FILE)
        same = plain.get("status") == "ok" and plain.get("identity") == wanted and plain.get("version") == version
        return same and plain.get("format") == FORMAT and "files" in plain and not damage(folder)
    except (OSError, ValueError):
        return False


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """So that no long job starts last and runs alone; among equals the order stays."""
    return sorted(jobs, key=lambda job: -job.expense)


def stages(jobs: Sequence[Job], ancestors: Callable[[Mapping[str, Any]], Ancestors]) -> dict[str, list[Job]]:
    """What several of the jobs need and only one has to make: stage -> one job for each distinct ancestor.

    Args:
        ancestors: of a job's config: stage -> the keys that decide what the stage makes, the first stage first. A stage
            contains those before it, so one that would be made for the same jobs as a later one is left out.
    """
    shared: dict[str, dict[str, list[Job]]] = {}
    for job in jobs:
        for stage, keys in ancestors(job.config).items():
            callbacks = {"callbacks": job.config.get("callbacks")}  # of all trainings
            digest = digest_of({key: job.config[key] for key in keys} | callbacks)
            shared.setdefault(stage, {}).setdefault(digest, []).append(job)
    wanted: dict[str, list[Job]] = {}
    covered: set[tuple[int, ...]] = set()
    for stage, groups in reversed(shared.items()):
        many = {tuple(map(id, group)): group for group in groups.values() if len(group) > 1}
        if fresh := [group for members, group in many.items() if members not in covered]:
            wanted[stage] = [max(group, key=lambda job: job.expense) for group in fresh]
        covered |= many.keys()
    return dict(reversed(wanted.items()))
