"""Figures as PNG files, for a README, a paper's draft or a dashboard: drawn on white, readable on any page."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.result import Figure, Result
from src.report import explorer
from src.report.drawing import (
    CONTROL,
    RAMP,
    Chart,
    Grid,
    Parallel,
    Series,
    labelled,
    names,
    percent_range,
    read,
    shorten,
    slug,
)
from src.report.words import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COSTS = 3  # pictures of one explorer

_DASHES = ("-", "--", ":", "-.")
_MARKERS = "osD^vPX*"
_STYLE = Path(__file__).parent / "templates" / "figures.mplstyle"


def write_figures(result: Result, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Draw every figure into ``folder/figures/``; one that cannot be drawn does not stop the others.

    Returns:
        (name -> file in the order of ``result.figures``, then the explorer's; one line per figure that could not be
        drawn).
    """
    written: dict[str, Path] = {}
    problems = []
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, figure in zip(names(result), result.figures, strict=True):
        path = folder / "figures" / f"{name}.png"
        try:
            _write(figure, result, path)
            written[name] = path
        except (ValueError, KeyError) as error:
            problems.append(f"the figure '{figure.title}' could not be drawn: {error}")
    return written | _write_explorer(result, folder / "figures"), problems


def _write_explorer(result: Result, folder: Path) -> dict[str, Path]:
    """What the page's explorer shows at first, for readers without a browser: the first measure over each cost."""
    explored = explorer.read(result)
    written: dict[str, Path] = {}
    if explored is None or not explored["measures"]:
        return written
    for cost in explored["costs"][:COSTS]:
        name = slug(f"explorer {explored['measures'][0]} over {cost}")
        with _canvas((7.6, 4.6)) as (canvas, axes):
            _cost(axes, explored, explored["measures"][0], cost)
            canvas.savefig(folder / f"{name}.png", metadata={"Software": None})
        written[name] = folder / f"{name}.png"
    return written


def _cost(axes: Axes, explored: Mapping[str, Any], measure: str, cost: str) -> None:
    """Points coloured by the first column of the space, the Pareto front as a line, references as diamonds."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import EngFormatter, NullFormatter

    columns = {column["key"]: column for column in explored["columns"]}
    x, y = ([shown(value, columns[key]["unit"]) for value in columns[key]["values"]] for key in (cost, measure))
    rows = [row for row in range(len(x)) if math.isfinite(y[row]) and x[row] > 0]
    references = [row for row in rows if explorer.is_reference(explored, row)]
    usual = [row for row in rows if row not in set(references)]
    kept = explorer.front([(x[row], y[row]) for row in rows], less=measure in explored["lower"])
    axes.step([place[0] for place in kept], [place[1] for place in kept], where="post", color="#626b78", linewidth=1.2)
    look: dict[str, Any] = {"color": RAMP[0]}
    if explored["space"]:
        inside = columns[explored["space"][0]]["values"]
        values = [math.nan if inside[row] is None else inside[row] for row in usual]
        look = {"c": values, "cmap": LinearSegmentedColormap.from_list("ramp", RAMP)}
    points = axes.scatter([x[row] for row in usual], [y[row] for row in usual], s=26, zorder=3, linewidths=0, **look)
    axes.scatter([x[row] for row in references], [y[row] for row in references], s=60, marker="D", zorder=4,
                 facecolors="white", edgecolors="#1d2129", linewidths=1.6)  # fmt: skip
    for name, row in {explorer.row_name(explored, row): row for row in references}.items():
        axes.annotate(shorten(name, 24), (x[row], y[row]), xytext=(7, -10), textcoords="offset points", fontsize=8.5)
    if explored["space"] and usual:
        bar = axes.figure.colorbar(points, ax=axes, label=columns[explored["space"][0]]["title"], pad=0.02)
        bar.outline.set_visible(False)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # powers of ten would need TeX
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{columns[measure]['short']} and {columns[cost]['short']}")
    axes.set_xlabel(columns[cost]["title"])
    axes.set_ylabel(columns[measure]["title"])
    axes.grid(axis="y")


def _write(figure: Figure, result: Result, path: Path) -> None:
    if figure.kind == "image":
        from PIL import Image

        Image.fromarray(result.images[figure.table]).save(path)
        return
    drawing = read(figure, result)
    with _canvas(_size(drawing, figure.kind)) as (canvas, axes):
        axes.set_title(figure.title)
        if isinstance(drawing, Grid):
            _heatmap(axes, drawing)
        elif isinstance(drawing, Parallel):
            _parallel(axes, drawing)
        else:
            draw = {"bars": _bars, "lines": _lines, "points": _points, "box": _boxes}[figure.kind]
            draw(axes, drawing)
        canvas.savefig(path, metadata={"Software": None})


@contextmanager
def _canvas(size: tuple[float, float]) -> Iterator[tuple[Canvas, Axes]]:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(fname=_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*missing from font.*")  # a name in a script that DejaVu lacks
        canvas = Canvas(figsize=size, dpi=160, layout="constrained")
        FigureCanvasAgg(canvas)
        canvas.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr, call-arg]
        yield canvas, canvas.subplots()


def _size(drawing: Chart | Grid | Parallel, kind: str) -> tuple[float, float]:
    if isinstance(drawing, Grid):
        return 7.2, 1.6 + max(2.4, min(7.0, 0.42 * len(drawing.rows)))
    if isinstance(drawing, Chart) and kind == "bars" and drawing.horizontal:
        return 7.6, 1.3 + 0.34 * len(drawing.categories) * (1 + 0.45 * (len(drawing.series) - 1))
    return 7.6, 4.2


def _bars(axes: Axes, chart: Chart) -> None:
    count = len(chart.series)
    height = 0.68 / count
    row_of = {name: i for i, name in enumerate(chart.categories)}
    draw = axes.barh if chart.horizontal else axes.bar
    for index, series in enumerate(chart.series):
        places = [row_of[name] + (index - (count - 1) / 2) * height for name in series.x]
        colours = [CONTROL if control else series.colour for control in series.controls] or series.colour
        hatches = ["///" if control else "" for control in series.controls] or None
        draw(places, series.y, height * 0.92, color=colours, hatch=hatches, edgecolor="white", linewidth=0,
             label=series.name)  # fmt: skip
        if series.low:
            x, y, error = (series.y, places, "xerr") if chart.horizontal else (places, series.y, "yerr")
            look: dict[str, Any] = {error: _whiskers(series), "ecolor": "#333942", "elinewidth": 1.1, "capsize": 2.5}
            axes.errorbar(x, y, fmt="none", **look)
    labels = [_wrapped(name) for name in chart.categories]
    limits = percent_range(chart)
    for number, (name, level) in enumerate(chart.levels.items(), 1):
        line = axes.axvline if chart.horizontal else axes.axhline
        line(level, color=CONTROL, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.3, label=name)
    if not chart.horizontal:
        axes.set_xticks(range(len(labels)), labels)
        _frame(axes, chart, zero=True)
        if limits:
            axes.set_ylim(limits)
    else:
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.axvline(0, color="#4b525c", linewidth=1)
        axes.set_xlabel(chart.y_title)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        if limits:
            axes.set_xlim(limits)
        _signed(axes.xaxis, chart)
        _legend(axes, chart)
        if count == 1 and len(labels) <= 40:
            for name, said in zip(chart.series[0].x, chart.series[0].said, strict=True):
                axes.annotate(said, (1.015, row_of[name]), xycoords=("axes fraction", "data"), va="center", fontsize=9)


def _boxes(axes: Axes, chart: Chart) -> None:
    from matplotlib.colors import to_rgb

    count = len(chart.series)
    width = 0.7 / count
    for index, series in enumerate(chart.series):
        numbers = zip(series.y, series.q1, series.q3, series.low, series.high, strict=True)
        boxes = [dict(zip(("med", "q1", "q3", "whislo", "whishi"), five, strict=True)) for five in numbers]
        for box, mean in zip(boxes, series.mean, strict=False):
            box["mean"] = mean
        places = [place + (index - (count - 1) / 2) * width for place in _places(series, chart)]
        line = {"color": series.colour, "linewidth": 1.3}
        parts = axes.bxp(
            boxes, places, widths=width * 0.84, patch_artist=True, showfliers=False, manage_ticks=False,
            showmeans=bool(series.mean), label=series.name, boxprops={"edgecolor": series.colour, "linewidth": 1.3},
            medianprops={**line, "linewidth": 2}, whiskerprops=line, capprops=line,
            meanprops={"marker": "D", "markersize": 3.5, "markerfacecolor": "white", "markeredgecolor": series.colour},
        )  # fmt: skip
        for patch in parts["boxes"]:
            patch.set_facecolor((*to_rgb(series.colour), 0.18))
    _frame_over_x(axes, chart)


def _lines(axes: Axes, chart: Chart) -> None:
    if chart.diagonal:
        axes.plot(chart.diagonal, chart.diagonal, "--", color="#8a8f98", linewidth=1.2)
    for series in chart.series:
        x = _places(series, chart)
        dash = _DASHES[series.order // 8 % len(_DASHES)]
        marker = _MARKERS[series.order % len(_MARKERS)] if len(x) <= 20 and len(chart.series) <= 8 else None
        look: dict[str, Any] = {"color": series.colour, "linewidth": 1.8, "marker": marker, "markersize": 3.5}
        axes.plot(x, series.y, dash, label=series.name, **look)
        if series.low and len(chart.series) <= 4:
            axes.fill_between(x, series.low, series.high, color=series.colour, alpha=0.18, linewidth=0)
    _frame_over_x(axes, chart)


def _points(axes: Axes, chart: Chart) -> None:
    for series in chart.series:
        x = _places(series, chart)
        if series.low:
            ends = _whiskers(series)
            axes.errorbar(x, series.y, yerr=ends, fmt="none", ecolor=series.colour, elinewidth=1, alpha=0.6)
        marker = _MARKERS[series.order % len(_MARKERS)]
        axes.scatter(x, series.y, s=30, color=series.colour, marker=marker, label=series.name, zorder=3)
        for left, up, label in zip(x, series.y, series.labels, strict=True) if labelled(chart) else ():
            axes.annotate(
                shorten(label), (left, up), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8
            )
    _frame_over_x(axes, chart)


def _heatmap(axes: Axes, grid: Grid) -> None:
    import numpy as np

    values = np.array(grid.values)
    limit = np.nanmax(np.abs(values if grid.ends is None else grid.ends))
    low, high = (-limit, limit) if grid.diverging else grid.ends or (None, None)
    picture = axes.imshow(values, cmap="RdBu" if grid.diverging else "Blues", aspect="auto", vmin=low, vmax=high)
    axes.set_xticks(range(len(grid.columns)), [_wrapped(name, 14) for name in grid.columns])
    axes.set_yticks(range(len(grid.rows)), [_wrapped(name) for name in grid.rows])
    if sum(map(len, grid.columns)) > 60:
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(grid.x_title)
    axes.set_ylabel(grid.y_title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if grid.legible:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = picture.cmap(picture.norm(value))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            axes.text(column, row, grid.said[row][column], ha="center", va="center", fontsize=8,
                      color="white" if dark else "black")  # fmt: skip
    bar = axes.figure.colorbar(picture, ax=axes, label=grid.value_title, pad=0.02)
    bar.outline.set_visible(False)


def _parallel(axes: Axes, drawing: Parallel) -> None:
    """Each axis from its least to its greatest number."""
    import matplotlib as mpl
    import numpy as np

    columns = np.array(list(drawing.axes.values()), dtype=float)
    low, high = np.nanmin(columns, 1, keepdims=True), np.nanmax(columns, 1, keepdims=True)
    places = (columns - low) / np.where(high > low, high - low, 1)
    for row in places.T:
        axes.plot(range(len(row)), row, color=mpl.colormaps["cividis"](row[-1]), linewidth=1.2)
    axes.set_xticks(range(len(places)), [_wrapped(title, 14) for title in drawing.axes])
    axes.set_yticks([])
    for number, (least, greatest) in enumerate(zip(low[:, 0], high[:, 0], strict=True)):
        axes.axvline(number, color="#4b525c", linewidth=0.8)
        axes.annotate(f"{least:g}", (number, 0), xytext=(3, -9), textcoords="offset points", fontsize=8)
        axes.annotate(f"{greatest:g}", (number, 1), xytext=(3, 3), textcoords="offset points", fontsize=8)


def _frame_over_x(axes: Axes, chart: Chart) -> None:
    for number, (name, level) in enumerate(chart.levels.items(), 1):
        axes.axhline(level, color=CONTROL, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.3, label=name)
    if chart.categories:
        axes.set_xticks(range(len(chart.categories)), [_wrapped(name, 14) for name in chart.categories])
    _frame(axes, chart, zero=chart.y_unit == "points")


def _frame(axes: Axes, chart: Chart, zero: bool) -> None:
    """Titles, grid and legend where the values stand upright, with a line at 0 where it is asked for."""
    if zero:
        axes.axhline(0, color="#4b525c", linewidth=1)
    axes.set_xlabel(chart.x_title)
    axes.set_ylabel(chart.y_title)
    axes.grid(axis="y")
    _signed(axes.yaxis, chart)
    _legend(axes, chart)


def _legend(axes: Axes, chart: Chart) -> None:
    if len(chart.series) + len(chart.levels) > 1:
        handles, labels = axes.get_legend_handles_labels()
        columns = min(5, len(labels), max(1, 90 // (min(24, max(map(len, labels))) + 8)))
        wrapped = [_wrapped(label) for label in labels]
        axes.figure.legend(handles, wrapped, loc="outside lower center", ncols=columns, fontsize=9)


def _signed(axis: Any, chart: Chart) -> None:
    if chart.y_unit == "points":
        axis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")


def _places(series: Series, chart: Chart) -> list[float]:
    return [chart.categories.index(place) for place in series.x] if chart.categories else series.x


def _whiskers(series: Series) -> list[list[float]]:
    low = [max(0.0, y - low) if math.isfinite(low) else 0.0 for y, low in zip(series.y, series.low, strict=True)]
    high = [max(0.0, high - y) if math.isfinite(high) else 0.0 for y, high in zip(series.y, series.high, strict=True)]
    return [low, high]


def _wrapped(text: str, width: int = 24) -> str:
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder=" …"))
