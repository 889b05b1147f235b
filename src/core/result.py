"""What a job leaves behind: the one source of truth that tables, pages and dashboards are views of.

A result is a folder: ``result.json`` (written last, atomically), ``tables/*.parquet`` and ``figures/*.png``.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from src.core.estimate import Estimate
from src.core.files import checksum, damaged_file, read_json, replacing, write_json
from src.core.redaction import redacted
from src.core.shown import Shown

if TYPE_CHECKING:
    import numpy as np

TRAINING = "Images and training"  # the heading of a page that stands after all others
FORMAT = 2  # of result.json; raised by hand when the layout changes
FILE = "result.json"
# as `replacing` names what it has not finished, and where jobs write
PARTIAL = re.compile(r"\..+\.(json|html|md|txt|parquet|png|safetensors)\.\w{8}")
PLACES = ("", "tables/", "figures/", "patched/", "composed/", "modules/*/")

# How views write a value, by its unit. Values are stored plain: a fraction as 0.862, never as 86.2.
#   "%"       a fraction, shown times 100                                   0.862 -> 86.2
#   "points"  a difference of two fractions, shown times 100 with its sign  0.114 -> +11.4
#   "key"     a setting's name, shown in words                              gaussian_noise -> gaussian noise
#   any other word ("MFLOPs", "s") is shown beside the name; no unit: the number as it is
UNITS = ("%", "points", "key")

Status = Literal["ok", "failed", "interrupted"]
VerdictKind = Literal["success", "no success", "no verdict", ""]
Sign = Literal["", "→", "+", "=", "against"]
Table = dict[str, list[Any]]  # column -> values; `x_low` and `x_high` beside `x` are the bounds of its interval


@dataclass(frozen=True)
class Figure:
    """A picture as data: which columns of which table are drawn how. Views decide with what they draw it.

    lines:   y over x, one line per value of ``group``; with ``{y}_low``/``{y}_high`` columns a band.
    bars:    y per x, coloured by ``group``; with ``{y}_low``/``{y}_high`` columns whiskers.
    points:  y over x as a scatter, coloured by ``group``.
    box:     one box per x, coloured by ``group``: ``{y}`` is the median, ``{y}_q1`` and ``{y}_q3`` the box,
             ``{y}_low`` and ``{y}_high`` the whiskers; with a ``{y}_mean`` column a dashed line or a mark in it.
    heatmap: ``value`` over x (columns) and y (rows).
    parallel: all columns of the table side by side, each an axis of its own, a line per row; ``y`` is the last one.
    image:   the picture ``images[table]``; with ``labels`` a sheet of as many tiles, ``columns`` in a line; with
             ``rows``, too, a sheet of equal fields, whose lines and columns have these names.

    ``under_test``: the values of x that are not controls; bars of all others are drawn as controls.
    """

    kind: Literal["lines", "bars", "points", "box", "heatmap", "parallel", "image"]
    table: str
    title: str
    caption: str = ""
    x: str = ""
    y: str = ""
    value: str = ""
    group: str = ""
    percent: bool = False  # the drawn values are fractions to be shown in percent
    diagonal: bool = False  # lines of percents: with a dashed y = x from 0 to 100, for reliability diagrams
    section: str = ""  # the heading of the page that it stands under
    under_test: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    apart: bool = False  # lines: a small figure each, however few they are
    columns: int = 0
    levels: Mapping[str, float] = field(default_factory=dict)  # lines, bars, points: name -> y of a line across


@dataclass(frozen=True)
class Step:
    """A box in the drawing of what a job did.

    Attributes:
        sign: what leads from the box before to this one.
        title: what it is: "strong network".
        text: what it knows or does, in few words.
        value: its number as written: "98.5% right".
        picture: name of one of the result's pictures.
    """

    sign: Sign
    title: str
    text: str = ""
    value: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Opening:
    """How a page begins, for a reader who knows neither the paper nor this program.

    Attributes:
        title: what was asked of which network on which data.
        text: what its words mean and what was done, in about three sentences.
        steps: the drawing of what was done.
        terms: metric, column or word -> what it means, beside those that every page explains.
    """

    title: str
    text: str
    steps: Sequence[Step] = ()
    terms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Explorer:
    """An interactive view over a table with one row per job: the page draws it, filters it, and links its parts.

    Attributes:
        table: the table; all other names are columns of it unless said otherwise.
        name: names a row.
        measures: what the rows are judged by, the first one at the start.
        space: three columns that span a rotatable scatter, coloured by the measure; rows without them are left out.
        costs: the measure is drawn against each, on a logarithmic axis, with the Pareto front.
        profile: holds a list of numbers per row, drawn as bars for the row under the pointer.
        curves: another table in long form: the ``name`` column, ``epoch``, ``split``, and ``accuracy``.
        filters: columns whose values can be switched on and off.
    """

    table: str
    name: str
    measures: tuple[str, ...]
    space: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    profile: str = ""
    curves: str = ""
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel(Shown):
    """A part of a page: one table or one picture, what a reader must know of it, and figures of it.

    Attributes:
        section: the page's heading that it stands under; nothing: the page's own.
        name: of the table or the picture, unique within a result.
        title: its heading; nothing: its name in words.
        folded: whether the table is closed until a reader opens it.
        rows: records with the same keys, in order; or a table as columns; or a picture, uint8 (H, W, 3).
        caption: what the columns mean.
        units: column -> unit, see UNITS.
        figures: drawn from the table; the panel's section is theirs.
    """

    section: str
    name: str
    rows: "Sequence[Mapping[str, Any]] | Table | np.ndarray"
    caption: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a job comes to: a sentence, the numbers behind it, and its row in a table over many jobs.

    Attributes:
        sentence: what was found, or why there is no verdict.
        units: of the metrics, see UNITS.
        row: what a table over many jobs says of this one beside its metrics.
        screen: names of the tables to print.
    """

    sentence: str
    kind: VerdictKind = ""
    metrics: Mapping[str, Estimate] = field(default_factory=dict)  # the deciding ones first
    units: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    screen: Sequence[str] = ()


@dataclass
class Result(Shown):
    """Everything one job found, and what a reader needs to believe it."""

    task: str
    name: str
    status: Status = "ok"
    opening: Opening | None = None
    verdict: str = ""  # one sentence: what was found, or why there is no verdict
    verdict_kind: VerdictKind = ""
    metrics: dict[str, Estimate] = field(default_factory=dict)  # the deciding ones first: a page shows a few
    tables: dict[str, Table] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)  # table -> what its columns mean
    titles: dict[str, str] = field(default_factory=dict)  # table -> its heading, where that is not its name
    folded: list[str] = field(default_factory=list)  # tables that are closed until a reader opens them
    sections: dict[str, str] = field(default_factory=dict)  # table -> the page's heading that it stands under
    screen: list[str] = field(default_factory=list)  # tables to print; the page shows all, these first
    units: dict[str, str] = field(default_factory=dict)  # of metrics, and of columns of tables without their own
    table_units: dict[str, dict[str, str]] = field(default_factory=dict)  # table -> column -> unit: see UNITS
    images: "dict[str, np.ndarray]" = field(default_factory=dict)  # uint8 (H, W, 3)
    figures: list[Figure] = field(default_factory=list)
    row: dict[str, Any] = field(default_factory=dict)  # what a table over many jobs says of this one beside its metrics
    explorer: Explorer | None = None
    events: list[str] = field(default_factory=list)  # every fallback taken, every reduction made
    uses: list[str] = field(default_factory=list)  # digests of store entries (lineage)
    config: dict[str, Any] = field(default_factory=dict)
    identity: str = ""
    version: str = ""  # of the task's code; see src/tasks/versions.py
    environment: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # per stage
    error: str = ""

    def add(self, *panels: Panel) -> None:
        """Take in panels: the one place that writes tables, pictures, captions, sections and units of columns.

        Raises:
            ValueError: a table or a picture of that name is there, or a unit or a figure is of no column.
        """
        for panel in panels:
            self._add(panel)

    def _add(self, panel: Panel) -> None:
        if panel.name in self.tables or panel.name in self.images:
            raise ValueError(f"two panels are called '{panel.name}'")
        columns: Collection[str] = ()
        if isinstance(panel.rows, Mapping | Sequence):
            table = dict(panel.rows) if isinstance(panel.rows, Mapping) else table_of(panel.rows)
            columns = self.tables[panel.name] = table
            self.table_units[panel.name] = dict(panel.units)
        else:
            self.images[panel.name] = panel.rows
        for figure in panel.figures:
            if figure.table != panel.name:
                raise ValueError(f"a figure of '{panel.name}' draws '{figure.table}'")
            named = {figure.x, figure.y, figure.value, figure.group} - {""}
            if unknown := named - set(columns):
                there = ", ".join(columns)
                raise ValueError(f"a figure of '{panel.name}' draws {sorted(unknown)}, none of its columns: {there}")
        if unknown := set(panel.units) - set(columns):
            raise ValueError(f"'{panel.name}' has units for {sorted(unknown)}, which is none of its columns")
        if panel.caption:
            self.captions[panel.name] = panel.caption
        if panel.title:
            self.titles[panel.name] = panel.title
        if panel.folded:
            self.folded.append(panel.name)
        if panel.section:
            self.sections[panel.name] = panel.section
        self.figures += [replace(figure, section=panel.section) for figure in panel.figures]

    def conclude(self, verdict: Verdict) -> None:
        """Take in what the job comes to.

        Raises:
            ValueError: a metric of that name is there.
        """
        if same := self.metrics.keys() & verdict.metrics.keys():
            raise ValueError(f"two metrics are called {sorted(same)}")
        self.verdict, self.verdict_kind = verdict.sentence, verdict.kind
        self.metrics |= verdict.metrics
        self.units |= verdict.units
        self.row |= verdict.row
        self.screen += verdict.screen

    def redact(self) -> None:
        """Hide what nobody is to be shown (:mod:`src.core.redaction`); names of tables and columns stay."""
        for name in ("name", "verdict", "error", "events", "captions", "titles", "row", "config", "environment"):
            setattr(self, name, redacted(getattr(self, name)))
        self.opening = _opening(redacted(asdict(self.opening))) if self.opening else None
        self.tables = {name: redacted(table) for name, table in self.tables.items()}
        self.figures = [
            replace(figure, title=redacted(figure.title), caption=redacted(figure.caption)) for figure in self.figures
        ]

    def units_of(self, table: str) -> Mapping[str, str]:
        """Column -> unit of a table."""
        return self.table_units.get(table, self.units)


def save(result: Result, folder: Path) -> Path:
    """Write tables and pictures first and ``result.json`` last, so that its presence means that all is there.

    The result itself is redacted, so that its views show what is written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    result.redact()
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in result.tables.items():
        with replacing(folder / "tables" / f"{name}.parquet") as file:
            pq.write_table(pa.table(dict(table)), file)
    for name, image in result.images.items():
        with replacing(folder / "figures" / f"{name}.png") as file:
            Image.fromarray(image).save(file, format="PNG")
    plain = {key: value for key, value in vars(result).items() if key not in ("tables", "images", "figures", "metrics")}
    plain["metrics"] = {name: dict(_finite(estimate._asdict())) for name, estimate in result.metrics.items()}
    plain["figures"] = [asdict(figure) for figure in result.figures]
    plain["explorer"] = asdict(result.explorer) if result.explorer else None
    plain["opening"] = asdict(result.opening) if result.opening else None
    plain["tables"] = list(result.tables)
    plain["images"] = list(result.images)
    plain["files"] = {str(path.relative_to(folder)): checksum(path) for path in _files(result, folder)}
    write_json(folder / FILE, {"format": FORMAT, **plain})
    return folder / FILE


def _files(result: Result, folder: Path) -> list[Path]:
    tables = [folder / "tables" / f"{name}.parquet" for name in result.tables]
    return tables + [folder / "figures" / f"{name}.png" for name in result.images]


def damage(folder: Path) -> str:
    """What of the result in ``folder`` cannot be believed, in a few words; nothing where all is whole.

    Raises:
        FileNotFoundError: there is no result.
    """
    try:
        files = read_json(folder / FILE).get("files", {})
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return f"{FILE} cannot be read"
    return damaged_file(folder, files)


def remove_partial(folder: Path) -> None:
    """Remove what a killed process had begun to write to a result's folder, which nobody else is at."""
    for below in PLACES:
        for path in folder.glob(f"{below}.*.????????"):
            if PARTIAL.fullmatch(path.name):
                path.unlink(missing_ok=True)


def read_whole(folder: Path) -> dict[str, Any]:
    """``result.json`` of a result whose tables and pictures are those that were written with it.

    Raises:
        FileNotFoundError: no result was ever finished here.
        ValueError: the file, a table or a picture is damaged.
    """
    plain = read_json(folder / FILE)
    if fault := damaged_file(folder, plain.get("files", {})):
        raise ValueError(f"{folder / FILE} is damaged ({fault}): run the job again")
    return plain


def read_table(folder: Path, name: str, plain: Mapping[str, Any], columns: Sequence[str] | None = None) -> Table | None:
    """A table of a result, None where it has none of this name.

    Args:
        folder: of the result. plain: what stands in its ``result.json``. columns: to be read; by default all.

    Raises:
        ValueError: it is damaged.
    """
    import pyarrow.parquet as pq

    file = f"tables/{name}.parquet"
    if name not in plain.get("tables", ()):
        return None
    expected = {key: value for key, value in plain.get("files", {}).items() if key == file}
    if fault := damaged_file(folder, expected):
        raise ValueError(f"{folder} is damaged ({fault}): run the job again")
    table: Table = pq.read_table(folder / file, columns=columns and list(columns), memory_map=False).to_pydict()
    return table


def load(folder: Path) -> Result:
    """Read a result with its tables and pictures.

    Raises:
        FileNotFoundError: no result was ever finished here.
        ValueError: the file, a table or a picture is damaged, or of another format.
    """
    import numpy as np
    from PIL import Image

    plain = read_whole(folder)
    if plain.pop("format", None) != FORMAT:
        raise ValueError(f"{folder / FILE} is of another format than this version's {FORMAT}: run the job again")
    if unknown := plain.keys() - {field.name for field in fields(Result)} - {"files"}:
        raise ValueError(f"{folder / FILE} is damaged (it has {sorted(unknown)}): run the job again")
    names, plain["tables"] = plain["tables"], {}
    for name in names:
        plain["tables"][name] = read_table(folder, name, {"tables": names})
    plain.pop("files", None)
    plain["metrics"] = {name: Estimate(**_nan(estimate)) for name, estimate in plain["metrics"].items()}
    plain["figures"] = [Figure(**_tuples(figure)) for figure in plain["figures"]]
    if plain["explorer"]:
        plain["explorer"] = Explorer(**_tuples(plain["explorer"]))
    if opening := plain.get("opening"):
        plain["opening"] = _opening(opening)
    plain["images"] = {
        name: np.asarray(Image.open(folder / "figures" / f"{name}.png").convert("RGB")) for name in plain["images"]
    }
    return Result(**plain)


def scan(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All finished results below ``root`` as (folder, result.json), which is empty where it cannot be believed."""
    for path in sorted(root.rglob(FILE)):
        try:
            yield path.parent, read_json(path)
        except (OSError, ValueError):
            yield path.parent, {}


def rows(table: Table) -> list[dict[str, Any]]:
    """The table's rows as dictionaries."""
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def table_of(records: Sequence[Mapping[str, Any]]) -> Table:
    """The opposite of :func:`rows`; all records have the first one's keys."""
    return {key: [record[key] for record in records] for key in (records[0] if records else ())}


def _opening(plain: Mapping[str, Any]) -> Opening:
    return Opening(**{**plain, "steps": [Step(**step) for step in plain["steps"]]})


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def _finite(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()}


def _nan(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None else v for k, v in fields.items()}
