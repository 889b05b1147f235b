"""Results of many jobs as one tidy frame for pandas, and as a labelled data set for xarray.

A row per job and metric. What is read is what every other view reads: ``result.json``, held to its checksums.
"""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from src.core.errors import UserError
from src.core.files import replacing, without_formula
from src.core.result import read_whole
from src.core.running import PROVENANCE
from src.report.over.over_seeds import read_job
from src.report.rebuild import OVERVIEW, jobs_below
from src.report.words import leaves, unit_of

if TYPE_CHECKING:
    import xarray

Holes = Literal["refuse", "keep"]
Table = Mapping[str, Sequence[Any]]

ABOUT = ("experiment", "study")  # columns before the swept keys
FOUND = ("metric", "value", "low", "high", "n", "of", "unit", "status", "verdict", "folder")  # and behind them
NAMED = 3  # missing jobs that a refusal names


class Results(pd.DataFrame):
    """A row per job and metric, as a pandas frame like any other.

    Columns: ``experiment``; ``study`` (of a job without one its task); the keys that vary, as they are in the
    configuration, lists in words; ``metric``; ``value`` with the bounds ``low`` and ``high`` of its 95% interval, over
    ``n`` units that are an ``of`` (images ...); ``unit``, see src.core.result.UNITS: a fraction is 0.862, its unit "%";
    ``status``, ``verdict`` and ``folder`` of the job. A job without metrics, kept as a hole, has one row without one.
    """

    @property
    def _constructor(self) -> type["Results"]:
        return Results

    @property
    def swept(self) -> list[str]:
        """The columns that are keys which vary."""
        return [str(column) for column in self.columns if column not in (*ABOUT, *FOUND)]

    @property
    def axes_swept(self) -> list[str]:
        """As few of them as tell all jobs apart: the axes of the grid."""
        jobs = self.drop_duplicates("folder")
        return _separating({key: list(jobs[key]) for key in self.swept})

    # pandas has one that knows no metrics and no grid
    def to_xarray(self, holes: Holes = "refuse") -> "xarray.Dataset":  # type: ignore[misc]
        """A variable per metric over the swept keys, beside it its bounds and ``n`` where it has some.

        Raises:
            UserError: xarray is not installed, several experiments are in it, or jobs of the grid are missing.
        """
        try:
            import xarray
        except ImportError:
            raise UserError("to_xarray() needs another package; install it by: uv sync --extra xarray") from None
        if len(names := self["experiment"].unique()) > 1:
            raise UserError(f"to_xarray(): takes one experiment, not {', '.join(names)}; choose by frame.experiment")
        axes, measured = self.axes_swept, self[self["metric"].notna()]
        coordinates = {key: _in_order(self[key]) for key in axes}
        if holes == "refuse":
            _refuse("to_xarray()", *_cells(coordinates, _tuples(measured, axes)))
        places = [{_word(value): number for number, value in enumerate(coordinates[key])} for key in axes]
        shape = tuple(map(len, places))
        variables: dict[str, Any] = {}
        for metric, rows in measured.groupby("metric", sort=False):
            where = [[place[_word(value)] for value in rows[key]] for place, key in zip(places, axes, strict=True)]
            told = {"unit": rows["unit"].iloc[0], "of": rows["of"].iloc[0]}
            for name, column in ((metric, "value"), *((f"{metric}_{part}", part) for part in ("low", "high", "n"))):
                if column == "value" or ((rows[column] > -math.inf).any() and (column != "n" or rows[column].any())):
                    values = np.full(shape, math.nan)
                    values[tuple(where)] = rows[column] if axes else rows[column].iloc[0]
                    variables[str(name)] = (axes, values, told)
        return xarray.Dataset(variables, {key: _array(values) for key, values in coordinates.items()})


def load(folder: Path | str, holes: Holes = "refuse") -> Results:
    """Read all jobs below ``folder``: of a job, a sweep, or all outputs; see :class:`Results`.

    Args:
        holes: a grid of jobs of which some are missing, failed or unfinished is refused, or kept as it is.

    Raises:
        UserError: there is no result, one of them is damaged, or there are holes.
    """
    folder = Path(folder)
    if holes not in ("refuse", "keep"):
        raise UserError(f"holes={holes}: allowed is refuse, keep", "holes")
    jobs: dict[str, list[tuple[Path, Mapping[str, Any]]]] = {}
    for place in jobs_below(folder) or [folder]:
        try:
            plain = read_whole(place)
        except (OSError, ValueError) as error:
            raise UserError(" ".join(str(error).split())) from None
        jobs.setdefault(str(plain.get("config", {}).get("name") or place.parent.name), []).append((place, plain))
    frames = [_experiment(name, each, holes, folder) for name, each in jobs.items()]
    return Results(pd.concat(frames, ignore_index=True)[[*_columns(frames), *FOUND]])


def write(results: Results, path: Path) -> None:
    """Write the frame as ``.csv``, ``.parquet`` or ``.json`` (a list of records), whole or not at all.

    Raises:
        UserError: another ending, or a place that cannot be written to.
    """
    if path.suffix not in (".csv", ".parquet", ".json"):
        raise UserError(f"--to {path}: allowed is a file that ends in .csv, .parquet or .json", "to")
    frame = pd.DataFrame(results).copy()
    for key in results.swept:  # a column of a file holds values of one kind
        if len({type(value) for value in frame[key].dropna()}) > 1:
            frame[key] = frame[key].map(lambda value: None if value is None else str(value))
    if path.suffix == ".csv":  # a spreadsheet would run a cell that begins as a formula
        frame = frame.map(lambda cell: without_formula(cell) if isinstance(cell, str) else cell)
        frame.columns = pd.Index([without_formula(name) for name in frame.columns])
    try:
        with replacing(path) as file:
            if path.suffix == ".csv":
                frame.to_csv(file, index=False)
            elif path.suffix == ".parquet":
                frame.to_parquet(file, index=False)
            else:
                records = frame.astype(object).where(frame.notna(), None).to_dict("records")
                file.write(json.dumps(records, indent=1, default=lambda value: value.item()).encode())
    except OSError as error:
        raise UserError(
            f"--to {path}: cannot be written ({error.strerror}); name a file in a folder of yours"
        ) from None


def _columns(frames: Sequence[pd.DataFrame]) -> list[str]:
    every = dict.fromkeys(str(column) for frame in frames for column in frame.columns)
    return [column for column in every if column not in FOUND]


def _experiment(name: str, jobs: Sequence[tuple[Path, Mapping[str, Any]]], holes: Holes, root: Path) -> pd.DataFrame:
    """The rows of all jobs of one experiment."""
    keys = _varying([plain.get("config", {}) for _, plain in jobs])
    if holes == "refuse":
        _refuse(str(root), *_missing(jobs, keys, root))
    rows: list[dict[str, Any]] = []
    for number, (folder, plain) in enumerate(jobs):
        config = plain.get("config", {})
        first = {"experiment": name, "study": config.get("study", {}).get("name") or plain.get("task")}
        first |= {key: column[number] for key, column in keys.items()}
        last = {"status": plain.get("status"), "verdict": plain.get("verdict_kind", ""), "folder": str(folder)}
        units = plain.get("units", {})
        for metric, estimate in (plain.get("metrics") or {None: {}}).items():
            parts = {part: estimate.get(part) for part in ("value", "low", "high", "n")}
            unit = unit_of(metric, units) if metric else ""
            rows.append({**first, "metric": metric, **parts, "of": estimate.get("unit", ""), "unit": unit, **last})
    frame = pd.DataFrame({key: pd.Series([row[key] for row in rows], dtype=_kind(rows, key)) for key in rows[0]})
    return frame.astype(dict.fromkeys(("value", "low", "high"), float))


def _kind(rows: Sequence[Mapping[str, Any]], key: str) -> Any:
    """As it is where values are of several kinds, which pandas would make one of; else what pandas takes."""
    if key == "n":
        return "Int64"
    kinds = {type(row[key]) for row in rows}
    return object if len(kinds) > 1 else None


def _varying(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Key -> value of each job: all keys outside of groups that vary, and of those within as few as tell jobs apart."""
    flats = [
        {path: str(value) if isinstance(value, list | Mapping) else value for path, value in leaves(config)}
        for config in configs
    ]
    every = dict.fromkeys(path for flat in flats for path in flat if path[0] not in PROVENANCE)
    varying = [path for path in every if len({_word(flat.get(path)) for flat in flats}) > 1]
    varying.sort(key=lambda path: (len(path) > 1, path[0] in ("contents", "code"), path[-1] != "name", len(path)))
    columns = {".".join(path): [flat.get(path) for flat in flats] for path in varying}
    axes = _separating(columns)
    taken = {*ABOUT, *FOUND}
    return {f"config.{key}" if key in taken else key: column for key, column in columns.items()
            if key in axes or "." not in key}  # fmt: skip


def _separating(columns: Table) -> list[str]:
    """As few of the columns as tell all rows apart, the first ones preferred."""

    def apart(keys: Sequence[str]) -> int:
        return len(set(zip(*(map(_word, columns[key]) for key in keys), strict=True)))

    kept: list[str] = []
    for key in columns:
        if apart([*kept, key]) > max(1, apart(kept)):
            kept.append(key)
    for key in reversed(kept.copy()):  # a later one may tell all that an earlier one did
        if (rest := [other for other in kept if other != key]) and apart(rest) == apart(kept):
            kept = rest
    return kept


def _missing(jobs: Sequence[tuple[Path, Mapping[str, Any]]], keys: Table, root: Path) -> tuple[int, int, list[str]]:
    """How many jobs of the grid are missing, of how many, and the first of them by name."""
    unfinished = [f"{folder.name} {plain['status']}" for folder, plain in jobs if plain.get("status") != "ok"]
    axes = {key: keys[key] for key in _separating(keys)}
    present = set(zip(*(map(_word, axes[key]) for key in axes), strict=True))
    cells = _cells({key: _in_order(axes[key]) for key in axes}, present)
    here = {folder.name for folder, _ in jobs}
    sweep = jobs[0][0].parent if jobs[0][0] != root else root  # a job alone has a grid of its own
    last = read_job(sweep / Path(OVERVIEW).parent).get("config", {}).get("folders", ())
    lost = [name for name in (Path(folder).name for folder in last) if name not in here]
    count, whole, named = cells if cells[0] >= len(lost) else (len(lost), len(jobs) + len(lost), lost)
    return count + len(unfinished), whole, [*unfinished, *named][:NAMED]


def _cells(axes: Table, present: set[tuple[Any, ...]]) -> tuple[int, int, list[str]]:
    """How many cells of a grid are empty, of how many, and the first of them by their coordinates."""
    whole = math.prod(len(values) for values in axes.values())
    if not axes or whole == len(present):
        return 0, whole, []
    empty = (cell for cell in product(*axes.values()) if tuple(map(_word, cell)) not in present)
    said = (" ".join(f"{key}={value}" for key, value in zip(axes, cell, strict=True)) for cell in empty)
    return whole - len(present), whole, list(islice(said, NAMED))


def _refuse(where: str, count: int, whole: int, named: Sequence[str]) -> None:
    if count:
        more = ", ..." if count > len(named) else ""
        raise UserError(
            f"{where}: {count} of {whole} jobs of the grid are missing ({', '.join(named)}{more}); run the same "
            "command again, or take it with its holes by holes=keep",
            "holes",
        )


def _tuples(frame: pd.DataFrame, keys: Sequence[str]) -> set[tuple[Any, ...]]:
    return set(zip(*(map(_word, frame[key]) for key in keys), strict=True))


def _word(value: Any) -> Any:
    """What tells values apart: 1 and true are two, and nothing is itself."""
    return None if value is None or value is pd.NA or value != value else (isinstance(value, bool), value)


def _in_order(values: Sequence[Any] | pd.Series) -> list[Any]:
    """Each value once, ascending where they are of one kind."""
    every = list({_word(value): value for value in values}.values())
    try:
        return sorted(every)
    except TypeError:
        return every


def _array(values: Sequence[Any]) -> Any:
    return np.array(values, dtype=object if len({type(value) for value in values}) > 1 else None)
