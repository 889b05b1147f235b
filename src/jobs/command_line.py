"""Command lines: composed once; what cannot be composed is then found out, and said in one line with what is right."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.configuration import LEFT_OUT, first_line, options
from src.core.errors import UserError, close_to, in_quotes, suggestion
from src.core.options import check_value, described, types_of
from src.core.own import groups
from src.core.paths import CONF, ROOT
from src.core.running import Running
from src.jobs.border import checked
from src.jobs.composing import Composer, loader_of, set_values
from src.studies.protocol import how_to_add, studies
from src.tasks.options import PARTS, SUBJECTS, TASKS
from src.training.loggers import check_loggers

#: Last parts of keys that take more than one kind of value; their readers check them.
MANY_KINDS = ("normalisation", "select", "names", "target", "validation", "variant", "budget_gb", "pools")


@dataclass(frozen=True)
class CommandLine:
    """A command line that can be run.

    Attributes:
        composer: holds Hydra's loader. composed: with Hydra's part; of a sweep, by the first of each key's values.
        values: of a job, resolved and checked; empty for a sweep and where the configuration is only shown.
        multirun: a sweep.
    """

    composer: Composer
    composed: DictConfig
    values: Mapping[str, Any]
    multirun: bool


def read_flags(argv: Sequence[str]) -> Any:
    """The command line as Hydra's parser takes it apart: flags and ``overrides``.

    Raises:
        UserError: there is no such flag.
    """
    parser = get_args_parser()
    parser.error = _refuse_flag  # type: ignore[method-assign]
    flags = parser.parse_args(list(argv))
    for name in ("config_name", "config_path", "experimental_rerun"):
        if given := getattr(flags, name):
            raise UserError(
                f"--{name.replace('_', '-')}={given}: there is one configuration, conf/config.yaml; write key=value to "
                "change it, or --config-dir=FOLDER for groups of yours"
            )
    return flags


def _refuse_flag(message: str) -> NoReturn:
    raise UserError(f"{message}; flags such as -m come first, keys are written key=value; --help shows more")


def check_command_line(argv: Sequence[str]) -> CommandLine:
    """Compose a command line and check all that can be checked before anything heavy is imported.

    Raises:
        UserError: a group, one of its options or a key that does not exist; a group overridden by a string; a value
            that is not allowed; a broken override or file; an interpolation that leads nowhere.
    """
    flags = read_flags(argv)
    more = Path(flags.config_dir).resolve() if flags.config_dir else None
    if more and not more.is_dir():
        raise UserError(f"--config-dir={flags.config_dir} is no folder; give one that holds config groups")
    _check_own_groups()
    folders = [*groups(), *([more] if more else [])]
    composer = Composer(loader_of(more))
    overrides = [_parsed(_in_quotes(line), composer, flags.overrides) for line in flags.overrides]
    for override in overrides:
        if not composer.is_value(override) and not override.key_or_group.startswith("hydra."):
            _check_option(override, folders)
    chosen = [composer.parse(_one_of(override)) for override in overrides]
    try:
        _check_verbs(chosen, composer)
        composed = composer.compose(chosen)
    except (HydraException, ValueError, yaml.YAMLError) as error:
        raise UserError(_why_not(error, composer, chosen)) from None
    pairs = [(override, one) for override, one in zip(overrides, chosen, strict=True) if composer.is_value(one)]
    try:
        for override, _ in pairs:
            _check_value(override, composed)
        set_values(composed, [one for _, one in pairs])
        return _checked(flags, composer, composed, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
        key = getattr(cause, "full_key", None)
        raise UserError(f"{key}: {first_line(cause or error)}" if key else first_line(cause or error)) from None
    except UserError as error:
        typed = any(f"{error.key}.".startswith(f"{one.key_or_group}.") for _, one in pairs)
        place = "" if typed or not error.key else _place_of(error.key, composer, chosen, folders)
        raise UserError(f"{error} ({place})" if place else str(error), error.key) from None


def _checked(flags: Any, composer: Composer, composed: DictConfig, overrides: Sequence[Override]) -> CommandLine:
    composed.hydra.overrides.task = [str(one.input_line) for one in overrides if not one.is_hydra_override()]
    multirun = flags.multirun or composed.hydra.mode == RunMode.MULTIRUN
    sweeps = [override.input_line for override in overrides if override.is_sweep_override()]
    if sweeps and not multirun:
        raise UserError(f"{sweeps[0]} names several values: add -m to run them all, or quote a list as 'key=[a,b]'")
    if flags.cfg or flags.info or flags.help:
        return CommandLine(composer, composed, {}, multirun)
    if not composed.get("task"):
        raise UserError("nothing to do: name an experiment (experiment=patch_weak) or a task; --help lists them")
    launchers = [one for one in overrides if one.key_or_group == "hydra/launcher" and one.value() != "basic"]
    if launchers and not multirun:
        named = launchers[0].input_line
        raise UserError(f"{named} runs the jobs of a sweep; add -m, or leave it out to run one job here")
    ruled = [one.input_line for one in overrides if one.key_or_group.startswith("sweep.")]
    if ruled and not multirun:
        raise UserError(f"{ruled[0]} is about the jobs of a sweep; add -m, or leave it out to run one job here")
    check_loggers(composed.get("logger") or {})
    values = {} if multirun else checked(composed)  # each job of a sweep tells its own faults
    for key in ("outputs", "name"):
        value = composed[key]
        if not isinstance(value, str):
            shown, typed = (
                ("null", "") if value is None else (value, f"; as a word it is typed {in_quotes(key, value)}")
            )
            raise UserError(f"{key}={shown}: allowed is the name of a folder{typed}", key)
        check_value(dict(types_of(Running))[key], value, key)
    for folder in (Path(composed.outputs), Path(composed.outputs, "store"), Path(composed.outputs, composed.name)):
        _check_folder(folder)
    return CommandLine(composer, composed, values, multirun)


def _check_own_groups() -> None:
    """Refuse a file of the user's own groups that the project has too."""
    for folder in groups()[1:]:
        for name in sorted(path.relative_to(folder) for path in folder.rglob("*.yaml")):
            if (CONF / name).exists():
                mine = folder.parent
                raise UserError(f"own={mine}: its conf/{name} would be hidden by the project's; give it another name")


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; nothing is made yet."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return
    reason = f"no permission to write to {place}" if place.is_dir() else f"{place} is a file"
    raise UserError(f"outputs: {folder} cannot be written to ({reason}); set outputs=FOLDER or CNN_ANATOMY_OUTPUTS")


def _in_quotes(line: str) -> str:
    """An expression is one word to Hydra, also where the shell took its quotes."""
    key, equals, value = line.partition("=")
    bare = key == "sweep.where" and equals and value not in ("", "null") and value[0] not in "'\""
    return "{}='{}'".format(key, value.replace("\\", "\\\\").replace("'", "\\'")) if bare else line


def _parsed(line: str, composer: Composer, lines: Sequence[str]) -> Override:
    """One of the overrides, or how it would have to be typed."""
    key, equals, value = line.partition("=")
    try:
        override = composer.parse(line)
    except HydraException as error:
        todo = "write 'key=value' in quotes" if equals else "write key=value, as experiment=NAME; --help lists them"
        with suppress(HydraException):
            composer.parse(f"{key}='{value}'")
            todo = f"type it as {in_quotes(key, value)}" if equals and value[0] not in "[{" else todo
        if set(line) & set("“”‘’„"):
            todo = "its quotes are those of a text, a shell's are ' and \""
        elif line[0] in "'\"":
            todo = f"these quotes are one pair too many; write {line.strip(line[0])}"
        elif line in options("experiment"):
            todo = f"write experiment={line}"
        elif not equals and any(word[:1] == "=" or word[-1:] == "=" for word in lines):
            todo = "write key=value without a space beside the ="
        raise UserError(f"{line}: cannot be read ({first_line(error)}); {todo}") from None
    if not override.key_or_group:
        raise UserError(f"{line}: no key before the =; write key=value")
    if override.is_delete() and "." not in override.key_or_group:
        raise UserError(f"{line}: '{override.key_or_group}' cannot be taken out; give it another value")
    return override


def _one_of(override: Override) -> str:
    """The override with the first of the values it sweeps over."""
    if not override.is_sweep_override():
        return str(override.input_line)
    first = next(iter(override.sweep_string_iterator()), None)
    if first is None:
        raise UserError(f"{override.input_line}: holds no value; the end of a range is not part of it")
    return f"{override.get_key_element()}={first}"


def one_job(argv: Sequence[str], composer: Composer) -> list[str]:
    """The command line of a sweep's first job, where that is what is shown."""
    given = read_flags(argv).overrides
    return [_one_of(composer.parse(word)) if word in given else word for word in argv]


def _check_option(override: Override, folders: Sequence[Path]) -> None:
    """Refuse an option that a group does not have; Hydra's own groups have more than our folders show."""
    group, known = override.key_or_group, options(override.key_or_group, folders)
    for value in _options_named(override):
        if isinstance(value, str) and (value in known or group.startswith("hydra")):
            continue
        word = "null" if value is None else str(value)
        if group == "study" and word in (mine := studies()):
            place = f"conf/study/{word}.yaml"
            raise UserError(
                f"{override.input_line}: {mine[word]} has no values; write {place} in your folder, with "
                f"'name: {word}' and a line for each of its options"
            )
        hint = f"; {how_to_add(word)}" if group == "study" else ""
        raise UserError(f"{override.input_line}: no {group} '{word}'; {suggestion(word, known)}{hint}")


def _options_named(override: Override) -> list[Any]:
    """What a group is overridden by, one after another; whatever is no name is refused by the caller."""
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    value = override.value()
    return value if isinstance(value, list) and value else [value]


def _check_verbs(chosen: Sequence[Override], composer: Composer) -> None:
    """Refuse two tasks: named twice, or beside an experiment that is another one."""
    named = {verb: [one for one in chosen if one.key_or_group == verb] for verb in ("experiment", "task")}
    for verb, several in named.items():
        if len(several) > 1:
            lines = " ".join(str(one.input_line) for one in several)
            raise UserError(f"{lines}: one {verb} at a time; leave out all but one")
    if named["experiment"] and named["task"]:
        (experiment,), (task,) = named.values()
        own_task = composer.compose([experiment]).hydra.runtime.choices.get("task")
        if own_task not in (None, task.value()) and task.value() not in PARTS.get(own_task, ()):
            both = f"{experiment.input_line} {task.input_line}"
            raise UserError(f"{both}: the experiment is task={own_task}; leave out one of the two")


def _why_not(error: Exception, composer: Composer, chosen: Sequence[Override]) -> str:
    """Which line Hydra cannot compose, and what would be right."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{_short(error.problem_mark.name, error.problem_mark.line)}: {error.problem}; mend the file"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"no {group} '{name}'; {suggestion(name, error.options or options(group))}"
    good = composer.compose([])
    lines: list[Override] = []
    keys = ["task", "experiment"]  # what the others change comes first
    for one in sorted(chosen, key=lambda one: (one.key_or_group not in keys, "." in one.key_or_group)):
        try:
            good = composer.compose([*lines, one])
            lines.append(one)
        except (HydraException, ValueError) as reason:
            return _why_not_this(one, reason, good)
    return first_line(error)


def _why_not_this(override: Override, reason: Exception, composed: DictConfig) -> str:
    """Why an override does not fit to what the others composed."""
    name, choices = override.get_key_element().lstrip("+~"), [str(key) for key in composed.hydra.runtime.choices]
    places = [key for key in choices if key.partition("@")[0] == override.key_or_group]
    parent, _, leaf = override.key_or_group.rpartition(".")
    if name.startswith("hydra.") and isinstance(node := OmegaConf.select(composed, parent), DictConfig):
        return first_line(reason.__cause__ or reason) if leaf in node else _no_key(override, leaf, node)
    if name in places or name.startswith("hydra"):
        return first_line(reason)
    if places:
        near = suggestion(name, places) if places[1:] else f"did you mean '{places[0]}'?"
        return f"{name}: no such place; {near}"
    return f"{name} is no group of this experiment; groups: {', '.join(_groups())}"


def _no_key(override: Override, word: str, known: Iterable[Any]) -> str:
    """``word`` is the key, or its last part, and none of the ``known``; what is meant is said as a whole key."""
    key, words = override.key_or_group, list(map(str, known))
    near = close_to(word, words)
    right = f"did you mean '{key.removesuffix(word)}{near}'?" if near else suggestion(word, words)
    return f"{override.input_line}: no key '{key}'; {right}"


def _check_value(override: Override, composed: DictConfig) -> None:
    """Compare an overriding value with the one it replaces."""
    key = override.key_or_group
    parent, _, leaf = key.rpartition(".")
    top = [name for name in composed if name != "hydra"]
    if (override.is_add() or override.is_force_add()) and not parent and key not in top:
        raise UserError(_no_key(override, key, top))
    if override.is_delete() or override.is_force_add():
        return
    node = OmegaConf.select(composed, parent) if parent else composed
    if not isinstance(node, DictConfig):
        raise UserError(_no_key(override, key, _leaves(composed)))
    if leaf not in list(node) and not override.is_add():  # also where nothing is set yet
        raise UserError(_no_key(override, leaf, node if parent else {*top, *_groups()}))
    if override.is_add() or OmegaConf.is_missing(node, leaf):
        return
    default = node[leaf] if not OmegaConf.is_interpolation(node, leaf) else OmegaConf.select(composed, key)
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    for value in values:
        if value is None and key.endswith("source.tree"):  # no tree, where a data set has one
            continue
        if isinstance(default, DictConfig) and not isinstance(value, Mapping) and (parent or value is not None):
            if leaf in _groups():
                better = f"write {leaf}@{key}={value} to choose another file of conf/{leaf}"
            elif value is None:
                continue
            else:
                better = f"set what is inside: {', '.join(f'{key}.{name!s}' for name in default)}"
            raise UserError(f"{override.input_line} would replace a whole group by a value; {better}")
        if not (_fits(value, default) or leaf in MANY_KINDS or parent == "study" or key in _typed()):
            raise UserError(f"{override.input_line}: {value!r} stands where a value like {default!r} is expected")


def _typed() -> set[str]:
    """Dotted keys whose options say themselves what is allowed, better than by the default; a study's all do."""
    return {key for kind in (Running, *TASKS.values(), *SUBJECTS.values()) for key in described(kind)}


def _fits(value: Any, default: Any) -> bool:
    if value is None or default is None or default == LEFT_OUT or (isinstance(value, str) and "${" in value):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    if isinstance(default, str):
        return not isinstance(value, list | dict)
    return isinstance(value, list) or not isinstance(default, ListConfig)


def _groups() -> list[str]:
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and any(path.glob("*.yaml")))


def _leaves(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key, value in config.items_ex(resolve=False):
        name = f"{prefix}{key!s}"
        if isinstance(value, DictConfig) and not value._is_interpolation() and not value._is_none():
            yield from _leaves(value, f"{name}.")
        elif prefix or key != "hydra":
            yield name


def _place_of(key: str, composer: Composer, chosen: Sequence[Override], folders: Sequence[Path]) -> str:
    """File and line where a preset sets the key; nothing where it only repeats another key."""
    lines = [str(one.input_line) for one in chosen if not composer.is_value(one)]
    for part in reversed(composer.loader.compute_defaults_list("config", lines, RunMode.RUN).defaults):
        package = f"{part.package}." if part.package else ""
        path = next((path for folder in folders if (path := folder / f"{part.config_path}.yaml").is_file()), None)
        if path is None or not key.startswith(package):
            continue
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        line = None
        for word in key.removeprefix(package).split("."):
            entries = node.value if isinstance(node, yaml.MappingNode) else ()
            here = ((name.start_mark.line, value) for name, value in entries if name.value == word)
            line, node = next(here, (None, None))
        if line is not None:
            repeats = isinstance(node, yaml.ScalarNode) and "${" in node.value
            return "" if repeats else _short(path, line)
    return ""


def _short(path: Path | str, line: int) -> str:
    shown = Path(path).relative_to(ROOT) if Path(path).is_relative_to(ROOT) else path
    return f"{shown}:{line + 1}"
