// Draws a panel's data: lines and areas, single values, tables, logs, text.
import { element } from "./app.js";

const palette = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2", "#fade2a", "#96d98d", "#ffa6b0", "#ca95e5", "#8ab8ff"];
const svg = (tag, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const scaled = (value, base, units) => {
  let i = 0;
  for (; Math.abs(value) >= base && i < units.length - 1; i++) value /= base;
  return `${+value.toFixed(value < 10 ? 2 : 1)}${units[i]}`;
};

/** A number with its unit, in Grafana's names of units. */
export function format(value, unit = "", decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const units = {
    bytes: () => scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]), decbytes: () => scaled(value, 1000, [" B", " kB", " MB", " GB", " TB"]),
    Bps: () => scaled(value, 1000, [" B/s", " kB/s", " MB/s", " GB/s"]), binBps: () => scaled(value, 1024, [" B/s", " KiB/s", " MiB/s"]),
    percent: () => `${+value.toFixed(decimals ?? 1)}%`, percentunit: () => `${+(value * 100).toFixed(decimals ?? 1)}%`,
    s: () => value === 0 ? "0 s" : Math.abs(value) < 0.001 ? `${+(value * 1e6).toFixed(0)} µs` : Math.abs(value) < 1 ? `${+(value * 1000).toFixed(1)} ms`
      : Math.abs(value) < 120 ? `${+value.toFixed(2)} s` : Math.abs(value) < 7200 ? `${+(value / 60).toFixed(1)} min` : Math.abs(value) < 172800 ? `${+(value / 3600).toFixed(1)} h` : `${+(value / 86400).toFixed(1)} d`,
    ms: () => units.s.call(null, value /= 1000), reqps: () => `${+value.toFixed(2)} req/s`, ops: () => `${+value.toFixed(2)} ops/s`,
  };
  return units[unit] ? units[unit]() : decimals !== undefined ? value.toFixed(decimals) : scaled(value, 1000, ["", " K", " Mil", " Bil"]);
}

const defaults = (panel) => panel.fieldConfig?.defaults || {};

/** The text that a value is mapped to, and its colour by thresholds. */
function shown(panel, value) {
  const { mappings = [], thresholds, unit, decimals } = defaults(panel);
  for (const { type, options } of mappings) {
    if (type === "value" && options[value]) return { text: options[value].text ?? String(value), colour: options[value].color };
    if (type === "range" && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return { text: options.result.text, colour: options.result.color };
  }
  const step = (thresholds?.steps || []).filter((each) => each.value === null || value >= each.value).pop();
  return { text: format(value, unit, decimals), colour: step?.color };
}

const reducers = {
  lastNotNull: (all) => all[all.length - 1], last: (all) => all[all.length - 1], mean: (all) => all.reduce((a, b) => a + b, 0) / all.length,
  max: (all) => Math.max(...all), min: (all) => Math.min(...all), sum: (all) => all.reduce((a, b) => a + b, 0),
};
const reduced = (panel, series) => {
  const all = series.points.map(([, value]) => value).filter((value) => !Number.isNaN(value));
  return all.length ? (reducers[panel.options?.reduceOptions?.calcs?.[0]] || reducers.last)(all) : NaN;
};

function stat(panel, data, body) {
  body.replaceChildren(element("div", { className: "stat" }, ...data.slice(0, 40).map((series) => {
    const { text, colour } = shown(panel, reduced(panel, series));
    const value = element("b", { textContent: text });
    if (colour) value.style.color = { green: "#73bf69", red: "#f2495c", orange: "#ff9830", yellow: "#fade2a", blue: "#5794f2" }[colour] || colour;
    return element("div", {}, value, data.length > 1 ? element("small", { textContent: series.name }) : "");
  })));
}

function table(panel, data, body) {
  if (data[0]?.documents) return documents(data[0], body);
  const labels = [...new Set(data.flatMap((series) => Object.keys(series.labels)))].filter((label) => label !== "__name__");
  body.replaceChildren(element("table", {},
    element("tr", {}, ...[...labels, "Value"].map((label) => element("th", { textContent: label }))),
    ...data.slice(0, 500).map((series) => {
      const { text, colour } = shown(panel, reduced(panel, series));
      const value = element("td", { textContent: text });
      if (colour) value.style.color = colour;
      return element("tr", {}, ...labels.map((label) => element("td", { textContent: series.labels[label] ?? "" })), value);
    })));
}

function documents({ documents: found, field }, body) {
  body.replaceChildren(...found.map((each) =>
    element("div", { className: "log", title: JSON.stringify(each, null, 1), textContent: `${each[field] || ""}  ${each.level || each.log?.level || ""}  ${each.message ?? JSON.stringify(each)}` })));
}

/** Round numbers between two values, about as many as asked for. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

function timeseries(panel, data, body, { from, to }) {
  const width = Math.max(body.clientWidth, 120), height = Math.max(body.clientHeight - (data.length > 1 ? 58 : 24), 60);
  const stack = (defaults(panel).custom?.stacking?.mode || "none") !== "none";
  const lines = data.slice(0, 60).map((series, i) => ({ ...series, colour: palette[i % palette.length], base: new Map() }));
  if (stack) {
    const sums = new Map();
    for (const line of lines) line.points = line.points.map(([at, value]) => {
      const base = sums.get(at) || 0, top = base + (Number.isNaN(value) ? 0 : value);
      line.base.set(at, base);
      sums.set(at, top);
      return [at, top];
    });
  }
  const values = lines.flatMap((line) => line.points.map(([, value]) => value)).filter(Number.isFinite);
  const { min, max, unit, decimals, custom } = defaults(panel);
  let low = min ?? Math.min(0, ...values), high = max ?? Math.max(...values, low);
  if (high <= low) high = low + 1;
  const left = 56, bottom = 18, x = (at) => left + (at - from) / (to - from) * (width - left - 8), y = (value) => 6 + (1 - (value - low) / (high - low)) * (height - bottom - 6);
  const chart = svg("svg", { width, height, role: "img", "aria-label": panel.title || "chart" });
  for (const value of ticks(low, high, Math.max(2, height / 40))) {
    chart.append(svg("line", { x1: left, x2: width - 8, y1: y(value), y2: y(value), stroke: "#2c3036" }));
    chart.append(Object.assign(svg("text", { x: left - 6, y: y(value) + 3, "text-anchor": "end" }), { textContent: format(value, unit, decimals) }));
  }
  for (let i = 0; i <= 4; i++) {
    const at = from + (to - from) * i / 4, stamp = new Date(at * 1000);
    const text = to - from > 86400 ? stamp.toLocaleString([], { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }) : stamp.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    chart.append(Object.assign(svg("text", { x: x(at), y: height - 4, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle" }), { textContent: text }));
  }
  for (const line of lines) {
    const known = line.points.filter(([, value]) => Number.isFinite(value));
    if (!known.length) continue;
    const gap = 3 * Math.max(15, (to - from) / 200);
    const path = known.map(([at, value], i) => `${i && at - known[i - 1][0] < gap ? "L" : "M"}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("");
    const fill = custom?.fillOpacity ?? (stack ? 30 : 0);
    if (fill) {
      const back = [...known].reverse().map(([at]) => `L${x(at).toFixed(1)},${y(line.base.get(at) ?? Math.max(low, 0)).toFixed(1)}`).join("");
      chart.append(svg("path", { d: `${path.replaceAll("M", "L").replace("L", "M")}${back}Z`, fill: line.colour, opacity: fill / 100 }));
    }
    chart.append(svg("path", { d: path, fill: "none", stroke: line.colour, "stroke-width": custom?.lineWidth ?? 1.5 }));
    if (known.length === 1) chart.append(svg("circle", { cx: x(known[0][0]), cy: y(known[0][1]), r: 2.5, fill: line.colour }));
  }
  const legend = element("div", { className: "legend" }, ...lines.flatMap((line) => {
    const mark = element("i");
    mark.style.background = line.colour;
    return [mark, line.name];
  }));
  body.replaceChildren(chart, panel.options?.legend?.showLegend === false ? "" : legend);
  tooltip(chart, lines, { left, width, from, to, unit, decimals });
}

function tooltip(chart, lines, { left, width, from, to, unit, decimals }) {
  const tip = element("div", { className: "tip", hidden: true });
  chart.after(tip);
  chart.onmouseleave = () => { tip.hidden = true; };
  chart.onmousemove = (event) => {
    const at = from + (event.offsetX - left) / (width - left - 8) * (to - from);
    const near = lines.map((line) => [line, line.points.reduce((best, point) => Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best, [Infinity, NaN])])
      .filter(([, [, value]]) => Number.isFinite(value)).slice(0, 12);
    tip.hidden = !near.length;
    tip.replaceChildren(new Date(at * 1000).toLocaleString(), ...near.map(([line, [, value]]) => element("div", { textContent: `${line.name}: ${format(value, unit, decimals)}` })));
    Object.assign(tip.style, { left: `${Math.min(event.clientX + 12, innerWidth - 300)}px`, top: `${event.clientY + 12}px` });
  };
}

const kinds = { timeseries, graph: timeseries, barchart: timeseries, stat, gauge: stat, bargauge: stat, table, logs: table };

/** Draws a panel; a kind that is not known says so. */
export function draw(panel, data, body, time) {
  if (panel.type === "text") return body.replaceChildren(element("div", { textContent: panel.options?.content || "" }));
  const kind = kinds[panel.type];
  if (!kind) throw new Error(`This stand-in draws no panels of the type ${panel.type}`);
  if (!data.length || data[0].documents?.length === 0) return body.replaceChildren(element("p", { className: "hint", textContent: "No data" }));
  return data[0].documents ? documents(data[0], body) : kind(panel, data, body, time);
}
