"""The page of what lies in a folder, made anew from results alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.core.errors import UserError
from src.core.result import FILE, load, scan

OVERVIEW = "overview/page.html"  # where a sweep leaves its own page

Compare = Callable[[Sequence[Path], Path], Path]  # (folders of jobs, path of the page) -> the page


def rebuild(folder: Path, compare: Compare | None = None) -> Path:
    """Write the page of a job, or of all jobs below a sweep's folder, and return it.

    Args:
        folder: one with results below it is a sweep, also where it has one of its own (of the last comparison); one
            with only a result of its own is a job.
        compare: what makes the page of a sweep; by default the plain overview.

    Raises:
        UserError: there is no such folder, no result in it, or only a damaged one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name that of a job or of a sweep, such as outputs/patch_weak")
    folders = [found for found, plain in scan(folder) if found != folder and _is_job(plain)]
    if not folders and (folder / FILE).exists():
        return _job(folder)
    if not folders:
        raise UserError(f"{folder}: holds no {FILE} at any depth; run an experiment first (python -m src.run)")
    if compare is None:
        from src.report.overview import write_overview

        compare = write_overview
    return compare(folders, folder / OVERVIEW)


def _is_job(plain: Mapping[str, Any]) -> bool:
    """Neither a comparison of jobs nor a stage that several jobs shared."""
    return plain.get("task") != "compare" and not plain.get("config", {}).get("until")


def _job(folder: Path) -> Path:
    from src.report.page import write_page
    from src.report.static import write_figures

    try:
        result = load(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: its result cannot be read ({' '.join(str(error).split())[:200]})") from None
    _, problems = write_figures(result, folder)
    result.events += [problem for problem in problems if problem not in result.events]
    return write_page(result, folder)
