"""Hydra finds sweepers in the namespace package ``hydra_plugins``. This one is Hydra's own grid with a memory."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

MANY = 20  # jobs that take a moment to look through


class AnatomySweeper(BasicSweeper):
    """Runs what is missing, failed, interrupted or stale of a grid, longest job first, and writes one page over all."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.open = 0  # jobs of the grid that a sample leaves for another time

    def sweep(self, arguments: list[str]) -> Any:
        from omegaconf import OmegaConf

        from src.core.options import options_of
        from src.core.running import Sweep
        from src.jobs.composing import Composer
        from src.jobs.shares import side_by_side
        from src.jobs.sweep.grid import chosen
        from src.jobs.sweep.running import run_sweep
        from src.tasks import versions

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        loader: Any = self.hydra_context.config_loader
        parsed = OverridesParser.create(config_loader=loader).parse_overrides([*self._parse_config(), *arguments])
        (whole,) = self.split_arguments(parsed, None)
        values: Any = OmegaConf.to_container(self.config.sweep, resolve=True)
        settings, composer = options_of(Sweep, values, "sweep"), Composer(loader)
        numbers, self.open = chosen(composer.swept(whole), settings)
        grid = [whole[number] for number in numbers]
        if len(grid) < len(whole):
            print(f"{len(grid)} of the grid's {len(whole)} jobs are meant (sweep.where, sweep.sample)", flush=True)
        if len(grid) > MANY:
            print(f"{len(grid)} jobs; looking which of them are done", flush=True)
        return run_sweep(
            composer.jobs(self.config, grid),
            self._launch,
            versions,
            folder=Path(self.config.hydra.sweep.dir),
            settings=settings,
            stage_first=type(self.launcher).__name__ != "BasicLauncher",
            at_once=side_by_side(self.config.hydra.launcher),
            finish=self._compare,
        )

    def _launch(self, lines: Sequence[Sequence[str]]) -> None:
        from src.core.orphans import end_with_parent

        assert self.launcher is not None
        if isinstance(workers := getattr(self.launcher, "joblib", None), dict):  # what joblib starts its workers with
            workers |= {"initializer": end_with_parent, "initargs": (os.getpid(),)}
        for run in self.launcher.launch([list(line) for line in lines], initial_job_idx=0):
            _ = run.return_value  # raises what the job's process could not say itself

    def _compare(self, folders: Sequence[Path], config: Mapping[str, Any]) -> Any:
        """One page over all jobs: a job of its own that reads their results."""
        from src.jobs.job import compare

        assert self.config is not None
        config = {**config, "sweep": {**config["sweep"], "open": self.open or None}}
        return compare(config, folders, Path(self.config.hydra.sweep.dir))
