"""The jobs of a grid, composed as Hydra would, but once for all lines that differ by plain values alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src.core.configuration import first_line
from src.core.errors import UserError
from src.jobs.border import plain
from src.jobs.sweep.jobs import Job
from src.tasks.versions import expense


class Composer:
    """Composes the jobs of one sweep.

    Args:
        config: of the sweep, with Hydra's part.
        loader: Hydra's configuration loader.
    """

    def __init__(self, config: DictConfig, loader: Any) -> None:
        self.config, self.loader = config, loader
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def jobs(self, grid: Sequence[Sequence[str]]) -> list[Job]:
        """A job per line of overrides; one that cannot be composed says why."""
        common = set.intersection(*map(set, grid)) if len(grid) > 1 else set()
        return [self._job(list(line), [part for part in line if part not in common]) for line in grid]

    def _job(self, overrides: list[str], swept: list[str]) -> Job:
        try:
            composed = self.compose(overrides, swept)
            folder = Path(composed.hydra.sweep.dir, composed.hydra.sweep.subdir)
            config = plain(composed)
            return Job(tuple(overrides), folder, config, expense(config))
        except (HydraException, OmegaConfBaseException, UserError) as error:
            named = Path(self.config.hydra.sweep.dir, " ".join(swept).replace("/", "_")[:200])
            return Job(tuple(overrides), named, {}, 0.0, first_line(error))

    def compose(self, overrides: list[str], swept: list[str]) -> DictConfig:
        """As Hydra composes a job. Lines that differ by plain values alone share one composition, which is slow.

        Args:
            swept: those of the overrides that tell the job from the others.
        """
        parsed = OverridesParser.create(self.loader).parse_overrides(swept)
        values = [one for one in parsed if _is_value(one, self.config)]
        lines = {one.input_line for one in values}
        rest = tuple(line for line in overrides if line not in lines)
        if rest not in self._composed:
            self._composed[rest] = self.loader.load_sweep_config(self.config, overrides)
            return self._composed[rest]
        composed = copy.deepcopy(self._composed[rest])
        with open_dict(composed):
            for one in values:
                OmegaConf.update(composed, one.key_or_group, one.value())
        return composed


def _is_value(override: Any, config: DictConfig) -> bool:
    """Whether it replaces a value that is there, and neither a group nor a mapping."""
    if override.is_add() or override.is_force_add() or override.is_delete() or override.package is not None:
        return False
    present = OmegaConf.select(config, override.key_or_group, throw_on_missing=False)
    known = present is not None and not OmegaConf.is_config(present) and not OmegaConf.is_config(override.value())
    groups = {str(name).split("@")[0] for name in config.hydra.runtime.choices}
    return known and override.key_or_group not in groups
