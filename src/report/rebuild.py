"""What is made anew from results alone: the page of a folder, and the verdicts of sweeps in a README."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from src.core.errors import UserError
from src.core.files import write_atomically
from src.core.result import FILE, load, scan

OVERVIEW = "overview/page.html"  # where a sweep leaves its own page
BEGIN, END = "<!-- claims: written by python -m src.report FOLDER --readme {} -->", "<!-- end of claims -->"
MARKS = re.compile(re.escape(BEGIN).replace(r"\{\}", r"\S+") + f"(.*?)(?={END})", re.DOTALL)
CLAIMS = "overview/claims.md"  # below a sweep's folder

Compare = Callable[[Sequence[Path], Path], Path]  # (folders of jobs, path of the page) -> the page


def rebuild(folder: Path, compare: Compare | None = None) -> Path:
    """Write the page of a job, or of all jobs below a sweep's folder, and return it.

    Args:
        folder: one with results below it is a sweep, also where it has one of its own (of the last comparison); one
            with only a result of its own is a job; one whose folders hold sweeps has a page over all experiments.
        compare: what makes the page of a sweep; by default the plain overview.

    Raises:
        UserError: there is no such folder, no result in it, or only a damaged one.
    """
    folders = jobs_below(folder)
    if not folders:
        return _job(folder)
    if all(len(place.relative_to(folder).parts) > 1 for place in folders):
        from src.report.experiments import write_experiments

        return write_experiments(folder)
    from src.report.overview import write_overview

    return (compare or write_overview)(folders, folder / OVERVIEW)


def jobs_below(folder: Path) -> list[Path]:
    """The folders of all jobs below that of a sweep; none where it is a job's own.

    Raises:
        UserError: there is no such folder, or no result in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name that of a job or of a sweep, such as outputs/patch_weak")
    # neither a comparison of jobs nor a stage that several jobs shared; of what cannot be read only the place tells
    apart = (folder, (folder / OVERVIEW).parent)
    folders = [
        place
        for place, plain in scan(folder)
        if place not in apart and plain.get("task") != "compare" and not plain.get("config", {}).get("until")
    ]
    if not folders and not (folder / FILE).exists():
        raise UserError(f"{folder}: holds no {FILE} at any depth; run an experiment first (python -m src.run)")
    return folders


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


def insert_claims(readme: Path, sweeps: Sequence[Path]) -> None:
    """Replace what stands between the marks by the verdicts of these sweeps, a table with one head.

    Raises:
        UserError: the file has no marks, or a sweep has no claims.
    """
    text = readme.read_text(encoding="utf-8")
    marks = MARKS.search(text)
    if marks is None:
        begin = BEGIN.format(readme)
        raise UserError(f"{readme}: has no marks for the claims; write {begin} and {END} on lines of their own")
    rows: list[str] = []
    for sweep in sweeps:
        if not (sweep / CLAIMS).exists():
            raise UserError(f"{sweep}: holds no {CLAIMS}; its experiment judges no claims")
        head, rule, *verdicts = (sweep / CLAIMS).read_text(encoding="utf-8").splitlines()
        rows += verdicts if rows else [head, rule, *verdicts]
    start, end = marks.span(1)
    write_atomically(readme, f"{text[:start]}\n\n" + "\n".join(rows) + f"\n\n{text[end:]}")
