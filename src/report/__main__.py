"""``python -m src.report FOLDER ...``: the pages of jobs and sweeps, made anew from their results.

``--watch`` serves a page on loopback and makes it anew while results come in.

``python -m src.report show|best|diff|export FOLDER ...``: their numbers, on the screen or in a file.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import UserError

if TYPE_CHECKING:
    from src.report.rebuild import Compare

USAGE = """Make the pages of jobs and sweeps anew from their results. Their numbers: python -m src.report
show|best|diff|export FOLDER ..., of which --help says more."""


def main(arguments: Sequence[str], compare: "Compare | None" = None) -> int:
    """Rebuild each folder's page and print its path; 0: all were written, 2: one could not be."""
    if arguments and arguments[0] in NUMBERS:
        try:
            return _numbers(arguments)
        except UserError as error:
            return _refused(error)
    parser = argparse.ArgumentParser(prog="python -m src.report", description=USAGE)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of a job (its page and figures) or of a sweep"
    )
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="also put the sweeps' verdicts between the marks of this file"
    )
    parser.add_argument(
        "--watch", action="store_true", help="serve the page on this machine alone, made anew while results come in"
    )
    given = parser.parse_args(arguments)
    from src.report.rebuild import insert_claims, rebuild

    code = 0
    if given.watch:
        return _watch(given.folders, compare)
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


def _watch(folders: Sequence[Path], compare: "Compare | None") -> int:
    from src.report.rebuild import rebuild
    from src.report.watch import watch

    def make(folder: Path) -> Path:
        with redirect_stdout(io.StringIO()):  # a comparison tells what the page shows
            return rebuild(folder, compare)

    try:
        if len(folders) != 1:
            raise UserError(f"--watch: {len(folders)} folders; name the one that is to be watched")
        watch(folders[0], make)
    except KeyboardInterrupt:
        return 0
    except UserError as error:
        return _refused(error)
    return 0


#: What is said in numbers: command -> what it does.
NUMBERS = {
    "show": "the main metrics over the swept keys: mean and interval over seeds",
    "best": "the settings from the best to the worst by a metric",
    "diff": "what differs between two jobs or two sweeps: settings, and metrics in pairs",
    "export": "a row per job and metric, as a file",
}


def _numbers(arguments: Sequence[str]) -> int:
    """Answer one of :data:`NUMBERS`.

    Raises:
        UserError: a folder holds no results or damaged ones, a metric is none, or the file cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m src.report", description="Numbers of jobs and sweeps.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, said in NUMBERS.items():
        command = commands.add_parser(name, help=said, description=said)
        command.add_argument("folders", nargs=2 if name == "diff" else 1, type=Path, metavar="FOLDER")
        if name == "export":
            command.add_argument("--to", type=Path, required=True, metavar="FILE", help=".csv, .parquet or .json")
            command.add_argument("--holes", default="refuse", help="keep: also where jobs of the grid are missing")
        else:
            many = {"action": "append", "default": []} if name != "best" else {"required": True}
            command.add_argument("--metric", metavar="M", help="whose values; show and diff take several", **many)
        if name == "best":
            command.add_argument("--min", action="store_true", help="the least is the best")
    given = parser.parse_args(arguments)
    from src.report.frames import load, write

    if given.command == "export":
        results = load(given.folders[0], given.holes)
        write(results, given.to)
        print(f"{len(results)} rows of {results.folder.nunique()} jobs  {given.to}")
        return 0
    from src.report.over import means
    from src.report.screen import print_table

    frames = [load(folder, "keep") for folder in given.folders]
    if given.command == "diff":
        settings, metrics = means.differences(frames[0], frames[1], given.metric)
        print_table("Settings that differ", settings, {}, "", "each job's result.json")
        print_table("Metrics that differ", metrics.rows, {}, metrics.caption, "export both")  # type: ignore[arg-type]
    else:
        asked = [given.metric] if given.command == "best" else given.metric
        panel = means.over_settings(frames[0], means.metrics_of(frames[0], asked))
        table = means.best(panel, given.metric, given.min) if given.command == "best" else panel.rows
        print_table(str(given.folders[0]), table, panel.units, panel.caption, "export --to FILE")  # type: ignore[arg-type]
    for folder in given.folders:
        if holes := means.holes_of(folder):
            print(f"note: {holes}")
    return 0


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
