"""A page as a browser lays it out: at three widths, in the light and in the dark."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from src.core.result import Figure, Opening, Panel, Result, Step
from src.report.page import write_page
from tests.fakes.result import patch_result
from tests.report.chromium import Chromium

#: How wide the page is beside the window; tables whose second column is cut off; text that is too faint.
LOOK = r"""(() => {
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const found = colour(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0.99) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const contrast = (element) => {
    const [a, b] = [luminance(colour(getComputedStyle(element).color).slice(0, 3)), luminance(ground(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const texts = "h1, h2, h3, p, td, th button, a, b, strong, dt, dd, .what, .sign, .tag, .bounds, .tile span";
  const seen = [...document.querySelectorAll(texts)]
    .filter((element) => element.offsetParent && element.textContent.trim());
  return JSON.stringify({
    wider: document.documentElement.scrollWidth - innerWidth,
    cut: [...document.querySelectorAll(".scroll table")].filter((table) => table.offsetParent).filter((table) => {
      const head = table.tHead?.rows[0].cells[1];
      return head && head.getBoundingClientRect().right > table.parentElement.getBoundingClientRect().right + 1;
    }).map((table) => table.closest(".table").querySelector("h3").textContent),
    scrolled: [...document.querySelectorAll("#results ~ .table .scroll")]
      .some((one) => one.scrollWidth > one.clientWidth + 1),
    faint: [...new Set(seen.filter((element) => contrast(element) < 4.5).map((one) => one.outerHTML.slice(0, 90)))],
    plots: [...document.querySelectorAll(".plot")].map((plot) => plot.querySelectorAll("svg.main-svg").length > 0),
  });
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(opened(), tmp_path_factory.mktemp("job"))


def opened() -> Result:
    """A whole page: an opening with pictures, images with labels, controls, many lines, wide tables."""
    result = patch_result()
    sheet = np.zeros((68, 102, 3), np.uint8)
    shown = Figure("image", "mended", "Mended", labels=("disc → ring", "ring → disc", "a → b", "c → d"), columns=3)
    result.add(Panel("", "mended", sheet, figures=[shown]), Panel("", "few", sheet))
    result.figures[0] = Figure("bars", "methods", "F1", x="method", y="f1", under_test=("patched",))
    steps = [
        Step("", "strong network", "knows ten classes", "98.5% right", "few"), Step("→", "module", value="keeps 80%"),
        Step("+", "weak network"), Step("=", "patched network", value="F1 85.8%"), Step("against", "tuned bias"),
    ]  # fmt: skip
    result.opening = Opening(
        "Does a module mend a weak network?", "A weak network is bad. " * 9, steps, {"f1": "Both."}
    )
    result.events += [f"class {number} has no image with confidence" for number in range(7)]
    return result


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (768, "light"), (1280, "light"), (1280, "dark")])
def test_nothing_that_decides_is_out_of_sight(browser: Chromium, page: Path, width: int, scheme: str) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page)
    browser.wait("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg'))")
    look = json.loads(browser.run(LOOK))
    assert look["wider"] <= 0 and look["cut"] == [] and look["faint"] == []
    assert width < 1280 or not look["scrolled"], "the tables that decide fit the window"
    assert (
        all(look["plots"])
        and browser.errors == []
        and {url.split(":")[0] for url in browser.requests} <= {"file", "data"}
    )


def test_a_table_is_a_file_with_all_its_digits(browser: Chromium, page: Path) -> None:
    browser.open(page)
    said = browser.run(
        "(() => { let text = ''; download = (file) => { text = file; };"
        " document.querySelector('button.csv').click(); return text; })()"
    )
    head, first, *_ = said.split("\r\n")
    assert head.startswith("method,") and "f1,f1_low,f1_high" in head
    table = opened().tables["methods"]
    assert first.split(",")[head.split(",").index("f1")] == str(table["f1"][0])


def test_events_of_one_kind_are_one_line(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "and 6 more like this" in text and text.count("has no image with confidence") == 7


def test_five_tiles_and_the_rest_in_a_table(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count('<div class="card metric"') == min(5, len(opened().metrics))
    assert "<dt>F1</dt><dd>Both.</dd>" in text, "what a word means stands in the glossary"
