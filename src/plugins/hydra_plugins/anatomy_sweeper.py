"""Hydra finds sweepers in the namespace package ``hydra_plugins``; this one is its own plus a summary at the end."""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn


class AnatomySweeper(BasicSweeper):
    """Runs all jobs of a sweep and hands what they came to to :mod:`src.sweep.outcomes`."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        from src.sweep import outcomes

        batches: list[list[JobReturn]] = super().sweep(arguments)
        outcomes.finish_sweep([job.return_value for batch in batches for job in batch])
        return batches
