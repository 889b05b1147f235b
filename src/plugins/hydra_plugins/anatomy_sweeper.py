"""Hydra finds sweepers in the namespace package ``hydra_plugins``. This one is Hydra's own grid with a memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

MANY = 20  # jobs that take a moment to look through


class AnatomySweeper(BasicSweeper):
    """Runs what is missing, failed, interrupted or stale of a grid, longest job first, and writes one page over all."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        from src.jobs.sweep.running import run_sweep
        from src.tasks import versions as planning

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (grid,) = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)
        if len(grid) > MANY:
            print(f"{len(grid)} jobs; looking which of them are done", flush=True)
        common = set.intersection(*map(set, grid)) if len(grid) > 1 else set()
        jobs = [self._job(line, [part for part in line if part not in common], planning) for line in grid]
        return run_sweep(
            jobs,
            self._launch,
            planning,
            folder=Path(self.config.hydra.sweep.dir),
            settings=dict(self.config.sweep),
            stage_first=type(self.launcher).__name__ != "BasicLauncher",
            finish=self._compare,
        )

    def _launch(self, lines: Sequence[Sequence[str]]) -> None:
        assert self.launcher is not None
        for run in self.launcher.launch([list(line) for line in lines], initial_job_idx=0):
            _ = run.return_value  # raises what the job's process could not say itself

    def _job(self, overrides: list[str], swept: list[str], planning: Any) -> Any:
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        from src.core.configuration import first_line
        from src.core.errors import UserError
        from src.jobs.border import plain
        from src.jobs.sweep.jobs import Job

        assert self.config is not None
        try:
            composed = self._compose(overrides, swept)
            folder = Path(composed.hydra.sweep.dir, composed.hydra.sweep.subdir)
            config = plain(composed)
            return Job(tuple(overrides), folder, config, planning.expense(config))
        except (HydraException, OmegaConfBaseException, UserError) as error:
            named = Path(self.config.hydra.sweep.dir, " ".join(swept).replace("/", "_")[:200])
            return Job(tuple(overrides), named, {}, 0.0, first_line(error))

    def _compose(self, overrides: list[str], swept: list[str]) -> DictConfig:
        """As Hydra composes a job. Lines that differ by plain values alone share one composition, which is slow."""
        assert self.config is not None and self.hydra_context is not None
        loader = self.hydra_context.config_loader
        values = [one for one in OverridesParser.create(loader).parse_overrides(swept) if _is_value(one, self.config)]
        lines = {one.input_line for one in values}
        rest = tuple(line for line in overrides if line not in lines)
        if rest not in self._composed:
            self._composed[rest] = loader.load_sweep_config(self.config, overrides)
            return self._composed[rest]
        composed = copy.deepcopy(self._composed[rest])
        with open_dict(composed):
            for one in values:
                OmegaConf.update(composed, one.key_or_group, one.value())
        return composed

    def _compare(self, folders: Sequence[Path], config: Mapping[str, Any]) -> Any:
        """One page over all jobs: a job of its own that reads their results."""
        from src.jobs.job import compare

        assert self.config is not None
        return compare(config, folders, Path(self.config.hydra.sweep.dir))


def _is_value(override: Any, config: DictConfig) -> bool:
    """Whether it replaces a value that is there, and neither a group nor a mapping."""
    if override.is_add() or override.is_force_add() or override.is_delete() or override.package is not None:
        return False
    found = OmegaConf.select(config, override.key_or_group, throw_on_missing=False)
    known = found is not None and not OmegaConf.is_config(found) and not OmegaConf.is_config(override.value())
    return known and override.key_or_group not in _groups(config)


def _groups(config: DictConfig) -> set[str]:
    return {str(name).split("@")[0] for name in config.hydra.runtime.choices}
