"""Command lines and configurations: what is allowed, what decides a job's identity, and errors in one line."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.errors import UserError, suggestion
from src.resolvers import ROOT
from src.store import digest_of

CONF = ROOT / "conf"

#: Recorded with a result, but another value makes no other result.
PROVENANCE = ("name", "label", "device", "threads", "workers", "outputs", "data_root", "logger", "report", "traceback")

T = TypeVar("T")


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number from {least}", lambda value: type(value) is int and value >= least


def _one(*words: str) -> tuple[str, Callable[[Any], bool]]:
    return ", ".join(words), lambda value: value in words


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_class(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value != "")


#: What values are allowed where no reader further down would say so in one line: (in words, test). A key that starts
#: with `*.` is the last part of a key, wherever it stands.
VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("words without ..", lambda value: _is_folder(value)),
    "label": ("words without ..", lambda value: _is_folder(value)),
    "device": ("auto, cpu, cuda, cuda:1", lambda value: bool(re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(value)))),
    "workers": ("auto or a whole number from 1", lambda value: value == "auto" or (type(value) is int and value >= 1)),
    "target_class": (
        "a class by number or name, or a list of different ones",
        lambda value: (
            all(map(_is_class, _listed(value))) and len(set(map(str, _listed(value)))) == len(_listed(value)) > 0
        ),
    ),
    "module_score": _one("margin", "logit"),
    "calibration": _one("platt", "min_max", "percentile", "outlier"),
    "report.name": _one("page", "none"),
    "logger.name": _one("csv", "wandb"),
    "logger.mode": _one("auto", "online", "offline", "disabled"),
    "importance.confidence": ("a number from 0 to 1", _is_share),
    "sensitivity.layers": (
        "auto, or a list of layer numbers",
        lambda value: value == "auto" or (isinstance(value, list) and all(type(layer) is int for layer in value)),
    ),
    "sensitivity.ratios": (
        "a list of numbers above 0, up to 1",
        lambda value: isinstance(value, list) and value != [] and all(_is_share(ratio) and ratio for ratio in value),
    ),
    "*.seed": _whole(0),
    "*.data_seed": _whole(0),
    "*.threads": _whole(1),
    "*.resamples": _whole(2),
    "*.random_draws": _whole(1),
    "*.epochs": _whole(1),
    "*.batch_size": _whole(1),
    "*.eval_batch_size": _whole(1),
    "*.crop_padding": _whole(0),
    "*.size": ("a whole number of pixels", lambda value: value is None or (type(value) is int and value >= 1)),
    "*.classes": ("null, or a list of classes", lambda value: value is None or isinstance(value, list)),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_folder(value: Any) -> bool:
    return bool(str(value)) and not Path(str(value)).is_absolute() and ".." not in Path(str(value)).parts


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed configuration as plain containers, all interpolations resolved.

    Raises:
        UserError: a mandatory value is missing, an interpolation leads nowhere, or a value is not allowed.
    """
    try:
        # `hydra` resolves only inside a job, and is no part of what a job is made of
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        found = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "") or ""
        raise UserError(f"{key}: {_first_line(error)}; set {key}=..." if key else _first_line(error)) from None
    assert isinstance(found, dict)
    whole = {str(key): value for key, value in found.items()}
    _check_values(whole)
    shrink(whole, whole.pop("shrink", None) or {})
    return whole


def identity(config: Mapping[str, Any]) -> str:
    """Digest of all that decides what a job finds; provenance is left out."""
    return digest_of({key: _without_folders(value) for key, value in config.items() if key not in PROVENANCE})


def _without_folders(value: Any) -> Any:
    """The same data in another folder is the same data: of a path only the last part is identity."""
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and "/" in value else value


def shrink(config: dict[str, Any], rules: Mapping[str, Any]) -> None:
    """Apply ``debug=tiny``: cap every number under a key of ``at_most``, replace every value under a key of ``set``."""
    for mapping in _mappings(config):
        for key, cap in rules.get("at_most", {}).items():
            value = mapping.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                mapping[key] = min(value, cap)
        for key, value in rules.get("set", {}).items():
            if key in mapping and not isinstance(mapping[key], Mapping):
                mapping[key] = value


def settings(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from a part of the configuration.

    Raises:
        UserError: ``values`` has a key that ``cls`` does not know, or lacks one that it needs.
    """
    known = [field.name for field in fields(cls) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key} is not a setting; {suggestion(key, known)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(f"{where}: {error}; known settings: {', '.join(known)}") from None


def keywords(function: Callable[..., Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``values`` as keyword arguments of ``function``.

    Raises:
        UserError: ``function`` has no such argument.
    """
    known = [key for key in inspect.signature(function).parameters if key != "self"]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key} is not a setting; {suggestion(key, known)}")
    return dict(values)


def _check_values(config: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in config.items():
        key = f"{prefix}{name}"
        words, holds = VALUES.get(key) or VALUES.get(f"*.{name}") or ("", lambda value: True)
        if isinstance(value, Mapping) and not words:
            _check_values(value, f"{key}.")
        elif not holds(value):
            choices = words.split(", ")
            near = f"; {suggestion(value, choices)}" if isinstance(value, str) and " " not in "".join(choices) else ""
            raise UserError(f"{key}={'null' if value is None else value}: allowed is {words}{near}")


def check_command_line(argv: Sequence[str]) -> None:
    """Find out before anything heavy is imported whether Hydra could compose this command line.

    Raises:
        UserError: a group option, a group or a key that does not exist; a group overridden by a string; a value of
            another type than the default's; a broken override.
    """
    from hydra import compose, initialize_config_dir
    from hydra._internal.utils import get_args_parser
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override
    from hydra.errors import HydraException

    parser = get_args_parser()
    parser.error = _refuse_flag  # type: ignore[method-assign]
    arguments = parser.parse_args(list(argv))
    if arguments.hydra_help or arguments.info or arguments.shell_completion:
        return
    folders = [CONF, *([Path(arguments.config_dir).resolve()] if arguments.config_dir else [])]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--config-dir={arguments.config_dir} is no folder; give one that holds config groups")
    overrides: list[Override] = []
    for line in arguments.overrides:
        try:
            overrides += OverridesParser.create().parse_overrides([line])
        except HydraException as error:
            raise UserError(f"{line}: cannot be read ({_first_line(error)}); write 'key=value' in quotes") from None
        if not overrides[-1].key_or_group:
            raise UserError(f"{line}: no key before the =; write key=value")
        if overrides[-1].is_delete() and "." not in overrides[-1].key_or_group:
            raise UserError(f"{line}: '{overrides[-1].key_or_group}' cannot be taken out; give it another value")
    _check_options(overrides, folders)

    GlobalHydra.instance().clear()
    search = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders[1:])}]"] if folders[1:] else []
    chosen = [_one_of(override) for override in overrides]
    groups = [line for line, override in zip(chosen, overrides, strict=True) if _is_group(override, folders)]
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        try:
            defaults = compose("config", overrides=[*groups, *search])
        except HydraException as error:
            raise UserError(_compose_error(error)) from None
        for override in overrides:
            if not _is_group(override, folders):
                _check_value(override, defaults)
        try:
            composed = compose("config", overrides=[*chosen, *search], return_hydra_config=True)
        except HydraException as error:
            raise UserError(_compose_error(error)) from None
    multirun = arguments.multirun or str(OmegaConf.select(composed, "hydra.mode")).endswith("MULTIRUN")
    sweeps = [override.input_line for override in overrides if override.is_sweep_override()]
    if sweeps and not multirun:
        raise UserError(f"{sweeps[0]} names several values: add -m to run them all, or quote a list as 'key=[a,b]'")
    if arguments.cfg:
        return
    if not composed.get("task"):
        raise UserError("nothing to do: name an experiment (experiment=patch_weak) or a task; --help lists them")
    if not multirun:
        plain(composed)  # each job of a sweep tells its own faults
    for folder in (Path(composed.outputs), Path(composed.outputs, "store"), Path(composed.outputs, composed.name)):
        _check_folder(folder)


def _refuse_flag(message: str) -> NoReturn:
    raise UserError(f"{message}; flags such as -m come first, keys are written key=value; --help shows more")


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to write to {folder}")
    except OSError as error:
        raise UserError(
            f"outputs: {folder} cannot be written to ({error}); set outputs=FOLDER or CNN_ANATOMY_OUTPUTS"
        ) from None


def options(group: str, folders: Sequence[Path] = (CONF,)) -> list[str]:
    """The choices of a config group, over all configuration folders."""
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def _check_options(overrides: Sequence[Any], folders: Sequence[Path]) -> None:
    for override in overrides:
        if not _is_group(override, folders):
            continue
        group = override.key_or_group
        values = list(override.sweep_string_iterator()) if override.is_sweep_override() else [override.value()]
        for value in values:
            if isinstance(value, str) and value not in options(group, folders) and not group.startswith("hydra"):
                known = suggestion(value, options(group, folders))
                raise UserError(f"{override.input_line}: no {group} '{value}'; {known}")


def _is_group(override: Any, folders: Sequence[Path]) -> bool:
    if override.key_or_group.startswith("hydra/"):
        return True
    return any((folder / override.key_or_group).is_dir() for folder in folders)


def _one_of(override: Any) -> str:
    """The override with the first of the values it sweeps over."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _check_value(override: Any, defaults: DictConfig) -> None:
    """Compare an overriding value with the one it replaces."""
    key = override.key_or_group
    parent, _, leaf = key.rpartition(".")
    if (override.is_add() or override.is_force_add()) and not parent and key not in defaults:
        raise UserError(f"{override.input_line}: no key '{key}'; {suggestion(key, [str(name) for name in defaults])}")
    if key.startswith("hydra") or override.is_delete() or override.is_force_add():
        return
    node = OmegaConf.select(defaults, parent) if parent else defaults
    if not isinstance(node, DictConfig) or (leaf not in list(node) and not override.is_add()):
        known = list(node) if isinstance(node, DictConfig) else [path for path, _ in _leaves(defaults)]
        near = suggestion(leaf if isinstance(node, DictConfig) else key, [str(name) for name in known])
        raise UserError(f"{override.input_line}: no key '{key}'; {near}")
    if override.is_add() or OmegaConf.is_missing(node, leaf):
        return
    default = node[leaf] if not OmegaConf.is_interpolation(node, leaf) else OmegaConf.select(defaults, key)
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    for value in values:
        if isinstance(default, DictConfig) and not isinstance(value, Mapping) and (parent or value is not None):
            group = re.sub(r".*\.", "", key)
            if group in _groups():
                better = f"write {group}@{key}={value} to choose another file of conf/{group}"
            elif value is None:
                continue
            else:
                better = f"set what is inside: {', '.join(f'{key}.{name!s}' for name in default)}"
            raise UserError(f"{override.input_line} would replace a whole group by a value; {better}")
        if not (key in VALUES or leaf in MANY_KINDS or _fits(value, default)):
            raise UserError(f"{override.input_line}: {value!r} stands where a value like {default!r} is expected")


#: Last parts of keys that take more than one kind of value; their readers check them.
MANY_KINDS = ("normalisation", "select", "names", "target")


def _fits(value: Any, default: Any) -> bool:
    if value is None or default is None or (isinstance(value, str) and "${" in value):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    if isinstance(default, str):
        return not isinstance(value, list | dict)
    return isinstance(value, list) or not isinstance(default, ListConfig)


def _compose_error(error: Exception) -> str:
    text = " ".join(str(error).split())
    missing = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if missing:
        return f"no {missing[1]} '{missing[2]}'; {suggestion(missing[2], options(missing[1]))}"
    unknown = re.search(
        r"Could not override '([^']+)'\.(?: No match in the defaults list| Did you mean to override ([^?]+)\?)?", text
    )
    if unknown and unknown[2]:
        places = unknown[2].removeprefix("one of ").split(", ")
        near = suggestion(unknown[1], places) if places[1:] else f"did you mean '{places[0]}'?"
        return f"{unknown[1]}: no such place; {near}"
    if unknown and "@" in unknown[1]:
        return f"{unknown[1]} is no group of this experiment; groups: {', '.join(_groups())}"
    if unknown:
        inner = re.search(
            r"(Key '[^']*' is not in struct|[^:]*KeyValidationError[^:]*|Key '[^']+'.*?incompatible[^.]*)", text
        )
        return f"{unknown[1]}: no such key{f' ({inner[1]})' if inner else ''}; --cfg all shows every key"
    return _first_line(error)


def _groups() -> list[str]:
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and any(path.glob("*.yaml")))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _leaves(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    keys: list[Any] = list(config)  # not all are strings: search.thresholds has numbers
    for key in keys:
        name = f"{prefix}{key!s}"
        if OmegaConf.is_interpolation(config, key) or OmegaConf.is_missing(config, key):
            yield name, None
        elif isinstance(config[key], DictConfig):
            yield from _leaves(config[key], f"{name}.")
        else:
            yield name, config[key]


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mappings(inner)
