"use strict";
// The explorer: one set of rows, seen in every part at once. State changes go through `refresh` (which rows are
// shown, and how) or `mark` (which of them is looked at); parts never talk to each other.
(() => {
const root = document.getElementById("explorer");
if (!root) return;
const data = JSON.parse(document.getElementById("explorer-data").textContent);
const columns = new Map(data.columns.map((column) => [column.key, column]));
const NOTHING = "–", RAMP = ["#6a51c7", "#3f74c9", "#1f94b0", "#1aa886", "#6bbf4a", "#c9b800"];
const SCALE = RAMP.map((colour, i) => [i / (RAMP.length - 1), colour]);
const count = data.columns[0].values.length;
const CONFIG = { responsive: true, displayModeBar: false };
const state = {
  measure: data.measures[0], cost: data.costs[0], colour: data.measures[0], means: false,
  off: new Map(data.filters.map((key) => [key, new Set()])), sort: null, hovered: null, pinned: null, last: null,
};
let shown = []; // the rows as they are looked at: single runs, or means over the runs of one name
let marked = null, waiting = false;
let turning = null; // while a button is held over the space: where it went down, and on which row

// --- small things ---------------------------------------------------------------------------------------------
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
  .replaceAll("$", "&#36;").replaceAll("%{", "%&#123;"); // plotly takes texts for HTML
const short = (text, most = 28) => (text.length > most ? text.slice(0, most - 1).trimEnd() + "…" : text);
const narrow = () => innerWidth < 640;
const times = (key) => (["%", "points"].includes(columns.get(key)?.unit) ? 100 : 1);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const extent = (values) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null && value !== undefined) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
};

// Numbers are written as words.py writes them: each column with the decimals that its largest value needs.
const writers = new Map();
function write(key, value) {
  if (value === null || value === undefined) return NOTHING;
  if (!writers.has(key)) writers.set(key, writer(columns.get(key)));
  return writers.get(key)(value);
}
function writer(column) {
  const scale = times(column.key);
  const sizes = column.values.filter((value) => value !== null).map((value) => Math.abs(value * scale));
  const largest = Math.max(0, extent(sizes)[1]);
  const whole = !column.unit && sizes.every(Number.isInteger);
  let decimals = whole || !largest ? 0 : Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(largest))));
  if (scale === 100) decimals = 1;
  const sign = (number) => (column.unit === "points" && number >= 0 ? "+" : "");
  return (value) => {
    const number = value * scale, size = Math.abs(number);
    if (decimals === 0)
      for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]])
        if (size >= unit) return `${sign(number)}${Number((number / unit).toPrecision(3))} ${letter}`;
    if (number && size < 0.5 * 10 ** -decimals && decimals > 1)
      return sign(number) + number.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    return sign(number) + number.toLocaleString("en-US", digits).replace(/^-(0(\.0*)?)$/, "$1");
  };
}
const bounds = (row, key) => {
  const [low, high] = [row.low[key], row.high[key]];
  return low === null || low === undefined || high === null || high === undefined ? ""
    : `[${write(key, low)}, ${write(key, high)}]`;
};
const quantity = (row, key) => {
  const said = write(key, row.values[key]), unit = columns.get(key).unit;
  return said === NOTHING || !unit ? said : unit === "%" ? said + unit : `${said} ${unit}`;
};

// --- rows -----------------------------------------------------------------------------------------------------
const runs = Array.from({ length: count }, (_, i) => {
  const row = { id: i, runs: [i], values: {}, low: {}, high: {}, target: "" };
  for (const column of data.columns) {
    row.values[column.key] = column.values[i];
    if (column.low) [row.low[column.key], row.high[column.key]] = [column.low[i], column.high[i]];
    if (column.targets?.[i]) row.target = column.targets[i];
  }
  return finish(row);
});
function finish(row) {
  const name = row.values[data.name];
  row.name = name === null || name === undefined ? NOTHING : String(name);
  row.placed = data.space.length > 0 && data.space.every((key) => row.values[key] !== null);
  row.reference = data.space.length > 0 && data.space.every((key) => row.values[key] === null)
    && data.measures.some((key) => row.values[key] !== null);
  return row;
}
const apart = data.filters.filter((key) => key !== data.seed); // seeds of two data sets are not averaged
const groupOf = (run) => (run.values[data.name] === null ? `run ${run.id}`
  : JSON.stringify([data.name, ...apart].map((key) => run.values[key])));
const repeated = new Set(runs.map(groupOf)).size < count;
state.means = repeated;

function averaged(members) {
  if (members.length === 1) return { ...members[0], low: {}, high: {} };
  const row = { id: members[0].id, runs: members.map((run) => run.id), values: {}, low: {}, high: {}, target: "" };
  for (const { key, kind } of data.columns) {
    const values = members.map((run) => run.values[key]).filter((value) => value !== null);
    if (kind === "number" && values.length) {
      row.values[key] = mean(values);
      if (data.measures.includes(key)) [row.low[key], row.high[key]] = extent(values);
    } else if (kind === "text" && new Set(values).size > 1) row.values[key] = `${members.length} runs`;
    else row.values[key] = values.length ? values[0] : null;
  }
  return finish(row);
}
/** What has no value of a filter (a job that left nothing) is shown as long as nothing of it is switched off. */
const passes = (off, value) => (value === null ? !off.size : !off.has(value));
function derive() {
  const on = runs.filter((run) => data.filters.every((key) => passes(state.off.get(key), run.values[key])));
  if (!state.means) return on;
  const groups = new Map();
  for (const run of on) groups.set(groupOf(run), [...(groups.get(groupOf(run)) ?? []), run]);
  return [...groups.values()].map(averaged);
}
const lessIsBetter = () => data.lower.includes(state.measure);
const better = (a, b) => (lessIsBetter() ? a < b : a > b);
const holding = (id) => (id === null ? undefined : shown.find((row) => row.runs.includes(id)));
function best() {
  const measured = shown.filter((row) => row.values[state.measure] !== null);
  return measured.reduce((a, b) => (a && !better(b.values[state.measure], a.values[state.measure]) ? a : b), undefined) ?? shown[0];
}
/** The reference of a row: the one that shares most of its filters (its data set, its seed). */
function referenceOf(row) {
  const alike = (other) => data.filters.filter((key) => other.values[key] === row.values[key]).length;
  return shown.filter((other) => other.reference).sort((a, b) => alike(b) - alike(a))[0];
}
function front(rows) {
  const sorted = rows.toSorted((a, b) => a.values[state.cost] - b.values[state.cost]
    || (better(a.values[state.measure], b.values[state.measure]) ? -1 : 1));
  const kept = [];
  for (const row of sorted)
    if (!kept.length || better(row.values[state.measure], kept.at(-1).values[state.measure])) kept.push(row);
  return kept;
}

// --- curves of rows -------------------------------------------------------------------------------------------
const curvesOf = new Map(); // run -> split -> [[epochs, values], ...]
for (const [run, split, epochs, values] of data.curves.lines) {
  if (!curvesOf.has(run)) curvesOf.set(run, new Map());
  curvesOf.get(run).set(split, [...(curvesOf.get(run).get(split) ?? []), [epochs, values]]);
}
/** A row's curve with gaps between its parts; over several runs the mean of those that reached an epoch. */
function curve(row, split) {
  const parts = row.runs.flatMap((run) => curvesOf.get(run)?.get(split) ?? []);
  if (row.runs.length === 1)
    return parts.reduce(([x, y], part) => [[...x, ...part[0], null], [...y, ...part[1], null]], [[], []]);
  const at = new Map();
  for (const [epochs, values] of parts)
    epochs.forEach((epoch, i) => values[i] === null || at.set(epoch, [...(at.get(epoch) ?? []), values[i]]));
  const epochs = [...at.keys()].sort((a, b) => a - b);
  return [[...epochs, null], [...epochs.map((epoch) => mean(at.get(epoch))), null]];
}

// --- controls -------------------------------------------------------------------------------------------------
const bar = root.querySelector(".bar"), nothing = root.querySelector(".nothing");
const choice = (label, keys, key, act = refresh) => {
  const select = make("select", { "aria-label": label, onchange: () => { state[key] = select.value; act(); } },
    ...keys.map((name) => make("option", { value: name, ...(name === state[key] && { selected: "" }) }, columns.get(name).short)));
  return make("label", { class: "group" }, make("span", { class: "label" }, label), select);
};
const valuesOf = (key) => [...new Set(columns.get(key).values)].filter((value) => value !== null)
  .sort((a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true })));
function chips(key) {
  const values = valuesOf(key), off = state.off.get(key);
  if (values.length < 2) return null;
  const buttons = values.map((value) => {
    const said = typeof value === "number" ? write(key, value) : value;
    return make("button", {
      type: "button", class: "chip", "aria-pressed": "true", title: "click: on or off; double click: only this one",
      onclick: () => { off.has(value) ? off.delete(value) : off.add(value); refresh(); },
      ondblclick: () => { off.clear(); values.forEach((other) => other !== value && off.add(other)); refresh(); },
    }, short(String(said)));
  });
  values.forEach((value, i) => { buttons[i].pressed = () => buttons[i].setAttribute("aria-pressed", String(!off.has(value))); });
  return make("div", { class: "group", role: "group", "aria-label": columns.get(key).short, "data-filter": key },
    make("span", { class: "label" }, columns.get(key).short), ...buttons);
}
function allOn() {
  for (const off of state.off.values()) off.clear();
  refresh();
}
const said = make("span", { class: "count", role: "status" });
const reset = make("button", { type: "button", class: "quiet", onclick: allOn }, "show all");
function buildBar() {
  if (data.measures.length) bar.append(choice("Measure", data.measures, "measure", () => { state.colour = state.measure; resort(); rebuildColour(); refresh(); }));
  for (const key of data.filters) bar.append(...[chips(key)].filter(Boolean));
  if (repeated) {
    const button = (label, means) => make("button", {
      type: "button", class: "chip switch", "data-means": String(means), "aria-pressed": String(means === state.means),
      onclick: () => { state.means = means; refresh(); },
    }, label);
    bar.append(make("div", { class: "group", role: "group", "aria-label": "Rows" },
      make("span", { class: "label" }, "Rows"), button("means over runs", true), button("single runs", false)));
  }
  bar.append(said, reset);
}

// --- parts ----------------------------------------------------------------------------------------------------
const parts = {};
for (const place of root.querySelectorAll(".part")) {
  const part = { place, title: make("h3"), tools: make("div", { class: "group" }), caption: make("p", { class: "caption" }), drawing: make("div", { class: "drawing" }) };
  place.append(make("div", { class: "head" }, part.title, part.tools), part.caption, part.drawing);
  parts[place.dataset.part] = part;
}
parts.curves?.drawing.append(make("div", { class: "under" }), make("div", { class: "over" }));
const colouring = () => [state.measure, ...data.space];
let colourChoice = null;
function rebuildColour() {
  const place = (parts.space ?? parts.cost)?.tools;
  if (!place || !data.space.length) return;
  const fresh = choice("Colour", colouring(), "colour");
  colourChoice ? colourChoice.replaceWith(fresh) : place.append(fresh);
  colourChoice = fresh;
}
if (parts.cost && data.costs.length > 1) parts.cost.tools.append(choice("Over", data.costs, "cost"));

/** Points that answer to the pointer: a hover looks at a row, a click pins it. */
function answering(drawing, rowOf) {
  if (drawing.answering) return;
  drawing.answering = true;
  const found = (event) => rowOf(event.points[0]);
  drawing.on("plotly_hover", (event) => { const row = found(event); if (row) hover(row.id); });
  drawing.on("plotly_unhover", () => hover(null));
  drawing.on("plotly_click", (event) => { const row = found(event); if (!row) return; turning ? (turning.row = row) : pin(row.id); });
}
const plotted = (layout, drawing) => ({ ...dressed(layout, narrow() ? 400 : 900), showlegend: false, hovermode: "closest", uirevision: "explorer" });
const colours = (rows, bar) => {
  const key = state.colour, scale = times(key), values = rows.map((row) => row.values[key] === null ? null : row.values[key] * scale);
  const all = shown.map((row) => row.values[key] === null || row.reference && data.space.includes(key) ? null : row.values[key] * scale);
  const [low, high] = extent(all);
  return {
    color: values, colorscale: SCALE, cmin: Number.isFinite(low) ? low : 0, cmax: Number.isFinite(high) ? Math.max(high, low + 1e-9) : 1, showscale: bar,
    colorbar: { thickness: 10, len: 0.72, outlinewidth: 0, x: 1, xpad: 4, tickfont: { size: 11 },
      title: { text: narrow() ? "" : escaped(columns.get(key).title), side: "right", font: { size: 12, color: css("--dim") } } },
  };
};
const meaning = (key) => (columns.get(key).meaning ? `${columns.get(key).short}: ${columns.get(key).meaning}` : "");
const label = (row) => {
  const lines = [`<b>${escaped(short(row.name, 40))}</b>`, `${escaped(columns.get(state.measure).short)}: <b>${escaped(quantity(row, state.measure))}</b> ${bounds(row, state.measure)}`];
  for (const key of [...data.space.filter(() => row.placed), ...(state.cost ? [state.cost] : [])])
    lines.push(`${escaped(columns.get(key).short)}: ${escaped(quantity(row, key))}`);
  return lines.join("<br>");
};

function drawSpace() {
  const part = parts.space;
  if (!part) return;
  const rows = shown.filter((row) => row.placed && row.values[state.measure] !== null);
  part.title.textContent = "The space";
  part.caption.textContent = [`${rows.length} rows; drag to turn.`, ...data.space.map((key) => meaning(key))].filter(Boolean).join(" ");
  part.rows = rows;
  const [x, y, z] = data.space.map((key) => rows.map((row) => row.values[key] * times(key)));
  const axis = (key) => {
    const [low, high] = extent(columns.get(key).values), pad = (high - low || 1) * 0.06;
    return {
      title: { text: escaped(columns.get(key).title), font: { size: 12, color: css("--dim") } }, tickfont: { size: 10.5, color: css("--dim") },
      range: [(low - pad) * times(key), (high + pad) * times(key)], gridcolor: css("--cage"), linecolor: css("--cage"),
      zeroline: false, showbackground: false, showspikes: false, nticks: 6,
    };
  };
  const layout = {
    ...plotted({ height: narrow() ? 330 : 430, margin: { l: 0, r: 0, t: 0, b: 0 } }),
    scene: {
      domain: { x: [0, narrow() ? 0.86 : 0.9], y: [0, 1] }, xaxis: axis(data.space[0]), yaxis: axis(data.space[1]), zaxis: axis(data.space[2]), aspectmode: "cube",
      dragmode: "turntable", camera: { eye: narrow() ? { x: 1.75, y: -2.0, z: 0.95 } : { x: 1.55, y: -1.8, z: 0.84 }, center: { x: -0.13, y: -0.11, z: -0.1 } }
    },
  };
  const points = {
    type: "scatter3d", mode: "markers", x, y, z, hoverinfo: "text", hovertext: rows.map(label),
    marker: { ...colours(rows, true), size: narrow() ? 4.5 : 5.5, line: { width: 0 } },
  };
  const ring = {
    type: "scatter3d", mode: "markers", x: [], y: [], z: [], hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 15, color: css("--ink"), line: { width: 3, color: css("--ink") } },
  };
  Plotly.react(part.drawing, [points, ring], layout, CONFIG);
  answering(part.drawing, (point) => (point.curveNumber === 0 ? part.rows[point.pointNumber] : undefined));
}

function drawCost() {
  const part = parts.cost;
  if (!part) return;
  const scale = times(state.measure), across = times(state.cost);
  const rows = shown.filter((row) => row.values[state.measure] !== null && row.values[state.cost] > 0);
  const [usual, references] = [rows.filter((row) => !row.reference), rows.filter((row) => row.reference)];
  part.title.textContent = `${columns.get(state.measure).short} and cost`;
  const whiskers = state.means || usual.length <= 60;
  part.caption.textContent = [`Dotted: Pareto front (${lessIsBetter() ? "lowest" : "highest"} at its cost).`,
    whiskers && rows.some((row) => row.high[state.measure] > row.low[state.measure])
      && (state.means ? "Whiskers: lowest to highest run." : "Whiskers: 95% intervals."),
    references.length && "Diamond: what the others are compared with.", meaning(state.measure)].filter(Boolean).join(" ");
  part.rows = [[], usual, references]; // as their traces lie over each other
  const at = (found) => ({ x: found.map((row) => row.values[state.cost] * across), y: found.map((row) => row.values[state.measure] * scale) });
  const spread = (found, colour) => ({
    type: "data", symmetric: false, thickness: 1, width: 0, color: colour,
    array: found.map((row) => Math.max(0, (row.high[state.measure] ?? row.values[state.measure]) - row.values[state.measure]) * scale),
    arrayminus: found.map((row) => Math.max(0, row.values[state.measure] - (row.low[state.measure] ?? row.values[state.measure])) * scale),
  });
  const best = front(rows);
  const common = { type: "scatter", cliponaxis: false };
  const traces = [
    { ...common, mode: "lines", ...at(best), hoverinfo: "skip", line: { shape: "hv", width: 1.5, dash: "dot", color: css("--dim") } },
    { ...common, mode: "markers", ...at(usual), hoverinfo: "text", hovertext: usual.map(label), ...(whiskers && { error_y: spread(usual, css("--dim")) }),
      marker: { ...(data.space.length ? colours(usual, !parts.space) : { color: css("--accent") }), size: 8, line: { width: 0 } } },
    { ...common, mode: "markers+text", ...at(references), hoverinfo: "text", hovertext: references.map(label), ...(whiskers && { error_y: spread(references, css("--dim")) }),
      marker: { symbol: "diamond", size: 12, color: css("--card"), line: { width: 2, color: css("--ink") } },
      text: references.map((row, i) => (references.findIndex((other) => other.name === row.name) === i ? escaped(short(row.name, 20)) : "")), textposition: "bottom center", textfont: { size: 11.5 } },
    { ...common, mode: "markers", x: [], y: [], hoverinfo: "skip", marker: { symbol: "circle-open", size: 16, color: css("--ink"), line: { width: 2.5, color: css("--ink") } } },
  ];
  const axis = { automargin: true, zeroline: false };
  const layout = plotted({
    height: narrow() ? 330 : 430, margin: { l: 10, r: 16, t: 10, b: 10 },
    xaxis: { ...axis, type: "log", dtick: logTicks(rows.map((row) => row.values[state.cost] * across)), exponentformat: "SI", minexponent: 4, title: { text: escaped(columns.get(state.cost).title) } },
    yaxis: { ...axis, title: { text: escaped(columns.get(state.measure).title) } },
  });
  layout.uirevision = `${state.measure} ${state.cost}`;
  Plotly.react(part.drawing, traces, layout, CONFIG);
  answering(part.drawing, (point) => part.rows[point.curveNumber]?.[point.pointNumber]);
}
function logTicks(values) {
  const [low, high] = extent(values);
  return high / low < 12 ? "D1" : high / low < 100 ? "D2" : 1;
}

function drawCurves() {
  const part = parts.curves;
  if (!part) return;
  const { splits, title } = data.curves;
  const [under, over] = part.drawing.children;
  part.title.textContent = "Learning curves";
  // a point and the gap behind it: of one epoch there is no line
  part.drawing.hidden = shown.every((row) => splits.every((split) => curve(row, split)[0].length < 3));
  if (part.drawing.hidden) {
    part.caption.textContent = "None is drawn: every network was trained for one epoch, which is a point and no curve.";
    return;
  }
  part.owners = splits.map(() => []);
  const all = [], reach = [];
  const lines = splits.map((split, i) => {
    const x = [], y = [];
    for (const row of shown) {
      const [epochs, values] = curve(row, split);
      epochs.forEach((epoch, k) => { x.push(epoch); y.push(values[k]); part.owners[i].push(row); });
    }
    reach.push(...extent(x));
    all.push(...extent(y));
    return { type: "scatter", mode: "lines", x, y, xaxis: `x${i || ""}`.replace("x1", "x2"), hoverinfo: "none", connectgaps: false,
      line: { width: 1, color: css("--dim"), simplify: true }, opacity: shown.length > 60 ? 0.22 : shown.length > 15 ? 0.35 : 0.5 };
  });
  lines.forEach((line, i) => { line.xaxis = i ? `x${i + 1}` : "x"; });
  const [first, last] = extent(reach.filter(Number.isFinite)), [low, high] = extent(all.filter(Number.isFinite));
  const pad = ((high - low) || 1) * 0.04, gap = narrow() ? 0.05 : 0.03, wide = (1 - gap * (splits.length - 1)) / splits.length;
  const layout = plotted({ height: narrow() ? 260 : 330, margin: { l: narrow() ? 42 : 56, r: 8, t: 24, b: 42 }, hoverdistance: 30 });
  const looks = dressed({ xaxis: { zeroline: false }, yaxis: { zeroline: false } }, narrow() ? 400 : 900);
  layout.yaxis = { ...looks.yaxis, range: [low - pad, high + pad], title: { ...looks.yaxis.title, text: escaped(title) } };
  if (narrow()) layout.yaxis.title.text = "";
  splits.forEach((split, i) => {
    layout[i ? `xaxis${i + 1}` : "xaxis"] = { ...looks.xaxis, anchor: "y", range: [first - 0.3, last + 0.3], domain: [i * (wide + gap), i * (wide + gap) + wide],
      title: { ...looks.xaxis.title, text: "Epoch" }, ...(i && { matches: "x" }) };
  });
  layout.annotations = splits.map((split, i) => ({ text: escaped(split), xref: "paper", yref: "paper", x: i * (wide + gap), y: 1, xanchor: "left",
    yanchor: "bottom", showarrow: false, font: { size: 12.5, color: css("--dim") } }));
  layout.uirevision = "curves";
  part.layout = layout;
  Plotly.react(under, lines, layout, CONFIG);
  answering(under, (point) => part.owners[point.curveNumber]?.[point.pointNumber]);
  if (!under.following) {
    under.following = true; // what is zoomed below is zoomed above
    under.on("plotly_relayout", () => over.children.length && Plotly.relayout(over, {
      "xaxis.range": [...under.layout.xaxis.range], "yaxis.range": [...under.layout.yaxis.range] }));
  }
}
/** The marked curve and its reference lie on a sheet of their own, so that marking does not redraw all the others. */
function markCurves(row) {
  const part = parts.curves;
  if (!part || part.drawing.hidden) return;
  const [under, over] = part.drawing.children, reference = referenceOf(row);
  const line = (of, split, i, look) => {
    const [x, y] = of ? curve(of, split) : [[], []];
    return { type: "scatter", mode: "lines", x, y, xaxis: i ? `x${i + 1}` : "x", hoverinfo: "skip", line: look };
  };
  const traces = data.curves.splits.flatMap((split, i) => [
    line(reference, split, i, { width: 1.8, dash: "dot", color: css("--ink") }),
    line(row, split, i, { width: 2.8, color: css("--accent") }),
  ]);
  part.caption.textContent = reference ? `Strong: the row looked at. Dotted: ${short(reference.name, 34)}.` : "Strong: the row looked at.";
  const layout = { ...part.layout, annotations: [], uirevision: undefined, hovermode: false };
  const seen = under.layout ?? {};
  for (const name of Object.keys(layout))
    if (/^[xy]axis/.test(name)) layout[name] = { ...layout[name], showgrid: false, tickfont: { color: "transparent" }, range: seen[name]?.range ?? layout[name].range, title: { text: "" } };
  Plotly.react(over, traces, layout, { ...CONFIG, staticPlot: true });
}

function markProfile(row) {
  const part = parts.profile;
  if (!part) return;
  const reference = referenceOf(row), column = columns.get(data.profile), scale = times(data.profile);
  const bars = (of) => (of?.values[data.profile] ?? []).map((value) => (value === null ? null : value * scale));
  const places = (values) => values.map((_, i) => i + 1);
  const [own, other] = [bars(row), bars(reference)];
  part.title.textContent = `${column.short}: ${short(row.name, 30)}`;
  part.caption.textContent = [column.meaning, reference && reference !== row ? `Outline: ${short(reference.name, 22)}.` : ""].filter(Boolean).join(" ");
  part.highest ??= Math.max(...column.values.flatMap((values) => values ?? []), 0) * scale;
  const bar = { type: "bar", hovertemplate: "%{x}: <b>%{y:,}</b><extra></extra>" };
  const traces = [{ ...bar, x: places(own), y: own, marker: { color: css("--accent"), opacity: 0.82 } }];
  if (reference && reference !== row)
    traces.push({ ...bar, x: places(other), y: other, hoverinfo: "skip", hovertemplate: undefined, marker: { color: "rgba(0,0,0,0)", line: { width: 1.3, color: css("--ink") } } });
  const layout = plotted({
    height: narrow() ? 240 : 330, margin: { l: 10, r: 6, t: 24, b: 10 }, barmode: "overlay", bargap: 0.22,
    xaxis: { automargin: true, dtick: 1, showgrid: false, tickangle: 0, tickfont: { size: 10.5 }, title: { text: "Position" }, fixedrange: true },
    yaxis: { automargin: true, range: [0, part.highest * 1.04], fixedrange: true },
  });
  Plotly.react(part.drawing, traces, layout, CONFIG);
}

// --- the row looked at ----------------------------------------------------------------------------------------
const details = root.querySelector(".details");
function markDetails(row) {
  const fact = (key) => {
    const interval = bounds(row, key), value = make("b", {}, quantity(row, key));
    return make("div", { class: "fact", "data-key": key }, make("span", {}, columns.get(key).short), value, ...(interval ? [make("i", {}, interval)] : []));
  };
  const aside = make("div", { class: "aside" });
  if (row.target) aside.append(make("a", { href: row.target }, "its page"));
  const pinned = state.pinned !== null && row.runs.includes(state.pinned);
  aside.append(pinned ? make("button", { type: "button", class: "quiet", onclick: () => pin(row.id) }, "unpin") : make("span", {}, "click to pin"));
  const keys = [...new Set([state.measure, ...data.measures, ...data.costs].filter(Boolean))];
  const told = data.filters.filter((key) => row.values[key] !== null && valuesOf(key).length > 1 && !(key === data.seed && row.runs.length > 1))
    .map((key) => `${columns.get(key).short}: ${columns.get(key).kind === "number" ? write(key, row.values[key]) : row.values[key]}`);
  if (row.runs.length > 1) told.push(`mean of ${row.runs.length} runs`);
  details.replaceChildren(make("div", { class: "who" }, row.name, ...(told.length ? [make("div", { class: "fact dim" }, told.join(" · "))] : [])), ...keys.map(fact), aside);
}
function markPoints(row) {
  const [measure, cost] = [row.values[state.measure], row.values[state.cost]];
  if (parts.cost) {
    const seen = measure !== null && cost > 0;
    Plotly.restyle(parts.cost.drawing, { x: [seen ? [cost * times(state.cost)] : []], y: [seen ? [measure * times(state.measure)] : []] }, [3]);
  }
  if (parts.space && !turning) {
    const at = row.placed && measure !== null ? data.space.map((key) => [row.values[key] * times(key)]) : [[], [], []];
    Plotly.restyle(parts.space.drawing, { x: [at[0]], y: [at[1]], z: [at[2]] }, [1]);
  }
}
function markTable(row) {
  for (const line of parts.rows.drawing.querySelectorAll("tr.marked")) line.classList.remove("marked");
  for (const line of parts.rows.drawing.querySelectorAll("[aria-selected=true]")) line.setAttribute("aria-selected", "false");
  const line = parts.rows.lines?.get(row.id), pinned = holding(state.pinned);
  line?.classList.add("marked");
  if (pinned) parts.rows.lines?.get(pinned.id)?.setAttribute("aria-selected", "true");
}
function mark(force = false) {
  const row = holding(state.hovered) ?? holding(state.pinned) ?? holding(state.last) ?? best();
  if (!row || (row === marked && !force)) return;
  marked = row;
  state.last = row.id;
  markDetails(row);
  markPoints(row);
  markProfile(row);
  markCurves(row);
  markTable(row);
}
function hover(id) {
  if (turning) return; // a space that is drawn anew while it is turned jumps back
  state.hovered = id;
  if (waiting) return;
  waiting = true; // one drawing per picture of the screen, however fast the pointer moves
  requestAnimationFrame(() => { waiting = false; if (!turning) mark(); });
}
// A scatter in space says that it was clicked with every picture while a button is held: it counts once, when the
// button is up, and only if nothing was turned. By then plotly keeps the new view.
parts.space?.drawing.addEventListener("pointerdown", (event) => { turning = { x: event.clientX, y: event.clientY, row: null }; }, true);
for (const end of ["pointerup", "pointercancel"])
  addEventListener(end, (event) => turning && setTimeout(() => {
    const { x, y, row } = turning ?? {};
    turning = null;
    row && Math.hypot(event.clientX - x, event.clientY - y) < 4 ? pin(row.id) : mark(true);
  }, 50), true);
function pin(id) {
  const same = holding(state.pinned) && holding(state.pinned) === holding(id);
  state.pinned = same ? null : id;
  mark(true);
  const line = parts.rows.lines?.get(holding(id)?.id), scroller = parts.rows.drawing.querySelector(".scroll");
  if (line && scroller && !line.matches(":hover")) scroller.scrollTop = line.offsetTop - scroller.clientHeight / 2;
}

// --- the table ------------------------------------------------------------------------------------------------
const RUNS = { key: " runs", title: "Runs", kind: "number" };
const leading = [data.name, ...data.measures, ...data.costs, ...data.filters, ...data.space]; // seen without scrolling
const place = ({ key }) => (leading.includes(key) ? leading.indexOf(key) : leading.length);
const listed = () => data.columns.filter(({ kind, key }) => kind !== "list" && !(state.means && key === data.seed))
  .toSorted((a, b) => place(a) - place(b));
const valueOf = (row, column) => (column === RUNS ? row.runs.length : row.values[column.key]);
function tabled() {
  const found = listed(), at = found.findIndex(({ key }) => key === data.name) + 1;
  return state.means ? [...found.slice(0, at), RUNS, ...found.slice(at)] : found;
}
function resort() {
  if (!data.measures.length) return;
  if (!state.sort || data.measures.includes(state.sort.key)) state.sort = { key: state.measure, up: lessIsBetter() };
}
function sorted() {
  if (!state.sort) return shown;
  const column = state.sort.key === RUNS.key ? RUNS : columns.get(state.sort.key), sign = state.sort.up ? 1 : -1;
  return shown.toSorted((a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === null || y === null) return (x === null) - (y === null); // empty cells stay at the end
    return sign * (column.kind === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
  });
}
const TAGS = { success: "success", "no success": "no-success", "no verdict": "no-verdict", failed: "failed", interrupted: "interrupted" };
function cell(row, column) {
  const value = valueOf(row, column), key = column.key;
  if (column.kind === "number") {
    const interval = column === RUNS ? "" : bounds(row, key);
    return make("td", { class: "number" }, column === RUNS ? String(value) : write(key, value), ...(interval ? [" ", make("i", {}, interval)] : []));
  }
  const text = value ?? NOTHING, target = row.runs.length === 1 && column.targets?.[row.runs[0]];
  const inside = target ? make("a", { href: target, onclick: (event) => event.stopPropagation() }, text)
    : TAGS[text] ? make("span", { class: `tag ${TAGS[text]}` }, text) : text;
  return make("td", { class: key === data.name ? "name" : text.length > 80 ? "text long" : text.length > 24 ? "text" : false, title: key === data.name && text.length > 24 ? text : false }, inside);
}
function drawTable() {
  const part = parts.rows, found = tabled();
  part.title.textContent = "All rows";
  part.caption.remove();
  const heads = found.map((column) => {
    const now = state.sort?.key === column.key;
    return make("th", { scope: "col", class: column.kind === "number" ? "number" : false, "data-key": column.key,
      "aria-sort": now ? (state.sort.up ? "ascending" : "descending") : false },
    make("button", { type: "button", onclick: () => {
      state.sort = { key: column.key, up: now ? !state.sort.up : column.kind !== "number" };
      drawTable();
      mark(true);
      part.drawing.querySelector(`th[data-key="${CSS.escape(column.key)}"] button`).focus();
    } }, column.title));
  });
  part.lines = new Map();
  const lines = sorted().map((row) => {
    const line = make("tr", { tabindex: "0", "aria-selected": "false", "data-row": String(row.id), onclick: () => pin(row.id),
      onmouseenter: () => hover(row.id), onmouseleave: () => hover(null),
      onkeydown: (event) => { if (event.key === "Enter" && event.target === line) pin(row.id); } }, ...found.map((column) => cell(row, column)));
    part.lines.set(row.id, line);
    return line;
  });
  part.drawing.replaceChildren(make("div", { class: "scroll" },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines))));
}

// --- the file -------------------------------------------------------------------------------------------------
function csv() {
  const fields = (row, column) => {
    const value = valueOf(row, column) ?? "";
    const own = [Array.isArray(value) ? value.map((one) => one ?? "").join(" ") : String(value)];
    return ranged(column) ? [...own, String(row.low[column.key] ?? ""), String(row.high[column.key] ?? "")] : own;
  };
  const ranged = (column) => column.low || (state.means && data.measures.includes(column.key));
  const found = [...tabled(), ...data.columns.filter(({ kind }) => kind === "list")];
  const titles = found.flatMap((column) => { const key = column.key.trim(); return ranged(column) ? [key, `${key}_low`, `${key}_high`] : [key]; });
  return csvOf([titles, ...sorted().map((row) => found.flatMap((column) => fields(row, column)))]);
}
parts.rows.tools.append(make("button", { type: "button", class: "plain-button", onclick: () => download(csv(), `${data.file}.csv`) }, "Download CSV"));

// --- all of it ------------------------------------------------------------------------------------------------
function refresh() {
  shown = derive();
  for (const chip of bar.querySelectorAll(".chip:not(.switch)")) chip.pressed();
  for (const chip of bar.querySelectorAll(".chip.switch")) chip.setAttribute("aria-pressed", String(chip.dataset.means === String(state.means)));
  const left = shown.reduce((sum, row) => sum + row.runs.length, 0);
  said.textContent = state.means ? `${shown.length} rows, ${left} of ${count} runs` : `${left} of ${count} rows`;
  reset.hidden = left === count;
  nothing.hidden = left > 0;
  for (const element of root.children) if (element !== bar && element !== nothing) element.hidden = !left;
  if (!left) {
    nothing.replaceChildren("No row is left: every value of one filter is switched off. ", make("button", { type: "button", class: "quiet", onclick: allOn }, "Show all"));
    return;
  }
  drawSpace();
  drawCost();
  drawCurves();
  drawTable();
  mark(true);
}
buildBar();
resort();
rebuildColour();
refresh();
dark.addEventListener("change", refresh);
let resized = 0;
let before = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === before) return; // a phone's address bar comes and goes
  before = innerWidth;
  clearTimeout(resized);
  resized = setTimeout(refresh, 150);
});
})();
