"""Figures as plotly draws them: plain dictionaries, so that only the page itself carries plotly.

Colours of text and grid are left to the page, which knows whether it is read in the light or in the dark.
"""

import html
import math
import textwrap
from typing import Any

from src.core.result import Figure, Result
from src.report.drawing import (
    APART,
    CONTROL,
    PALETTE,
    RAMP,
    Chart,
    Grid,
    Parallel,
    Series,
    labelled,
    percent_range,
    read,
    shorten,
)

WIDE = 10  # columns; a heatmap of more takes the page's width, so that its cells can be read
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SIGNED: dict[str, Any] = {"tickformat": "+~g", "labelalias": {"+0": "0"}}
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star", "triangle-down")


def plotly(figure: Figure, result: Result) -> dict[str, Any]:
    """The figure as ``{"data": [...], "layout": {...}}``; labels are escaped, plotly would take them for HTML.

    Raises:
        ValueError: the figure cannot be drawn from the result's tables, or is an image.
    """
    if figure.kind == "image":
        raise ValueError("an image is shown as it is")
    drawing = read(figure, result)
    if isinstance(drawing, Grid):
        return _heatmap(drawing)
    if isinstance(drawing, Parallel):
        return _parallel(drawing)
    return {"bars": _bars, "lines": _lines, "points": _points, "box": _boxes}[figure.kind](drawing)


def _bars(chart: Chart) -> dict[str, Any]:
    across, along = ("y", "x") if chart.horizontal else ("x", "y")
    places = {name: _label(name) for name in chart.categories}
    data = [
        {
            "type": "bar",
            "orientation": "h" if chart.horizontal else "v",
            "name": _escape(series.name),
            across: [places[name] for name in series.x],
            along: _numbers(series.y),
            "marker": _bar_marks(series),
            f"error_{along}": _whiskers(series),
            "customdata": [_escape(words) for words in series.said],
            "hovertemplate": f"%{{{across}}}<br><b>%{{customdata}}</b><extra>{_escape(series.name)}</extra>",
        }
        for series in chart.series
    ]
    value_axis = _axis(chart.y_title, zerolinewidth=1.5, **(_SIGNED if chart.y_unit == "points" else {}))
    if limits := percent_range(chart):
        value_axis["range"] = list(limits)
    names_axis = _axis("" if chart.horizontal else chart.x_title, showgrid=False, **_places_of_ticks(chart))
    layout = _layout(chart) | {"barmode": "group", "bargap": 0.35, "bargroupgap": 0.08}
    if chart.horizontal:
        names_axis["autorange"] = "reversed"  # first row on top, as in the table
        layout["height"] = 110 + 34 * max(2, len(places)) * (1 + 0.35 * (len(data) - 1)) + 26 * (len(data) > 1)
        if len(data) == 1 and len(places) <= 40:
            layout["annotations"] = _said_at_the_right(chart.series[0], places)
            layout["meta"] = {"margin_notes": True}
            layout["margin"]["r"] = 18 + 7.4 * max(map(len, chart.series[0].said))
    return {
        "data": data + _levels(chart, across),
        "layout": layout | {f"{across}axis": names_axis, f"{along}axis": value_axis},
    }


def _bar_marks(series: Series) -> dict[str, Any]:
    """Controls in grey and hatched, so that colour is not all that tells them apart."""
    if not series.controls:
        return {"color": series.colour}
    return {
        "color": [CONTROL if control else series.colour for control in series.controls],
        "pattern": {"shape": ["/" if control else "" for control in series.controls], "size": 6, "solidity": 0.25},
    }


def _boxes(chart: Chart) -> dict[str, Any]:
    data = [
        {
            "type": "box",
            "name": _escape(series.name),
            "x": _places(series, chart),
            "median": _numbers(series.y),
            "q1": _numbers(series.q1),
            "q3": _numbers(series.q3),
            "lowerfence": _numbers(series.low),
            "upperfence": _numbers(series.high),
            "line": {"color": series.colour, "width": 1.6},
            "fillcolor": _faint(series.colour),
            "whiskerwidth": 0.5,
            **({"mean": _numbers(series.mean), "boxmean": True} if series.mean else {}),
        }
        for series in chart.series
    ]
    figure = _over_x(chart, data, boxmode="group", boxgap=0.3, boxgroupgap=0.15)
    figure["layout"]["yaxis"]["hoverformat"] = ".4~g"
    return figure


def _lines(chart: Chart) -> dict[str, Any]:
    if len(chart.series) > APART or chart.apart:
        return _lines_apart(chart)
    plain: dict[str, Any] = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    data: list[dict[str, Any]] = []
    if chart.diagonal:
        ends = _numbers([*chart.diagonal])
        data.append(plain | {"x": ends, "y": ends, "line": {"color": "#8a8f98", "width": 1.4, "dash": "dash"}})
    for series in chart.series:
        x = _places(series, chart)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(x) <= 20 and len(chart.series) <= 8 else "lines",
                "name": _escape(series.name),
                "legendgroup": str(series.order),
                "x": x,
                "y": _numbers(series.y),
                "line": {"color": series.colour, "width": 2.2, "dash": _DASHES[series.order // 8 % len(_DASHES)]},
                "marker": {"size": 5, "symbol": _SYMBOLS[series.order % len(_SYMBOLS)]},
                "customdata": [_escape(words) for words in series.said],
                "hovertemplate": "%{customdata}" + ("" if series.name else "<extra></extra>"),
            }
        )
        if series.low and len(chart.series) <= 4:  # more bands than four hide each other
            band = plain | {"line": {"width": 0}, "legendgroup": str(series.order), "x": x}
            data.append(band | {"y": _numbers(series.low)})
            data.append(band | {"y": _numbers(series.high), "fill": "tonexty", "fillcolor": _faint(series.colour)})
    return _over_x(chart, data, hovermode="x unified" if len(chart.series) <= 8 else "closest")


def _lines_apart(chart: Chart) -> dict[str, Any]:
    """A small figure per line, on axes of one scale, instead of many lines and their legend in one.

    Lines of one name but for its last word (``strong, train`` and ``strong, validation``) share a figure.
    """
    parts = [series.name.rpartition(", ") for series in chart.series]
    shared = all(comma for _, comma, _ in parts) and len({head for head, _, _ in parts}) < len(parts)
    names = [head if shared else series.name for series, (head, _, _) in zip(chart.series, parts, strict=True)]
    titles, words = list(dict.fromkeys(names)), list(dict.fromkeys(word for _, _, word in parts))
    across = 4
    down = -(-len(titles) // across)
    height, gap = 150, 44  # pixels: of a figure, and between two
    whole = down * height + (down - 1) * gap
    plain = {"type": "scatter", "showlegend": False}
    data: list[dict[str, Any]] = []
    drawn_at: set[str] = set()  # ends of the names of axes
    layout: dict[str, Any] = {
        "height": whole + 90 + 24 * shared, "margin": {"l": 10, "r": 16, "t": 24 + 24 * shared, "b": 10},
        "showlegend": shared, "annotations": [],
        "meta": {"wide": True, "apart": {"height": height, "gap": gap, "whole": whole}},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "yref": "container", "y": 1, "yanchor": "top"},
    }  # fmt: skip
    ends = [value for value in chart.values if math.isfinite(value)]
    room = 0.05 * ((max(ends) - min(ends)) or 1.0) if ends else 0.0
    for series, title, (_, _, word) in zip(chart.series, names, parts, strict=True):
        number, order = titles.index(title), words.index(word) if shared else 0
        colour = PALETTE[order % len(PALETTE)]
        row, column = divmod(number, across)
        name = "" if number == 0 else str(number + 1)
        left, top = column / across + 0.02, 1 - row * (height + gap) / whole
        places = {"xaxis": f"x{name}", "yaxis": f"y{name}"}
        if series.low:
            band = plain | places | {"x": _places(series, chart), "mode": "lines", "line": {"width": 0}}
            data.append(band | {"y": _numbers(series.low), "hoverinfo": "skip"})
            data.append(band | {"y": _numbers(series.high), "hoverinfo": "skip", "fill": "tonexty",
                                "fillcolor": _faint(colour)})  # fmt: skip
        data.append(
            plain | places | {
                "mode": "lines+markers" if len(series.x) <= 20 else "lines", "x": _places(series, chart),
                "y": _numbers(series.y), "line": {"color": colour, "width": 2, "dash": _DASHES[order % len(_DASHES)]},
                "marker": {"size": 4}, "name": _escape(word if shared else title), "legendgroup": str(order),
                "showlegend": shared and number == 0,
                "customdata": [_escape(words) for words in series.said],
                "hovertemplate": f"{_escape(chart.x_title)}: %{{x}}<br><b>%{{customdata}}</b>"
                f"<extra>{_escape(word) if shared else ''}</extra>",
            }
        )  # fmt: skip
        if name in drawn_at:
            continue
        drawn_at.add(name)
        bottom = row == down - 1 or number + across >= len(titles)
        signed = _SIGNED if chart.y_unit == "points" else {}
        layout[f"xaxis{name}"] = {
            **_axis(chart.x_title if bottom else "", zeroline=False, nticks=4, anchor=f"y{name}"),
            **_places_of_ticks(chart), "domain": [left, left + 1 / across - 0.05],
            **({} if number == 0 else {"matches": "x"}), "showticklabels": bottom,
        }  # fmt: skip
        layout[f"yaxis{name}"] = {
            **_axis(chart.y_title if column == 0 else "", zeroline=bool(signed), nticks=4, anchor=f"x{name}", **signed),
            "domain": [max(0.0, top - height / whole), top], "range": [min(ends, default=0) - room, max(ends, default=1)
                                                                       + room], "showticklabels": column == 0,
        }  # fmt: skip
        layout["annotations"].append(
            {"text": f"<b>{_escape(shorten(title, 28))}</b>", "showarrow": False, "xref": "paper",
             "yref": "paper", "x": left, "y": top, "xanchor": "left", "yanchor": "bottom", "font": {"size": 12}}
        )  # fmt: skip
    return {"data": data, "layout": layout}


def _points(chart: Chart) -> dict[str, Any]:
    data = [
        {
            "type": "scatter",
            "mode": "markers+text" if labelled(chart) else "markers",
            "name": _escape(series.name),
            "x": _places(series, chart),
            "y": _numbers(series.y),
            "error_y": _whiskers(series) | {"thickness": 1},
            "marker": {"color": series.colour, "size": 9, "symbol": _SYMBOLS[series.order % len(_SYMBOLS)]},
            "customdata": [[_escape(text) for text in texts] for texts in zip(series.said, series.about, strict=True)],
            "text": [_escape(shorten(label)) for label in series.labels] if labelled(chart) else [],
            "textposition": "middle right",
            "textfont": {"size": 11},
            "cliponaxis": False,
            "hovertemplate": f"%{{customdata[1]}}<br>{_escape(chart.x_title)}: %{{x}}<br>"
            f"{_escape(chart.y_title)}: <b>%{{customdata[0]}}</b><extra>{_escape(series.name)}</extra>",
        }
        for series in chart.series
    ]
    return _over_x(chart, data)


def _heatmap(grid: Grid) -> dict[str, Any]:
    title = {"text": _escape(grid.value_title), "side": "top", "font": {"size": 12}}
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [_label(name) for name in grid.columns],
        "y": [_label(name) for name in grid.rows],
        "z": [_numbers(row) for row in grid.values],
        "customdata": grid.said,
        "colorscale": "RdBu" if grid.diverging else [[0, "#e9f0f9"], [1, "#0b3d78"]],
        "colorbar": {"title": title, "thickness": 12, "outlinewidth": 0},
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": f"{_escape(grid.y_title)}: %{{y}}<br>{_escape(grid.x_title)}: %{{x}}<br>"
        f"{_escape(grid.value_title)}: <b>%{{customdata}}</b><extra></extra>",
    }
    if grid.ends is not None:
        most = max(map(abs, grid.ends))
        low, high = (-most, most) if grid.diverging else grid.ends
        trace |= {"zmin": low, "zmax": high}
    if grid.diverging:
        trace |= {"zmid": 0, "reversescale": True}  # losses red, gains blue
    if grid.legible:
        trace |= {"text": grid.said, "texttemplate": "%{text}"}
    layout = {
        "height": 150 + max(240, min(640, 38 * len(grid.rows))),
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "meta": {"wide": len(grid.columns) > WIDE},
        "xaxis": _axis(grid.x_title, type="category", showgrid=False),
        "yaxis": _axis(grid.y_title, type="category", showgrid=False, autorange="reversed"),
    }
    return {"data": [trace], "layout": layout}


def _parallel(drawing: Parallel) -> dict[str, Any]:
    """A line per row through its places between the least and the greatest of each axis."""
    titles = [_label(title) for title in drawing.axes]
    ends = [(min(values), max(values)) for values in drawing.axes.values()]
    ramp = len(RAMP) - 1
    data = []
    for row in zip(*drawing.axes.values(), strict=True):
        places = [(value - low) / ((high - low) or 1) for value, (low, high) in zip(row, ends, strict=True)]
        data.append(
            {"type": "scatter", "mode": "lines", "x": titles, "y": _numbers(places), "showlegend": False,
             "line": {"color": RAMP[round(places[-1] * ramp)], "width": 1.4}, "customdata": _numbers([*row]),
             "hovertemplate": "%{x}: <b>%{customdata}</b><extra></extra>"}
        )  # fmt: skip
    notes = [
        {
            "x": title,
            "y": at,
            "text": f"{end:.4g}",
            "showarrow": False,
            "yshift": 12 if at else -12,
            "font": {"size": 11},
        }
        for title, pair in zip(titles, ends, strict=True)
        for at, end in enumerate(pair)
    ]
    layout = {
        "height": 420, "margin": {"l": 30, "r": 30, "t": 30, "b": 10}, "meta": {"wide": True}, "annotations": notes,
        "xaxis": _axis("", type="category"), "yaxis": _axis("", showticklabels=False, zeroline=False),
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _over_x(chart: Chart, data: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    """The traces over a common x axis."""
    x_axis = _axis(chart.x_title, zeroline=False, **_places_of_ticks(chart))
    signed = {"zeroline": True, **_SIGNED} if chart.y_unit == "points" else {"zeroline": False}
    return {
        "data": data + _levels(chart, "x"),
        "layout": _layout(chart) | layout | {"xaxis": x_axis, "yaxis": _axis(chart.y_title, **signed)},
    }


def _levels(chart: Chart, across: str) -> list[dict[str, Any]]:
    """What the values are held against, such as chance: a broken line from one end to the other, in the legend."""
    if not chart.series or not chart.levels:
        return []
    places = [place for series in chart.series for place in series.x]
    ends = [*map(_label, chart.categories)] if chart.categories else _numbers([min(places), max(places)])
    return [
        {"type": "scatter", "mode": "lines", "name": _escape(name), across: ends,
         "y" if across == "x" else "x": _numbers([level] * len(ends)),
         "line": {"color": CONTROL, "width": 1.8, "dash": _DASHES[1 + number % (len(_DASHES) - 1)]},
         "hovertemplate": f"{level:.4g}<extra>{_escape(name)}</extra>"}
        for number, (name, level) in enumerate(chart.levels.items())
    ]  # fmt: skip


def _layout(chart: Chart) -> dict[str, Any]:
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "title": {"text": ""}}
    margin = {"l": 10, "r": 16, "t": 10, "b": 10}
    return {"height": 420, "margin": margin, "showlegend": len(chart.series) + len(chart.levels) > 1, "legend": legend}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": _escape(title)}, "automargin": True, **more}


def _places_of_ticks(chart: Chart) -> dict[str, Any]:
    if chart.categories:
        names = [_label(name) for name in chart.categories]
        return {"type": "category", "categoryorder": "array", "categoryarray": names}
    places = [place for series in chart.series for place in series.x]
    if chart.x_unit == "°" and places and max(places) - min(places) >= 180:
        return {"tick0": 0, "dtick": 90}  # right angles, not round numbers
    return {}


def _places(series: Series, chart: Chart) -> list[Any]:
    return [_label(place) for place in series.x] if chart.categories else _numbers(series.x)


def _whiskers(series: Series) -> dict[str, Any]:
    if not series.low:
        return {"visible": False}
    up = _numbers([high - y for high, y in zip(series.high, series.y, strict=True)])
    down = _numbers([y - low for low, y in zip(series.low, series.y, strict=True)])
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.4, "width": 4}


def _said_at_the_right(series: Series, places: dict[str, str]) -> list[dict[str, Any]]:
    """The numbers in a column of their own, where no whisker crosses them."""
    at: dict[str, Any] = {"xref": "paper", "x": 1, "xanchor": "left", "xshift": 8, "yref": "y", "showarrow": False}
    at["font"] = {"size": 12}
    return [at | {"y": places[name], "text": _escape(words)} for name, words in zip(series.x, series.said, strict=True)]


def _numbers(values: list[float]) -> list[float | None]:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]  # JSON knows no NaN


def _faint(colour: str) -> str:
    return "rgba({}, {}, {}, 0.18)".format(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)))


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("$", "&#36;").replace("%{", "%&#123;")


def _label(text: str) -> str:
    """A category's name on the axis, broken where it is long."""
    return "<br>".join(_escape(line) for line in textwrap.wrap(str(text), 26, max_lines=2, placeholder=" …")) or " "
