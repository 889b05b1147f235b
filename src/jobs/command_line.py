"""Command lines: what Hydra could not compose is found at once, and said in one line with what would be right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.configuration import first_line, options
from src.core.errors import UserError, suggestion
from src.core.options import described
from src.core.own import own_folder
from src.core.paths import CONF
from src.core.running import Running
from src.jobs.border import plain
from src.studies.protocol import studies
from src.tasks.options import SUBJECTS, TASKS


def check_command_line(argv: Sequence[str]) -> None:
    """Find out before anything heavy is imported whether Hydra could compose this command line.

    Raises:
        UserError: a group option, a group or a key that does not exist; a group overridden by a string; a value of
            another type than the default's; a broken override; an interpolation that leads nowhere.
    """
    try:
        _check(argv)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise UserError(f"{key}: {first_line(error)}" if key else first_line(error)) from None


def _check(argv: Sequence[str]) -> None:
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
    more = [Path(arguments.config_dir).resolve()] if arguments.config_dir else []
    folders = [CONF, *_own_groups(), *more]
    for folder in more:
        if not folder.is_dir():
            raise UserError(f"--config-dir={arguments.config_dir} is no folder; give one that holds config groups")
    overrides: list[Override] = []
    for line in arguments.overrides:
        try:
            overrides += OverridesParser.create().parse_overrides([line])
        except HydraException as error:
            raise UserError(f"{line}: cannot be read ({first_line(error)}); write 'key=value' in quotes") from None
        if not overrides[-1].key_or_group:
            raise UserError(f"{line}: no key before the =; write key=value")
        if overrides[-1].is_delete() and "." not in overrides[-1].key_or_group:
            raise UserError(f"{line}: '{overrides[-1].key_or_group}' cannot be taken out; give it another value")
    _check_options(overrides, folders)

    GlobalHydra.instance().clear()
    search = [f"hydra.searchpath=[file://{folder}]" for folder in more]
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
    for key in ("outputs", "name"):
        if not isinstance(composed[key], str):
            word = "null" if composed[key] is None else composed[key]
            raise UserError(
                f"{key}={word}: allowed is the name of a folder, in quotes within quotes where it is a number"
            )
    for folder in (Path(composed.outputs), Path(composed.outputs, "store"), Path(composed.outputs, composed.name)):
        _check_folder(folder)


def _own_groups() -> list[Path]:
    """The folder of the user's own configuration groups, if there is one."""
    mine = own_folder()
    if mine is None or not (mine / "conf").is_dir():
        return []
    for path in sorted((mine / "conf").rglob("*.yaml")):
        name = path.relative_to(mine / "conf")
        if (CONF / name).exists():
            raise UserError(f"own={mine}: its conf/{name} would be hidden by the project's; give it another name")
    return [mine / "conf"]


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


def _check_options(overrides: Sequence[Any], folders: Sequence[Path]) -> None:
    for override in overrides:
        if not _is_group(override, folders):
            continue
        group, known = override.key_or_group, options(override.key_or_group, folders)
        for value in _options_named(override):
            if not isinstance(value, str) or (value not in known and not group.startswith("hydra")):
                word = "null" if value is None else str(value)
                if group == "study" and word in (mine := studies()):
                    place = f"conf/study/{word}.yaml"
                    raise UserError(
                        f"{override.input_line}: {mine[word]} has no values; write {place} in your folder, with "
                        f"'name: {word}' and a line for each of its options"
                    )
                raise UserError(f"{override.input_line}: no {group} '{word}'; {suggestion(word, known)}")


def _options_named(override: Any) -> list[Any]:
    """What a group is overridden by, one after another; whatever is no name is refused by the caller."""
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    value = override.value()
    return value if isinstance(value, list) and value else [value]


def _is_group(override: Any, folders: Sequence[Path]) -> bool:
    if override.key_or_group.startswith("hydra/"):
        return True
    return any((folder / override.key_or_group).is_dir() for folder in folders)


def _one_of(override: Any) -> str:
    """The override with the first of the values it sweeps over."""
    if not override.is_sweep_override():
        return str(override.input_line)
    first = next(iter(override.sweep_string_iterator()), None)
    if first is None:
        raise UserError(f"{override.input_line}: holds no value; the end of a range is not part of it")
    return f"{override.get_key_element()}={first}"


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
        if value is None and key.endswith("source.tree"):  # no tree, where a data set has one
            continue
        if isinstance(default, DictConfig) and not isinstance(value, Mapping) and (parent or value is not None):
            group = re.sub(r".*\.", "", key)
            if group in _groups():
                better = f"write {group}@{key}={value} to choose another file of conf/{group}"
            elif value is None:
                continue
            else:
                better = f"set what is inside: {', '.join(f'{key}.{name!s}' for name in default)}"
            raise UserError(f"{override.input_line} would replace a whole group by a value; {better}")
        if not (leaf in MANY_KINDS or parent == "study" or key in _typed() or _fits(value, default)):
            raise UserError(f"{override.input_line}: {value!r} stands where a value like {default!r} is expected")


#: Last parts of keys that take more than one kind of value; their readers check them.
MANY_KINDS = ("normalisation", "select", "names", "target", "validation", "variant", "budget_gb", "pools")


def _typed() -> set[str]:
    """Dotted keys whose options say themselves what is allowed, better than by the default; a study's all do."""
    return {key for kind in (Running, *TASKS.values(), *SUBJECTS.values()) for key in described(kind)}


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
    return first_line(error)


def _groups() -> list[str]:
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and any(path.glob("*.yaml")))


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
