import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from src.core.estimate import Estimate
from src.core.result import Explorer, Figure, Panel, Result, load, save
from src.report.cells import columns
from src.report.overview import overview, write_overview
from src.report.page import _alike_in_all, write_page
from tests.fakes.result import HOSTILE, patch_result


class Page(HTMLParser):
    """What a browser would make of it: tags with attributes, and the text between."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.scripts, self.inside = [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_data(self, data):
        (self.scripts if self.inside == "script" else self.texts).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Page(write_page(patch_result(hostile=True), tmp_path_factory.mktemp("job")))


def test_the_page_tells_everything(page):
    for said in (
        "patch_weak/target0_seed0", "The patch raises the F1", "F1 patched", "86.2", "83.1 to 89.0", "240 images",
        "[82.8, 89.3]", "Other accuracy (%)", "Layer sensitivity", "What was reduced or replaced", "the search stopped",
        "checkpoint-3f9c2ab81d", "python -m src.run experiment=patch_weak", "1 min 14 s", "population: 24",
        "b7d41e0c93aa",
    ):  # fmt: skip
        assert said in page.text, said
    assert {"class": "verdict success"} in page.every("div")


def test_hostile_names_are_text_everywhere(page):
    assert HOSTILE in page.text
    assert [image["src"][:22] for image in page.every("img")] == ["data:image/png;base64,"]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert len(page.every("script")) == 3  # figures, plotly, ours


def test_nothing_is_requested_from_anywhere(page):
    assert not page.every("link")
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            assert re.match(r"data:|#|\./", attributes.get(name, "#")), attributes
    policy = next(meta["content"] for meta in page.every("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"url\(|@import", " ".join(page.texts))


def test_figures_reach_the_script_unharmed(page):
    figures = json.loads(next(script for script in page.scripts if script.startswith("[{")))
    assert len(figures) == len(page.every("div")) - len([d for d in page.every("div") if "data-figure" not in d]) == 6


def test_a_script_cannot_be_closed_by_a_name(tmp_path):
    result = Result("t", "n", tables={"a": {"x": ["</script><script>alert(1)</script>"], "y": [1.0]}})
    result.figures = [Figure("bars", "a", "T</script>", x="x", y="y")]
    assert len(Page(write_page(result, tmp_path)).every("script")) == 3


def test_the_explorers_data_cannot_end_its_script(tmp_path):
    name = "</script><script>alert(1)//"
    result = Result("t", "n", tables={"jobs": {"name": [name], "score": [1.0]}})
    result.explorer = Explorer("jobs", "name", ("score",))
    page = Page(write_page(result, tmp_path))
    assert len(page.every("script")) == 5  # figures, plotly, ours, the explorer's data and its own
    explored = next(json.loads(script) for script in page.scripts if script.startswith('{"file"'))
    assert explored["columns"][0]["values"] == [name]


def test_a_big_table_is_cut_and_its_file_named(tmp_path):
    result = Result("t", "n", tables={"many": {"i": list(range(10_000)), "x": [i / 7 for i in range(10_000)]}})
    page = Page(write_page(result, tmp_path))
    assert "The first 500 of 10,000 rows; all of them are in tables/many.parquet" in page.text
    assert len(page.every("tr")) == 501


def test_a_page_without_figures_carries_no_plotly(tmp_path):
    path = write_page(Result("t", "n", identity="d"), tmp_path)
    assert path.stat().st_size < 50_000
    assert "Nothing was reduced or replaced." in Page(path).text


@pytest.mark.parametrize("tiny", [True, False])
def test_the_page_of_a_tiny_job_says_first_that_its_numbers_mean_nothing(tiny, tmp_path):
    result = patch_result()
    result.config = {**result.config, "tiny": True} if tiny else result.config
    text = Page(write_page(result, tmp_path)).text
    assert ("its numbers mean nothing" in text) is tiny
    assert not tiny or text.index("its numbers mean nothing") < text.index(result.verdict)


def test_a_figure_that_cannot_be_drawn_does_not_cost_the_page(tmp_path):
    result = patch_result()
    result.figures.append(Figure("image", "missing", "Gone"))
    result.figures.append(Figure("lines", "methods", "Wrong", x="method", y="nothing"))
    assert Page(write_page(result, tmp_path)).text.count("This figure could not be drawn") == 2


@pytest.mark.parametrize(
    ("result", "kind", "said"),
    [
        (Result("t", "n", verdict="little", verdict_kind="no success"), "no-success", "little"),
        (Result("t", "n", verdict="did not train", verdict_kind="no verdict"), "no-verdict", "did not train"),
        (Result("t", "n", status="failed", error="no file", verdict_kind="success"), "failed", "no file"),
        (Result("t", "n", verdict="trained"), "found", "trained"),
    ],
)
def test_the_banner_shows_how_it_ended(tmp_path, result, kind, said):
    page = Page(write_page(result, tmp_path))
    assert {"class": f"verdict {kind}"} in page.every("div")
    assert said in page.text


def test_a_result_read_back_makes_the_same_page(tmp_path):
    result = patch_result()
    save(result, tmp_path)
    before = write_page(result, tmp_path).read_text()
    assert write_page(load(tmp_path), tmp_path).read_text() == before


def sweep(root):
    """Three jobs of a sweep: one with a page, one without, one that never ended."""
    folders = []
    for target in range(2):
        result = Result("patch", f"patch_weak/target{target}", verdict_kind="success" if target else "no success")
        result.config = {"target_class": target, "label": f"target{target}", "seed": 0, "again": {"target": target}}
        result.metrics = {"f1": Estimate(0.5 + target / 4, 0.4, 0.9, 100, "images")}
        result.units = {"f1": "%"}
        result.events = ["fewer images"]
        folders.append(root / f"target {target}")
        save(result, folders[-1])
    write_page(result, folders[1])
    return [*folders, root / "javascript:alert(1)"]


def test_the_overview_has_a_row_per_job_with_links_that_move_along(tmp_path):
    page = Page(write_overview(sweep(tmp_path), tmp_path / "overview.html"))
    links = [link["href"] for link in page.every("a") if not link["href"].startswith("#")]
    assert links == ["./target%200/result.json", "./target%201/page.html", "./javascript%3Aalert%281%29"]
    assert "75.0 [40.0, 90.0]" in page.text
    assert "no result yet: not started, under way, or killed" in page.text
    assert "fewer images (2 of 3 jobs)" in page.text
    assert "3 jobs" in page.text


def test_the_overview_shows_only_settings_that_differ_and_each_once(tmp_path):
    result = overview(sweep(tmp_path), tmp_path / "overview.html")
    table = result.tables["jobs"]
    assert list(table)[:6] == ["job", "outcome", "f1", "f1_low", "f1_high", "Target class"]
    assert table["Target class"] == [0, 1, None]
    assert table["outcome"] == ["no success", "success", "not finished"]
    assert result.name == "patch_weak"


def test_an_overview_of_nothing_and_of_a_damaged_result(tmp_path):
    write_overview([], tmp_path / "none.html")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "result.json").write_text("{")
    assert "is damaged" in Page(write_overview([tmp_path / "job"], tmp_path / "one.html")).text


def sectioned() -> Result:
    """Figures of two sections in turn, one of none, and a table with a section of its own."""
    result = Result("t", "n", tables={name: {"x": [1, 2], "y": [3, 4]} for name in ("a", "b", "c", "d")})
    result.sections = {"b": "Errors", "c": "<i>Cost", "d": "Accuracy"}
    result.titles = {"a": "A"}
    result.figures = [
        Figure("lines", "a", title, x="x", y="y", section=section)
        for title, section in (("E1", "Errors"), ("A1", "Accuracy"), ("loose", ""), ("E2", "Errors"))
    ]
    return result


def test_figures_and_tables_of_a_section_stand_together_in_order_of_first_appearance(tmp_path):
    text = Page(write_page(sectioned(), tmp_path)).text
    places = [text.rindex(said) for said in ("loose ", "E1 ", "E2 ", " B ", "A1 ", " D ", "<i>Cost", " C ", " A ")]
    assert places == sorted(places)


def test_three_sections_have_a_list_of_links_and_their_names_are_text(tmp_path):
    page = Page(write_page(sectioned(), tmp_path))
    assert {"class": "sections"} in page.every("nav")
    targets = [link["href"] for link in page.every("a") if link["href"].startswith("#section-")]
    assert targets == ["#section-1", "#section-2", "#section-3"]
    assert targets == ["#" + heading["id"] for heading in page.every("h2") if heading["id"].startswith("section-")]
    assert not page.every("i") and "Errors Accuracy <i>Cost Figures More tables" in page.text


def test_two_sections_are_links_among_the_others(tmp_path):
    result = sectioned()
    del result.sections["c"]
    page = Page(write_page(result, tmp_path))
    assert page.every("nav") == [{}] and "Figures Errors Accuracy More tables" in page.text


def test_a_table_for_the_screen_is_a_result_also_with_a_section(tmp_path):
    result = sectioned()
    result.screen = ["b"]
    text = Page(write_page(result, tmp_path)).text
    assert text.count(" B ") == 1 and text.index(" B ") < text.index("E1")


def test_tables_that_a_figure_shows_or_that_are_long_lie_behind_one_bar_that_says_what_they_are(tmp_path):
    result = sectioned()
    result.sections["a"] = "Errors"
    result.tables["b"] = {"x": list(range(41))}
    result.titles = {"b": "Forty numbers"}
    result.folded = ["d"]
    text = Page(write_page(result, tmp_path)).text
    assert text.count("2 tables with the numbers") == 1 and "Table: E1; A1; loose; E2" in text
    assert "Table: Forty numbers" in text and "Table: D" in text and "Table: C" not in text


def test_what_decides_nothing_comes_at_a_click_and_what_is_alike_is_said_once(tmp_path):
    result = Result("t", "n")
    rows = [{"name": f"n{row}", "a": 0.5, **{f"c{i}": row + i for i in range(9)}} for row in range(3)]
    result.add(Panel("", "t", rows, units={"a": "%"}), Panel("", "two", [{"x": 1, "y": 2}] * 2))
    result.add(Panel("", "nothing", [], title="Nothing at all"))
    page = Page(write_page(result, tmp_path))
    hidden = [cell["data-name"] for cell in page.every("th") if "hidden-column" in cell["class"]]
    claims = {"claim": ["early", "late", "wide"], "data": ["d"] * 3, "verdict": ["undecided"] * 3, "effect": ["–"] * 3,
              "units": [None] * 3}  # fmt: skip
    assert [column.name for column in _alike_in_all(columns(claims, {}))] == ["data", "effect", "units"]
    del claims["verdict"]
    assert not _alike_in_all(columns(claims, {})), "one column alone is no table"
    assert hidden == ["a", "c8"] and "In every row: A (%) 50.0." in page.text and "All 11 columns" in page.text
    assert "Nothing at all" not in page.text, "a table without rows says nothing"


def test_the_verdicts_on_what_is_claimed_stand_before_all_numbers(tmp_path):
    result = Result("compare", "n", metrics={"failed": Estimate(2)})
    claims = {"claim": ["early", "late"], "data": ["d", "d"], "verdict": ["undecided", "no verdict"],
              "effect": ["+2.2 [+0.1, +4.1] points", "–"], "units": [26, None]}  # fmt: skip
    result.add(Panel("", "claims", claims), Panel("", "why", {"reason": ["", "Too few runs; and more."]}, folded=True))
    said = "Early undecided +2.2 [+0.1, +4.1] points over 26 units Late no verdict Too few runs Failed 2"
    assert said in Page(write_page(result, tmp_path)).text


def test_the_lines_and_columns_of_a_sheet_have_their_names_beside_it(tmp_path):
    result = Result("t", "n")
    sheet = np.zeros((20, 30, 3), np.uint8)
    figure = Figure("image", "s", "S", rows=("fog <b>", "snow"), labels=("clean", "1", "2"))
    result.add(Panel("", "s", sheet, figures=[figure]))
    page = Page(write_page(result, tmp_path))
    assert "clean 1 2 fog <b> snow" in page.text and len(page.every("img")) == 1 and not page.every("b")
