"""The interpolations that conf/ may use beside OmegaConf's own."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.paths import ROOT


def register() -> None:
    """Make the resolvers known; harmless when repeated (each worker of a launcher needs it)."""
    OmegaConf.register_new_resolver("project", lambda: str(ROOT), replace=True)
    OmegaConf.register_new_resolver("job_folder", _job_folder, replace=True)
    OmegaConf.register_new_resolver("variants", _variants, replace=True)
    OmegaConf.register_new_resolver("ours", _ours, replace=True)


def _variants(depth: int, integration: Any, count: int | None = None) -> str:
    """The baseline and all variants of a depth, or ``count`` of them spread over the design, as values of a sweep."""
    from src.methods.widths import variants as design

    ids = range(len(design.variants(depth, integration=integration)))
    if count is not None:
        return ",".join([design.BASELINE, *map(str, design.spread(count, depth, integration))])
    return ",".join([design.BASELINE, *map(str, ids)])


def _ours(value: Any, *, _parent_: DictConfig) -> Any:
    """An option that a recipe sets for networks of ours; any other network is built without it."""
    from src.jobs.border import LEFT_OUT

    return LEFT_OUT if ":" in str(OmegaConf.select(_parent_, "name")) else value


def _job_folder(label: str, *, _root_: DictConfig) -> str:
    """``<label>-<identity>``: the same job has the same folder in a sweep, in a single run, on any launcher.

    A job that stops after a stage is another one: ``<stage>-<identity>``.
    """
    from src.core.configuration import identity
    from src.core.errors import UserError
    from src.jobs.border import plain

    try:
        config: dict[str, Any] = plain(_root_)
    except UserError:  # the job will say what is wrong; the other jobs of its sweep must not die of it
        return f"{label}-refused"
    return f"{config['until'] or label}-{identity(config)[:8]}"
