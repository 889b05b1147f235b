"use strict";
// Tables: a click on a title sorts by it; empty cells stay at the end.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const order = head.ariaSort === first ? (first === "ascending" ? "descending" : "ascending") : first;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const key = (row) => row.cells[column].dataset.sort;
    const numeric = head.classList.contains("number");
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const difference = numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return order === "ascending" ? difference : -difference;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
  }));
}

for (const button of document.querySelectorAll(".command button")) {
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy"); // the clipboard API is refused to pages opened from a file
    button.textContent = "Copied";
  });
}

// Figures: the page gives them its colours, in the light and in the dark, and drops their margin notes on a phone.
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
function dressed(layout, width) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = (own) => ({
    gridcolor: colour("--grid"), zerolinecolor: colour("--dim"), linecolor: colour("--line"), ...own,
    title: { font: { size: width < 520 ? 11 : 13, color: colour("--dim") }, standoff: 8, ...own?.title },
  });
  const dress = {
    ...layout, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, size: width < 520 ? 11 : 12.5, color: colour("--ink") },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
    xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
  };
  if (width < 520 && layout.annotations) {
    dress.annotations = [];
    dress.margin = { ...layout.margin, r: 14 };
  }
  return dress;
}
function draw() {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  document.querySelectorAll(".plot").forEach((place) => {
    const figure = figures[place.dataset.figure];
    const data = figure.data.map((trace) => {
      const whiskers = {};
      for (const name of ["error_x", "error_y"])
        if (trace[name]) whiskers[name] = { color: trace.type === "bar" ? ink : trace.marker.color, ...trace[name] };
      return { ...trace, ...whiskers };
    });
    const settings = { responsive: true, displayModeBar: false };
    Plotly.react(place, data, dressed(figure.layout, place.clientWidth), settings);
  });
}
if (figures.length) {
  draw();
  dark.addEventListener("change", draw);
}
