"""``python -m src.report FOLDER ...``: the pages of jobs and sweeps, made anew from their results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import UserError

if TYPE_CHECKING:
    from src.report.rebuild import Compare

USAGE = "Make the pages of jobs and sweeps anew from their results."


def main(arguments: Sequence[str], compare: "Compare | None" = None) -> int:
    """Rebuild each folder's page and print its path; 0: all were written, 2: one could not be."""
    parser = argparse.ArgumentParser(prog="python -m src.report", description=USAGE)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of a job (its page and figures) or of a sweep"
    )
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="also put the sweeps' verdicts between the marks of this file"
    )
    given = parser.parse_args(arguments)
    from src.report.rebuild import insert_claims, rebuild

    code = 0
    for folder in given.folders:
        try:
            print(f"page  {rebuild(folder, compare)}")
        except UserError as error:
            code = _refused(error)
    if given.readme and not code:
        try:
            insert_claims(given.readme, given.folders)
        except UserError as error:
            code = _refused(error)
    return code


def _refused(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


def _compare(folders: Sequence[Path], path: Path) -> Path:
    """As at the end of a sweep; here and nowhere else in this room a job is run, for this file is an entry."""
    from src.jobs.job import compare_again

    compare_again(folders, path.parent)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _compare))
