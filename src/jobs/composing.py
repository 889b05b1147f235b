"""Hydra composes once for all lines that choose the same groups; plain values are set on what is there.

Setting them is left to Hydra's own function, and interpolations are resolved when a value is asked for, so that both
ways to a configuration give the same one.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.configuration import first_line
from src.core.errors import UserError
from src.core.paths import CONF, PLUGINS
from src.core.redaction import redacted
from src.jobs.border import plain
from src.jobs.needs import check_needs
from src.jobs.resolvers import SUBDIR, job_folder
from src.jobs.sweep.jobs import Job
from src.tasks.versions import expense

#: Hydra 1.4 has no other base than its own version and warns of a word about it.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}

#: What an interpolation names: a key or, before a colon, a resolver.
REFERENCE = re.compile(r"\$\{\s*([\w.]*)(:?)")
#: Resolvers that always give the same within a process.
STEADY = ("oc.env", "project")

if str(PLUGINS) not in sys.path:  # Hydra looks for its plugins in the package hydra_plugins
    sys.path.insert(0, str(PLUGINS))


def loader_of(more: Path | None = None) -> ConfigLoaderImpl:
    """Hydra's loader of our configuration groups, of the user's own, and of those in the folder ``more``."""
    if VERSION_BASE:
        hydra.version.setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    if more:
        search_path.prepend("command-line", f"file://{more}", SearchPathQuery(provider="schema"))
    loader = ConfigLoaderImpl(search_path)
    Hydra("run", loader)  # makes Hydra's own resolvers known
    return loader


class Composer:
    """Composes command lines and the jobs of a sweep."""

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self.loader = loader
        self._parsed: dict[str, Override] = {}
        self._composed: dict[tuple[tuple[str, ...], tuple[str, ...]], DictConfig] = {}

    def parse(self, line: str) -> Override:
        """One override.

        Raises:
            HydraException: it cannot be read.
        """
        if line not in self._parsed:
            (self._parsed[line],) = OverridesParser.create(self.loader).parse_overrides([line])
        return self._parsed[line]

    def is_value(self, override: Override) -> bool:
        """Whether it sets a value of a job, and chooses no group and nothing of Hydra's."""
        chooses = self.loader.repository.group_exists(override.key_or_group)
        return not override.is_hydra_override() and (not chooses or isinstance(override.value(), dict))

    def compose(self, overrides: Sequence[Override]) -> DictConfig:
        """What the groups and Hydra's own keys among the overrides give; :func:`set_values` adds the values.

        Raises:
            HydraException, yaml.YAMLError: it cannot be composed.
        """
        lines = [str(one.input_line) for one in overrides if not self.is_value(one)]
        return self.loader.load_configuration("config", lines, RunMode.RUN)

    def swept(self, grid: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Of each line of overrides the keys in which the lines differ, with their values."""
        columns = [column for column in zip(*grid, strict=True) if len(set(column)) > 1]
        keys = [self.parse(column[0]).key_or_group for column in columns]
        rows = zip(*([self.parse(line).value() for line in column] for column in columns), strict=True)
        return [dict(zip(keys, row, strict=True)) for row in rows] if columns else [{} for _ in grid]

    def jobs(self, config: DictConfig, grid: Sequence[Sequence[str]]) -> list[Job]:
        """A job per line of overrides; one that cannot be composed says why.

        Args:
            config: of the sweep.
        """
        common = set.intersection(*map(set, grid)) if len(grid) > 1 else set()
        return [self._job(config, tuple(line), [part for part in line if part not in common]) for line in grid]

    def _job(self, config: DictConfig, lines: tuple[str, ...], swept: Sequence[str]) -> Job:
        try:
            composed = self.job(config, lines)
            values = plain(composed)
            check_needs(values, here=False)
            written: Any = OmegaConf.to_container(composed.hydra.sweep, resolve=False)
            if written["subdir"] == SUBDIR:
                subdir = job_folder(values)
            else:  # what it is made of may be something of Hydra's
                composed = self.loader.load_sweep_config(config, list(lines))
                subdir = str(composed.hydra.sweep.subdir)
            takes = 0.0
            with suppress(KeyError, TypeError):  # a part is missing, which the job will say
                takes = expense(values)
            return Job(lines, Path(composed.hydra.sweep.dir, subdir), values, takes)
        except (HydraException, OmegaConfBaseException, UserError) as error:
            named = Path(config.hydra.sweep.dir, " ".join(swept).replace("/", "_")[:200])
            return Job(lines, named, {}, 0.0, redacted(first_line(error), folders=False))

    def job(self, config: DictConfig, lines: Sequence[str]) -> DictConfig:
        """A job's configuration, which lives until the next call.

        It is as Hydra composes it but for ``hydra.overrides``.
        """
        overrides = [self.parse(line) for line in lines]
        keys = tuple(one.key_or_group for one in overrides)
        plainly = [one for one in overrides if self._is_plain(one) and _stands_alone(one.key_or_group, keys)]
        rest = tuple(line for line, one in zip(lines, overrides, strict=True) if one not in plainly)
        place = (rest, tuple(one.key_or_group for one in plainly))
        # all jobs that come here set the same keys, so that nothing of the last one is left
        composed = self._composed.pop(place, None)
        if composed is None:
            composed = self.loader.load_sweep_config(config, list(rest))
            _settle(composed, place[1])
        set_values(composed, plainly)
        self._composed[place] = composed
        return composed

    def _is_plain(self, override: Override) -> bool:
        changes = not (override.is_add() or override.is_force_add() or override.is_delete())
        return changes and self.is_value(override) and not isinstance(override.value(), dict)


def set_values(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Set values on a composition as Hydra does.

    Raises:
        HydraException: a key does not exist, or a value cannot stand there.
    """
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


@cache
def _stands_alone(key: str, keys: tuple[str, ...]) -> bool:
    """Whether nothing above or below the key is set as well, so that the order does not matter."""
    return sum(_overlap(key, other) for other in keys) == 1


def _settle(config: DictConfig, keys: Sequence[str]) -> None:
    """Put values in the place of interpolations that none of the keys steers: reading one takes a millisecond."""
    texts = dict(_interpolations(OmegaConf.to_container(config, resolve=False)))
    steered = dict.fromkeys(keys, "")
    while more := {path: text for path, text in texts.items() if path not in steered and _is_steered(text, steered)}:
        steered |= more
    for path in texts.keys() - steered.keys():
        with suppress(OmegaConfBaseException):  # what leads nowhere is told by the job
            value = OmegaConf.select(config, path)
            if not OmegaConf.is_config(value) and "${" not in str(value):
                OmegaConf.update(config, path, value)


def _interpolations(plainly: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in plainly.items():
        if isinstance(value, dict) and (prefix or key != "hydra"):
            yield from _interpolations(value, f"{prefix}{key}.")
        elif isinstance(value, str) and "${" in value and isinstance(key, str):
            yield f"{prefix}{key}", value


def _is_steered(text: str, keys: Iterable[str]) -> bool:
    """Whether an interpolation names one of the keys, or something whose value may change by itself."""
    names = REFERENCE.findall(text)
    if any(name.startswith(".") or (resolver and name not in STEADY) for name, resolver in names):
        return True
    return any(_overlap(name.rstrip("."), key) for name, resolver in names if not resolver for key in keys)


def _overlap(one: str, other: str) -> bool:
    """Whether two dotted keys are the same, or one is part of the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
