"""Hydra finds sweepers in the namespace package ``hydra_plugins``; this one is its own plus a summary at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn


class AnatomySweeper(BasicSweeper):
    """Runs all jobs of a sweep, tells what they came to, and writes one page over all of them."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        from src.sweep import outcomes

        batches: list[list[JobReturn]] = super().sweep(arguments)
        found = [job.return_value for batch in batches for job in batch]
        outcomes.finish_sweep(found, self._overview([Path(outcome["folder"]) for outcome in found]))
        return batches

    def _overview(self, folders: list[Path]) -> Path | None:
        assert self.config is not None
        if self.config.report.name != "page":
            return None
        from src.report.overview import write_overview

        return write_overview(folders, Path(self.config.hydra.sweep.dir) / "overview.html")
