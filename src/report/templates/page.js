"use strict";
// Tables: a click on a title sorts by it; empty cells stay at the end.
for (const table of document.querySelectorAll("table:not(.plain-table)")) {
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

// Columns that decide nothing, or say the same in every row, come at a click.
for (const button of document.querySelectorAll("button.columns"))
  button.addEventListener("click", () => {
    button.dataset.all ??= button.textContent;
    const few = button.closest(".table").classList.toggle("few-columns");
    button.ariaPressed = String(!few);
    button.textContent = few ? button.dataset.all : "Fewer columns";
  });

// Files: what a table shows, with all digits.
function csvOf(lines) {
  const numbers = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?( [+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)*$/i;
  // a spreadsheet would run what begins so, and shows nothing of the apostrophe
  const harmless = (value) => (/^[=+\-@\t\r]/.test(value) && !numbers.test(value) ? `'${value}` : value);
  const escaped = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return lines.map((line) => line.map((value) => escaped(harmless(value))).join(",")).join("\r\n") + "\r\n";
}
function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
for (const button of document.querySelectorAll("button.csv")) {
  button.addEventListener("click", () => {
    const table = button.closest(".table").querySelector("table");
    const bounded = [...table.tHead.rows[0].cells].map((_, column) => !!table.tBodies[0].querySelector(`td:nth-child(${column + 1}) i`));
    const fields = (cell, column) => {
      const bounds = cell.querySelector("i");
      const text = cell.classList.contains("number") ? cell.dataset.sort : (cell.dataset.key ?? cell.textContent.trim());
      return bounded[column] ? [text, bounds?.dataset.low ?? "", bounds?.dataset.high ?? ""] : [text];
    };
    const titles = [...table.tHead.rows[0].cells].flatMap(({ dataset: { name } }, column) =>
      bounded[column] ? [name, `${name}_low`, `${name}_high`] : [name]);
    download(csvOf([titles, ...[...table.tBodies[0].rows].map((row) => [...row.cells].flatMap(fields))]), button.dataset.file);
  });
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
  const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name));
  const dress = {
    ...layout, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, size: width < 520 ? 11 : 12.5, color: colour("--ink") },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
    ...Object.fromEntries(axes.map((name) => [name, axis(layout[name])])),
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
  };
  if (width < 520 && layout.meta?.margin_notes) {
    dress.annotations = [];
    dress.margin = { ...layout.margin, r: 14 };
  }
  if (width < 520 && layout.meta?.apart) apart(dress, axes);
  return dress;
}
// Small figures stand two in a line on a phone.
function apart(dress, axes) {
  const { height, gap, whole: before } = dress.meta.apart, count = dress.annotations.length, down = Math.ceil(count / 2);
  const whole = down * height + (down - 1) * gap;
  const title = (letter) => axes.filter((name) => name[0] === letter).map((name) => dress[name].title.text).find(Boolean) ?? "";
  const [x, y] = [title("x"), title("y")];
  dress.height += whole - before;
  dress.annotations = dress.annotations.map((note, number) => {
    const column = number % 2, bottom = number + 2 >= count, end = number ? number + 1 : "";
    const left = column / 2 + 0.03, top = 1 - (Math.floor(number / 2) * (height + gap)) / whole;
    const place = (letter, domain, shown, text) => Object.assign(dress[`${letter}axis${end}`], {
      domain, showticklabels: shown, title: { ...dress[`${letter}axis${end}`].title, text: shown ? text : "" } });
    place("x", [left, left + 0.42], bottom, x);
    place("y", [Math.max(0, top - height / whole), top], column === 0, y);
    return { ...note, x: left, y: top };
  });
}
function draw() {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  document.querySelectorAll(".plot").forEach((place) => {
    const figure = figures[place.dataset.figure];
    const data = figure.data.map((trace) => {
      const whiskers = {};
      for (const name of ["error_x", "error_y"])
        if (trace[name]) whiskers[name] = { color: trace.type === "bar" ? ink : trace.marker.color, ...trace[name] };
      // cells too small to read keep their words for the pointer
      const cramped = trace.type === "heatmap" && trace.texttemplate && place.clientWidth / trace.x.length < 40;
      return { ...trace, ...whiskers, ...(cramped ? { texttemplate: "" } : {}) };
    });
    const settings = { responsive: true, displayModeBar: false };
    Plotly.react(place, data, dressed(figure.layout, place.clientWidth), settings);
  });
}
if (figures.length) {
  draw();
  dark.addEventListener("change", draw);
}
