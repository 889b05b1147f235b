"""Configurations as plain values: shrunk, read as arguments; and what of them decides a job's identity."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.core.errors import UserError, suggestion
from src.core.paths import CONF
from src.core.redaction import redacted
from src.core.running import PROVENANCE
from src.core.store import digest_of

#: Section -> options that it did not have once, with the value that says what was done before there was a choice: of
#: that value identities know nothing, so that results and networks from before are still those of the same job.
LATER: dict[str, dict[str, Any]] = {
    "importance": {"tap": "before_pool", "order": "l1"},
    "shift": {"files": None},
    "search": {"racing": [], "evaluator": "auto", "precision": "fp32", "memory_gb": 2.0},
}

#: Stands for a value that another choice makes meaningless (``ours`` in src/jobs/resolvers.py); it passes no border.
LEFT_OUT = "left out"


def identity(config: Mapping[str, Any]) -> str:
    """Digest of all that decides what a job finds; provenance is left out.

    Files and folders count by what they hold (``contents``), wherever they lie. Of a path that is not there, below
    ``data_root`` or ``outputs`` only what is below it counts: those may lie anywhere. A value of the environment counts
    by its digest (``hidden``), for a result does not show it.
    """
    return digest_of(_deciding(config))


def hidden(config: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key -> digest, of every value that decides what a job finds and came from the environment."""
    return dict(_hidden(_deciding(config)))


def _hidden(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _hidden(item, f"{place}.{key}" if place else key)
    elif redacted(value, folders=False) != value:
        yield place, digest_of(value)


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    roots = [str(config[name]) for name in ("data_root", "outputs") if config.get(name)]
    known = {**config.get("contents", {}), **config.get("hidden", {})}
    return {
        key: _without_places(value, roots, known, key)
        for key, value in without_later(config).items()
        if key not in PROVENANCE
    }


def without_later(config: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of a configuration without the values of :data:`LATER`."""
    return {
        name: {key: value for key, value in section.items() if (key, value) not in LATER[name].items()}
        if name in LATER and isinstance(section, Mapping)
        else section
        for name, section in config.items()
    }


def _without_places(value: Any, roots: Sequence[str], known: Mapping[str, str], place: str) -> Any:
    if place in known:
        return None
    if isinstance(value, Mapping):
        # a data module's workers decode images; how many they are changes nothing
        fetched = bool(value.get("download"))  # what is downloaded is known by its name, wherever it lies
        inner = {
            key: (item, f"{place}.{key}")
            for key, item in value.items()
            if key != "workers" and not (fetched and key == "root")
        }
        return {key: _without_places(item, roots, known, below) for key, (item, below) in inner.items()}
    if isinstance(value, list):
        return [_without_places(item, roots, known, place) for item in value]
    if isinstance(value, str) and "/" in value:
        return next((str(Path(value).relative_to(root)) for root in roots if Path(value).is_relative_to(root)), value)
    return value


def first_comment(path: Path) -> str:
    """What a file of a configuration group says of itself."""
    with path.open(encoding="utf-8") as file:
        comments = (line[1:].strip() for line in file if line.startswith("#") and "@package" not in line)
        return next(comments, "")


def setting(config: Mapping[str, Any], varied: Collection[str]) -> str:
    """Digest of what the runs of one comparison share: the identity without the keys that it varies on purpose."""
    return identity(_without(config, varied))


def _without(config: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Without those keys at any depth: a recipe repeats the seed of its job."""
    return {
        key: _without(value, keys) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in keys
    }


def shrink(config: dict[str, Any], rules: Mapping[str, Any]) -> None:
    """Apply ``debug=tiny``: cap numbers under keys of ``at_most`` and ``limits`` (there null too), replace those of
    ``set``."""
    for mapping in _mappings(config):
        for key, cap in rules.get("limits", {}).items():
            if key in mapping:
                mapping[key] = _limited(mapping[key], cap)
        for key, cap in rules.get("at_most", {}).items():
            value = mapping.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                mapping[key] = min(value, cap)
        for key, value in rules.get("set", {}).items():
            if key in mapping and not isinstance(mapping[key], Mapping):
                mapping[key] = value


def _limited(value: Any, cap: Any) -> Any:
    if isinstance(cap, Mapping):
        return {**(value or {}), **{key: _limited((value or {}).get(key), most) for key, most in cap.items()}}
    if isinstance(value, Mapping):  # of each class
        return {key: _limited(most, cap) for key, most in {"default": None, **value}.items()}
    return min(value, cap) if isinstance(value, int | float) else cap if value is None else value


def keywords(function: Callable[..., Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``values`` as keyword arguments of ``function``.

    Raises:
        UserError: ``function`` has no such argument.
    """
    known = [key for key in inspect.signature(function).parameters if key != "self"]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key} is not a setting; {suggestion(key, known)}", f"{where}.{key}")
    return dict(values)


def options(group: str, folders: Sequence[Path] = (CONF,)) -> list[str]:
    """The choices of a config group, over all configuration folders."""
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mappings(inner)
