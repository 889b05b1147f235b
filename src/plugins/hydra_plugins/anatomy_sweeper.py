"""Hydra finds sweepers in the namespace package ``hydra_plugins``. This one is Hydra's own grid with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class AnatomySweeper(BasicSweeper):
    """Runs what is missing, failed, interrupted or stale of a grid, longest job first, and writes one page over all."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        from src.sweep.running import run_sweep
        from src.tasks import planning

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (grid,) = self.split_arguments(overrides, None)
        common = set.intersection(*map(set, grid))
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

        from src.configuration import first_line, plain
        from src.errors import UserError
        from src.sweep.jobs import Job

        assert self.config is not None and self.hydra_context is not None
        try:
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
            folder = Path(composed.hydra.sweep.dir, composed.hydra.sweep.subdir)
            config = plain(composed)
            return Job(tuple(overrides), folder, config, planning.expense(config))
        except (HydraException, OmegaConfBaseException, UserError) as error:
            named = Path(self.config.hydra.sweep.dir, " ".join(swept).replace("/", "_")[:200])
            return Job(tuple(overrides), named, {}, 0.0, first_line(error))

    def _compare(self, folders: Sequence[Path]) -> Any:
        """One page over all jobs: a job of its own that reads their results."""
        from src.configuration import plain
        from src.job import compare

        assert self.config is not None
        return compare(plain(self.config), folders, Path(self.config.hydra.sweep.dir))
