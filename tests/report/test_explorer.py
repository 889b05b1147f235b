import csv
import dataclasses
import io
import json
import math
import re

import pytest

from src.core.result import Explorer, Result, load, rows, save
from src.report import explorer
from src.report.page import write_page
from src.report.screen import show
from src.report.static import write_figures
from src.report.words import writer
from tests.fakes.sweep import FORMULA, HOSTILE, sweep_result


def embedded(path):
    (said,) = re.findall(r'id="explorer-data">(.*?)</script>', path.read_text(encoding="utf-8"))
    return json.loads(said)


def test_every_row_and_curve_is_on_the_page_once(tmp_path):
    result = sweep_result(variants=400, seeds=2, epochs=3)
    path = write_page(result, tmp_path)
    found = embedded(path)
    assert len(found["columns"][0]["values"]) == 803  # more than the tables of a page show
    assert len(found["curves"]["lines"]) == 401 * 2 * 2
    assert path.read_text(encoding="utf-8").count("plotly.js v") == 1
    assert "many.parquet" not in path.read_text() and ">Curves<" not in path.read_text()


def test_curves_belong_to_the_row_that_agrees_in_all_they_share():
    table = {"name": ["a", "a", "b"], "seed": [0, 1, 0], "score": [1, 2, 3]}
    curves = {"name": ["a", "b", "a", "gone"], "seed": [1, 0, 0, 0], "split": ["train"] * 4, "epoch": [0] * 4,
              "accuracy": [0.1, 0.2, 0.3, 0.4]}  # fmt: skip
    result = Result("t", "n", tables={"jobs": table, "curves": curves}, units={"accuracy": "%"})
    result.explorer = Explorer("jobs", "name", ("score",), curves="curves", filters=("seed",))
    found = explorer.read(result)["curves"]
    assert sorted(found["lines"]) == [[0, "train", [0], [30]], [1, "train", [0], [10]], [2, "train", [0], [20]]]


def test_only_what_was_measured_outside_the_space_is_a_reference():
    found = explorer.read(sweep_result(variants=3, seeds=2))
    assert [row for row in range(9) if explorer.is_reference(found, row)] == [0, 1]  # not the job that left nothing


def test_columns_that_are_not_there_are_named_and_cost_nothing_else(tmp_path):
    result = sweep_result(variants=3)
    result.explorer = Explorer("jobs", "variant", ("accuracy", "nothing"), ("xi", "omega"), ("time",), "accuracy", "no")
    found = explorer.read(result)
    assert (found["measures"], found["space"], found["costs"], found["profile"]) == (["accuracy"], [], [], "")
    assert found["missing"] == ["measure 'nothing'", "cost 'time'"]
    assert "Not in the table: measure &#39;nothing&#39;, cost" in write_page(result, tmp_path).read_text()
    for empty in ({}, {"variant": []}):
        result.tables["jobs"] = empty
        assert "There is no row to explore." in write_page(result, tmp_path).read_text()


def test_the_front_is_what_nothing_as_cheap_reaches():
    points = [(3, 0.5), (1, 0.2), (2, 0.6), (1, 0.4), (4, 0.7), (4, 0.6)]
    assert explorer.front(points) == [(1, 0.4), (2, 0.6), (4, 0.7)]
    assert explorer.front(points, less=True) == [(1, 0.2)]


def test_numbers_that_json_does_not_know_are_missing_values(tmp_path):
    table = {"name": ["a", "b"], "score": [math.nan, 1.0], "cost": [math.inf, 2.0], "widths": [[1, None], None]}
    result = Result("t", "n", tables={"jobs": table}, explorer=Explorer("jobs", "name", ("score",), (), ("cost",)))
    columns = {column["key"]: column["values"] for column in embedded(write_page(result, tmp_path))["columns"]}
    assert columns["score"] == [None, 1] and columns["cost"] == [None, 2] and columns["widths"] == [[1, None], None]


def test_the_figures_of_an_explorer_are_drawn_too(tmp_path):
    result = sweep_result(variants=8)
    result.explorer = dataclasses.replace(result.explorer, costs=("flops",))
    written, problems = write_figures(result, tmp_path)
    assert not problems
    assert [path.name for path in written.values()] == ["explorer_accuracy_over_flops.png"]
    assert written["explorer_accuracy_over_flops"].stat().st_size > 10_000


def test_lists_and_links_do_not_break_other_views(tmp_path, capsys):
    result = sweep_result(variants=2)
    result.screen = ["jobs"]
    show(result, tmp_path)
    save(result, tmp_path)  # a link is a text in a file
    assert load(tmp_path).tables["jobs"]["job"][0] == "-1,0"
    result.explorer = None
    page = write_page(result, tmp_path).read_text()
    widths = result.tables["jobs"]["widths"][0]
    assert f">{widths[0]}, {widths[1]}, {widths[2]}, … {widths[-1]} (15)<" in page
    assert 'href="./-1,0/page.html"' in page


# --- in a browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    result = sweep_result(variants=40, seeds=2)
    return result, write_page(result, tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def opened(browser, written):
    browser.size(1280, 900)
    browser.open(written[1])
    return browser


@pytest.fixture
def page(opened, written):
    """The page as it was at the start; at the end nobody has complained, and nothing else has been asked for."""
    opened.run("document.querySelector('.bar .quiet').click(), document.querySelector('[data-means=true]').click()")
    yield opened
    assert opened.errors == []
    # blob: is the download, data: plotly's own
    assert [url for url in opened.requests if not url.startswith(("blob:", "data:"))] == [written[1].as_uri()]


ROWS = "[...document.querySelectorAll('#explorer tbody tr')]"
NAMES = f"{ROWS}.map((row) => row.cells[0].textContent)"
WHO = "document.querySelector('.details .who').firstChild.textContent"
BARS = "document.querySelector('.profile .drawing').data[0].y"


def click(page, selector):
    x, y = page.run(
        f"(() => {{ const element = document.querySelector({json.dumps(selector)});"
        "element.scrollIntoView({block: 'center', behavior: 'instant'}); const box = element.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2] })()"
    )
    page.click(x, y)


def points(page):
    """Where the points of the cost plot are on the screen."""
    return page.run(
        "document.querySelector('.cost').scrollIntoView({block: 'center', behavior: 'instant'}),"
        "[...document.querySelectorAll('.cost .drawing .trace .points path')].map((path) => {"
        "const box = path.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] })"
    )


def test_a_hovered_point_is_marked_everywhere(page, written):
    result, _ = written
    before = page.run(WHO), page.run(BARS)
    for x, y in points(page)[3:20:4]:
        page.move(x, y)
        page.wait(f"{WHO} !== {json.dumps(before[0])}")
        name = page.run(WHO)
        widths = next(row["widths"] for row in rows(result.tables["jobs"]) if row["variant"] == name)
        assert page.run(BARS) == widths
        assert page.run("document.querySelector('#explorer tr.marked').cells[0].textContent") == name
        ring = page.run(
            "(() => { const ring = document.querySelector('.cost .drawing').data[3]; return [ring.x, ring.y] })()"
        )
        flops = next(row["flops"] for row in rows(result.tables["jobs"]) if row["variant"] == name)
        assert ring[0] == [pytest.approx(flops, rel=1e-6)]
        assert page.run("document.querySelector('.curves .over').data.length") == 4
        before = name, widths
    assert page.run(f"{BARS}.length") == 15


def test_the_details_say_what_the_table_says(page, written):
    table = written[0].tables["jobs"]
    page.run("document.querySelector('[data-means=false]').click()")
    page.run(f"{ROWS}[4].dispatchEvent(new MouseEvent('mouseenter'))")
    row = int(page.run(f"{ROWS}[4].dataset.row"))
    page.wait(f"{WHO} === {json.dumps(table['variant'][row])}")
    write = writer(table["accuracy"], "%")
    said = page.run("document.querySelector('.details [data-key=accuracy]').textContent")
    low, high = (write(table[f"accuracy_{end}"][row]) for end in ("low", "high"))
    assert said == f"Accuracy{write(table['accuracy'][row])}%[{low}, {high}]"
    parameters = page.run("document.querySelector('.details [data-key=parameters] b').textContent")
    assert parameters == writer(table["parameters"], "")(table["parameters"][row])


def test_the_space_is_drawn_and_turns(page, written):
    page.wait("Boolean(document.querySelector('.space .drawing')._fullLayout.scene._scene?.glplot)")
    assert page.run("document.querySelector('.space .drawing').data[0].x.length") == 39  # one of 40 was not measured
    assert "WebGL" not in page.run("document.querySelector('.space').textContent")
    eye = "JSON.stringify(document.querySelector('.space .drawing')._fullLayout.scene._scene.getCamera().eye)"
    before = page.run(eye)
    x, y = page.run(
        "(() => { const element = document.querySelector('.space .drawing');"
        "element.scrollIntoView({block: 'center', behavior: 'instant'}); const box = element.getBoundingClientRect();"
        "return [box.x + box.width / 3, box.y + box.height / 2] })()"
    )
    page.drag((x, y), (x + 90, y + 20))
    page.wait(f"{eye} !== {json.dumps(before)}")
    page.move(5, 5)
    place = page.run("['x', 'y', 'z'].map((axis) => document.querySelector('.space .drawing').data[0][axis][5])")
    jobs = rows(written[0].tables["jobs"])
    name = next(row["variant"] for row in jobs if [row["xi"], row["omega"], row["alpha"]] == place)
    event = "{points: [{curveNumber: 0, pointNumber: 5}]}"
    page.wait(f"document.querySelector('.space .drawing').emit('plotly_hover', {event}), {WHO} === {json.dumps(name)}")


def test_filters_leave_what_they_say(page, written):
    jobs = rows(written[0].tables["jobs"])
    assert len(page.run(NAMES)) == 42  # 40 variants, the baseline, the job that left nothing
    click(page, "[data-filter=data] .chip")  # digits
    glyphs = {row["variant"] for row in jobs if row["data"] == "glyphs"}
    assert set(page.run(NAMES)) == glyphs
    assert (
        page.run("document.querySelector('.bar .count').textContent")
        == f"{len(glyphs)} rows, {2 * len(glyphs)} of 83 runs"
    )
    assert not page.run("document.querySelector('[data-filter=lone]')")  # nothing to choose
    click(page, "[data-filter=data] .chip:last-of-type")
    assert page.run("!document.querySelector('.nothing').hidden && document.querySelector('.parts').hidden")
    click(page, ".nothing button")
    assert len(page.run(NAMES)) == 42


def test_single_runs_and_their_means(page, written):
    jobs = rows(written[0].tables["jobs"])
    first = [row["accuracy"] for row in jobs if row["variant"] == "variant 7"]
    line = f"{ROWS}.find((row) => row.cells[0].textContent === 'variant 7')"
    write = writer([max(first)], "%")
    said = page.run(f"{line}.cells[2].textContent")
    assert said == f"{write(sum(first) / 2)} [{write(min(first))}, {write(max(first))}]"
    click(page, "[data-means=false]")
    assert len(page.run(NAMES)) == len(jobs)
    click(page, "[data-filter=seed] .chip")
    assert len(page.run(NAMES)) == 41


def test_a_title_sorts_and_a_row_is_pinned(page):
    click(page, "th[data-key=flops] button")
    flops = page.run(f"{ROWS}.map((row) => row.cells[4].textContent)")
    assert page.run("document.querySelector('th[data-key=flops]').getAttribute('aria-sort')") == "descending"
    numbers = [float(text.replace(",", "")) for text in flops[:-1]]
    assert numbers == sorted(numbers, reverse=True) and flops[-1] == "–"
    click(page, "th[data-key=flops] button")
    assert page.run(f"{ROWS}.at(-1).cells[4].textContent") == "–"
    name = page.run(f"{NAMES}[6]")
    click(page, "#explorer tbody tr:nth-child(7)")
    page.move(5, 5)
    assert page.run("document.querySelector('#explorer tr[aria-selected=true]').cells[0].textContent") == name
    assert page.run(WHO) == name


def test_the_file_has_the_rows_as_filtered_and_sorted(page, written, tmp_path):
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    click(page, "[data-means=false]")
    click(page, "[data-filter=data] .chip")  # digits off
    click(page, "th[data-key=variant] button")
    names = page.run(NAMES)
    click(page, ".plain-button")
    file = page.download(tmp_path / "layer_widths_all_b.csv")
    found = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))
    assert [row["variant"] for row in found] == names and HOSTILE in names
    jobs = {row["job"]: row for row in rows(written[0].tables["jobs"])}
    for row in found:
        job = jobs[row["job"].removeprefix("'")]
        assert row["widths"] == " ".join(map(str, job["widths"]))
        assert row["lone"] == f"'{FORMULA}", "a spreadsheet would run it"
        assert job["alpha"] is None or float(row["alpha"]) == job["alpha"], "a negative number stays one"
        assert (
            row["accuracy"] == ""
            if job["accuracy"] is None
            else float(row["accuracy"]) == pytest.approx(job["accuracy"])
        )
        assert float(row["accuracy_low"] or 0) == pytest.approx(job["accuracy_low"] or 0)


def test_hostile_names_stay_text_and_links_lead_to_the_jobs(page):
    assert HOSTILE in page.run(NAMES)
    assert not page.run("document.querySelector('#explorer img')")
    click(page, "[data-means=false]")
    links = page.run("[...document.querySelectorAll('#explorer td a')].map((link) => link.getAttribute('href'))")
    assert len(links) == 83 and "./7,1/page.html" in links


def test_a_phone_and_the_dark(browser, written):
    page = browser
    page.size(390, 800, dark=True, phone=True)
    page.open(written[1])
    assert page.run("document.documentElement.scrollWidth") == 390
    page.run("(() => { const select = document.querySelector('.bar select'); select.value = 'generalisation_gap';"
             "select.dispatchEvent(new Event('change')) })()")  # fmt: skip
    assert "Pareto front (lowest" in page.run("document.querySelector('.cost .caption').textContent")
    colour = "document.querySelector('.profile .drawing').data[0].marker.color"
    dark = page.run(colour)
    page.size(390, 800, dark=False, phone=True)  # is drawn anew
    page.wait(f"{colour} !== {json.dumps(dark)}")
    assert page.errors == []


def test_a_page_of_nearly_nothing(browser, tmp_path):
    """One row, no space, no cost, no curve: what is left works."""
    table = {"name": [None, "b"], "score": [None, None], "cost": [0, 1], "widths": [None, [3, None]]}
    result = Result("t", "n", tables={"jobs": table})
    result.explorer = Explorer("jobs", "name", ("score",), (), ("cost",), "widths", "curves", ("cost",))
    browser.open(write_page(result, tmp_path))
    browser.run("document.querySelectorAll('.chip')[0].click()")
    assert browser.run(NAMES) == ["b"] and browser.errors == []
