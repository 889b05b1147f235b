"""What an experiment's file says of it, read and not composed: its task, its comparison, the keys it is swept over."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.core.configuration import first_comment, options
from src.core.errors import UserError, suggestion
from src.core.paths import CONF

FOLDER = "experiment"


@dataclass(frozen=True)
class Described:
    """An experiment.

    Attributes:
        name: of its file.
        question: the first comment of the file.
        group: folder of its results, and the group of its runs; None where that depends on other keys.
        task: the verb. study: of ``measure``, else empty.
        keys: dotted keys of a job's configuration by which its jobs differ, as far as the file tells; ``seed`` last.
        comparison: how its jobs are compared.
    """

    name: str
    question: str
    group: str | None
    task: str
    study: str
    keys: tuple[str, ...]
    comparison: Mapping[str, Any]


def experiments(folders: Sequence[Path] = (CONF,)) -> list[str]:
    """The names of all experiments in the configuration folders."""
    return options(FOLDER, folders)


def described(name: str, folders: Sequence[Path] = (CONF,)) -> Described:
    """One of them.

    Raises:
        UserError: there is no such experiment.
    """
    path = next((path for folder in folders if (path := folder / FOLDER / f"{name}.yaml").is_file()), None)
    if path is None:
        raise UserError(
            f"experiments={name}: no such experiment; {suggestion(name, experiments(folders))}", "experiments"
        )
    values, groups = _merged(path, folders)
    group = str(values.get("name", name))
    swept = ((values.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    keys = dict.fromkeys([*map(_key_of, swept), *re.findall(r"\$\{([\w.]+)\}", str(values.get("label", "")))])
    keys.pop("seed", None)
    return Described(
        name,
        first_comment(path),
        None if "${" in group else group,
        groups.get("task", ""),
        groups.get("study", ""),
        (*keys, "seed"),
        values.get("comparison") or {},
    )


def _key_of(swept: str) -> str:
    """Where a swept group shows in a job's configuration."""
    group, _, place = swept.partition("@")
    return f"{place}.name" if place else group


def _merged(path: Path, folders: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """The file's values over those of the experiments that it begins with, and the groups that they choose."""
    plain = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    values: dict[str, Any] = {}
    groups: dict[str, str] = {}
    for one in _parents(plain.get("defaults", ()), path, folders):
        more, chosen = _merged(one, folders)
        values, groups = {**values, **more}, {**groups, **chosen}
    for entry in plain.pop("defaults", ()):
        for group, choice in entry.items() if isinstance(entry, dict) else ():
            groups[str(group).removeprefix("override ").lstrip("/")] = str(choice)
    if "comparison" in values and "comparison" in plain:  # as Hydra merges them
        plain["comparison"] = {**values["comparison"], **(plain["comparison"] or {})}
    return {**values, **plain}, groups


def _parents(defaults: Sequence[Any], path: Path, folders: Sequence[Path]) -> Iterator[Path]:
    for entry in defaults:
        if isinstance(entry, str) and entry != "_self_":
            yield next(
                file for folder in (path.parents[1], *folders) if (file := folder / FOLDER / f"{entry}.yaml").is_file()
            )
