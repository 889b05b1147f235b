import json
import math

import pytest

from src.core.result import Figure, Result, table_of
from src.report.drawing import PALETTE, colours, names, read
from src.report.figures import plotly
from src.report.static import write_figures
from tests.fakes.result import HOSTILE, patch_result


def figure_of(result: Result, title: str) -> Figure:
    return next(figure for figure in result.figures if figure.title == title)


def test_every_figure_is_one_that_plotly_accepts_and_json_can_hold():
    go = pytest.importorskip("plotly.graph_objects")
    result = patch_result(hostile=True)
    for figure in result.figures:
        if figure.kind != "image":
            spec = plotly(figure, result)
            go.Figure(spec)  # raises on any unknown property
            text = json.dumps(spec, allow_nan=False)
            assert "<img" not in text  # plotly would read it as HTML


def test_fractions_are_drawn_in_percent_with_their_intervals():
    result = patch_result()
    spec = plotly(figure_of(result, "F1 of the target class"), result)
    (bars,) = spec["data"]
    assert bars["orientation"] == "h"  # the methods' names are long
    assert bars["x"][1] == 86.2
    assert bars["error_x"]["array"][1] == pytest.approx((0.031 + 0.02 * 0.138) * 93, abs=0.01)
    assert spec["layout"]["xaxis"]["title"]["text"] == "F1 (%)"
    assert spec["layout"]["xaxis"]["range"] == [0, 100]
    assert "86.2% [82.8, 89.3]" in bars["customdata"]


def test_losses_are_drawn_like_gains_around_zero():
    result = patch_result()
    spec = plotly(figure_of(result, "Gain over a tuned bias"), result)
    assert "range" not in spec["layout"]["xaxis"]  # plotly's own range of bars holds zero
    values = [x for trace in spec["data"] for x in trace["x"]]
    assert min(values) < 0 < max(values)
    assert len({trace["marker"]["color"] for trace in spec["data"]}) == 2


def test_a_group_has_one_colour_in_all_figures():
    result = patch_result()
    result.figures.append(Figure("points", "search", "Again", x="generation", y="jaccard", group="module"))
    result.tables["few"] = {"x": [1], "y": [2], "module": ["cross"]}
    result.figures.append(Figure("points", "few", "Few", x="x", y="y", group="module"))
    first = {series.name: series.colour for series in read(figure_of(result, "Search"), result).series}
    again = {series.name: series.colour for series in read(figure_of(result, "Again"), result).series}
    (few,) = read(figure_of(result, "Few"), result).series
    assert first == again
    assert few.colour == first["cross"]
    assert set(first.values()) <= set(PALETTE)
    assert len({colour for colour, _ in colours(result)["layer"].values()}) == 13  # more than the palette holds


def test_lines_are_sorted_by_x_and_have_bands():
    result = Result("t", "n", tables={"c": {"x": [2, 1], "y": [4.0, 3.0], "y_low": [3, 2], "y_high": [5, 4]}})
    line, low, high = plotly(Figure("lines", "c", "C", x="x", y="y"), result)["data"]
    assert line["x"] == [1, 2]
    assert (low["y"], high["y"]) == ([2, 3], [4, 5])
    assert high["fill"] == "tonexty"


@pytest.mark.parametrize(("farthest", "unit", "step"), [(340.0, "°", 90), (40.0, "°", None), (340.0, "s", None)])
def test_whole_turns_have_ticks_at_right_angles(farthest, unit, step):
    result = Result("t", "n", tables={"c": {"x": [0.0, farthest], "y": [4.0, 3.0]}}, table_units={"c": {"x": unit}})
    assert plotly(Figure("lines", "c", "C", x="x", y="y"), result)["layout"]["xaxis"].get("dtick") == step


def test_many_lines_stand_apart_and_those_of_one_network_together():
    names = [f"network {number}, {part}" for number in range(5) for part in ("train", "validation")]
    table = {"x": [0, 1] * 10, "y": [0.1, 0.2] * 10, "g": [name for name in names for _ in range(2)]}
    spec = plotly(Figure("lines", "c", "C", x="x", y="y", group="g"), Result("t", "n", tables={"c": table}))
    assert [each["text"] for each in spec["layout"]["annotations"]] == [f"<b>network {i}</b>" for i in range(5)]
    assert [line["name"] for line in spec["data"] if line["showlegend"]] == ["train", "validation"]
    assert len({line["yaxis"] for line in spec["data"]}) == 5 and len(spec["data"]) == 10


def test_holes_are_holes_not_zeros():
    table = {"a": ["p", "p", "q"], "b": ["u", "v", "u"], "n": [1, 2, 3], "y": [0.5, math.nan, None]}
    result = Result("t", "n", tables={"c": table})
    (heatmap,) = plotly(Figure("heatmap", "c", "C", x="b", y="a", value="n"), result)["data"]
    assert heatmap["z"] == [[1, 2], [3, None]]
    (bars,) = plotly(Figure("bars", "c", "B", x="n", y="y"), result)["data"]
    assert bars["y"] == [0.5, None, None]


@pytest.mark.parametrize(
    ("figure", "complaint"),
    [
        (Figure("bars", "nowhere", "T", x="x", y="y"), "no table 'nowhere'"),
        (Figure("bars", "methods", "T", x="method", y="f2"), "no column 'f2'"),
        (Figure("bars", "empty", "T", x="x", y="y"), "is empty"),
    ],
)
def test_a_figure_that_cannot_be_drawn_says_why(figure, complaint):
    result = patch_result()
    result.tables["empty"] = {"x": [], "y": []}
    with pytest.raises(ValueError, match=complaint):
        plotly(figure, result)


def test_pictures_are_written_and_one_bad_figure_does_not_stop_the_others(tmp_path):
    from PIL import Image

    result = patch_result(hostile=True)
    result.figures.insert(0, Figure("bars", "nowhere", HOSTILE))
    written, problems = write_figures(result, tmp_path)
    assert len(written) == len(result.figures) - 1
    assert len(problems) == 1
    assert "no table 'nowhere'" in problems[0]
    for path in written.values():
        assert path.parent == tmp_path / "figures"
        assert min(Image.open(path).convert("L").getextrema()) < 200  # something was drawn


def test_file_names_are_safe_and_never_equal():
    result = Result("t", "n", figures=[Figure("lines", "t", title) for title in ("A b", "a/b", "../../x", "龍")])
    assert names(result) == ["a_b", "a_b_2", "x", "figure"]


def boxed() -> Result:
    """Two boxes per network, with values that are all different."""
    five = {"acc": 0.5, "acc_low": 0.1, "acc_q1": 0.4, "acc_q3": 0.65, "acc_high": 0.9, "acc_mean": 0.52}
    records = [
        {"severity": severity, "network": network, **{name: value - severity / 100 for name, value in five.items()}}
        for network in ("a", "b")
        for severity in (1, 2)
    ]
    return Result("t", "n", tables={"boxes": table_of(records)}, units={"acc": "%"})


def test_boxes_are_drawn_from_the_five_numbers_of_the_table():
    go = pytest.importorskip("plotly.graph_objects")
    spec = plotly(Figure("box", "boxes", "B", x="severity", y="acc", group="network"), boxed())
    go.Figure(spec)
    assert [trace["name"] for trace in spec["data"]] == ["a", "b"] and spec["layout"]["boxmode"] == "group"
    box = spec["data"][1]
    assert box["x"] == ["1", "2"] and spec["layout"]["xaxis"]["type"] == "category"
    drawn = {"lowerfence": [9, 8], "q1": [39, 38], "median": [49, 48], "q3": [64, 63], "upperfence": [89, 88]}
    for name, values in drawn.items():
        assert box[name] == pytest.approx(values), name
    assert box["mean"] == pytest.approx([51, 50]) and box["boxmean"] is True
    assert "y" not in box  # or plotly would compute boxes of its own


def test_a_box_without_a_mean_or_without_its_numbers():
    result = boxed()
    del result.tables["boxes"]["acc_mean"]
    figure = Figure("box", "boxes", "B", x="severity", y="acc", group="network")
    assert not {"mean", "boxmean"} & set(plotly(figure, result)["data"][0])
    del result.tables["boxes"]["acc_q3"]
    with pytest.raises(ValueError, match="has no column 'acc_q3'"):
        plotly(figure, result)


def test_static_boxes_stand_where_their_numbers_are(monkeypatch, tmp_path):
    from matplotlib.axes import Axes

    seen = []
    draw = Axes.bxp

    def record(self, boxes, positions, **options):
        seen.append((boxes, positions, options["showmeans"]))
        return draw(self, boxes, positions, **options)

    monkeypatch.setattr(Axes, "bxp", record)
    result = boxed()
    result.figures = [Figure("box", "boxes", "B", x="severity", y="acc", group="network")]
    assert write_figures(result, tmp_path)[1] == []
    (first, left, _), (second, right, means) = seen
    assert first[0] == pytest.approx({"whislo": 9, "q1": 39, "med": 49, "q3": 64, "whishi": 89, "mean": 51})
    assert len(second) == 2 and means and all(a < b for a, b in zip(left, right, strict=True))


def test_a_diagonal_spans_all_percents_and_hides_from_the_legend():
    table = {"confidence": [0.2, 0.9], "accuracy": [0.1, 0.7], "network": ["a", "b"]}
    result = Result("t", "n", tables={"r": table}, units={"confidence": "%", "accuracy": "%"})
    figure = Figure("lines", "r", "R", x="confidence", y="accuracy", group="network", diagonal=True)
    diagonal, *lines = plotly(figure, result)["data"]
    assert diagonal["x"] == diagonal["y"] == [0, 100]
    assert diagonal["line"]["dash"] == "dash" and diagonal["showlegend"] is False
    assert [line["name"] for line in lines] == ["a", "b"]
    with pytest.raises(ValueError, match="a diagonal needs numbers on both axes"):
        plotly(Figure("lines", "r", "R", x="network", y="accuracy", diagonal=True), result)


def test_what_values_are_held_against_is_a_broken_line_in_the_legend():
    result = Result("t", "n", tables={"t": {"x": [1, 2, 3], "y": [0.5, 0.6, 0.9]}}, units={"y": "%"})
    for kind in ("lines", "bars"):
        drawn = plotly(Figure(kind, "t", "T", x="x", y="y", levels={"guessing": 0.1}), result)
        line = drawn["data"][-1]
        assert line["name"] == "guessing" and set(line["y"]) == {10.0} and drawn["layout"]["showlegend"]
        assert [line["x"][0], line["x"][-1]] == ([1, 3] if kind == "lines" else ["1", "3"])


def test_figures_name_what_is_stored_in_words_and_leave_places_and_keys_alone():
    stored = {"gaussian_noise": "gaussian noise", "strong, all_layers": "strong, all layers", "a/b_c.png": "a/b_c.png",
              "study.all_layers": "study.all_layers", "VGG_16": "VGG_16", "disc": "disc"}  # fmt: skip
    table = {"kind": list(stored), "to": list(stored), "accuracy": [0.5] * len(stored)}
    result = Result("t", "n", tables={"t": table})
    chart = read(Figure("bars", "t", "Bars", x="kind", y="accuracy", under_test=("gaussian_noise",)), result)
    assert chart.categories == list(stored.values()) == chart.series[0].x
    assert chart.series[0].controls == [False, *[True] * (len(stored) - 1)]
    grid = read(Figure("heatmap", "t", "Grid", x="kind", y="to", value="accuracy"), result)
    assert grid.columns == grid.rows == list(stored.values())


def test_grids_of_the_same_axes_share_their_colours():
    tables = {"a": {"x": [1, 2], "y": [1, 1], "z": [0.1, 0.4]}, "b": {"x": [1, 2], "y": [1, 1], "z": [0.2, 0.9]},
              "c": {"x": [1, 2], "y": [1, 1], "w": [7.0, 8.0]}}  # fmt: skip
    figures = [Figure("heatmap", name, name, x="x", y="y", value=value, percent=value == "z")
               for name, value in (("a", "z"), ("b", "z"), ("c", "w"))]  # fmt: skip
    result = Result("t", "n", tables=tables, figures=figures)
    ends = [(trace.get("zmin"), trace.get("zmax")) for trace in (plotly(one, result)["data"][0] for one in figures)]
    assert ends == [(10.0, 90.0), (10.0, 90.0), (None, None)], "alone, a grid takes what it has"
