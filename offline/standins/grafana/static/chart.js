// Lines and areas over time, with axes, a legend, and the values under the pointer.
import { element, svg } from "./dom.js";
import { format } from "./values.js";

/** Colours of series that can be told from both backgrounds. */
const palette = ["#3fa34d", "#d39e00", "#3d85c6", "#e8702a", "#d6404e", "#9b59b6", "#1f9e89", "#8d6e63", "#6b5bd2", "#c76b98", "#7a8b00", "#607d8b"];
const LEFT = 62, RIGHT = 10, TOP = 6, BOTTOM = 20, MOST = 60, HEADROOM = 0.05;

/** Round numbers between two values, about as many as asked for; bytes are round in multiples of 1024. */
export function ticks(low, high, count, unit = "") {
  const rough = (high - low) / count || 1, size = unit === "bytes" || unit === "binBps" ? 1024 ** Math.max(0, Math.floor(Math.log2(rough) / 10)) : 1;
  const power = size * 10 ** Math.floor(Math.log10(rough / size));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step / 1e6; i++) found.push(i * step);
  return found;
}

/** The same lines, each on top of those before. */
function stacked(lines) {
  const sums = new Map();
  return lines.map((line) => {
    const base = new Map();
    const points = line.points.map(([at, value]) => {
      base.set(at, sums.get(at) || 0);
      sums.set(at, base.get(at) + (Number.isNaN(value) ? 0 : value));
      return [at, sums.get(at)];
    });
    return { ...line, points, base };
  });
}

function limits({ min, max }, lines) {
  const values = lines.flatMap((line) => line.points.map(([, value]) => value)).filter(Number.isFinite);
  const low = min ?? Math.min(0, ...values), top = Math.max(low, ...values), high = max ?? top + (top - low) * HEADROOM;
  return { low, high: high > low ? high : low + 1 };
}

function axes(chart, field, { x, y, width, height, low, high, from, to }) {
  for (const value of ticks(low, high, Math.max(2, height / 40), field.unit)) {
    chart.append(svg("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    chart.append(svg("text", { x: LEFT - 6, y: y(value) + 3, "text-anchor": "end" }, format(value, field.unit, field.decimals)));
  }
  const day = to - from > 86400 ? { month: "2-digit", day: "2-digit" } : {}, count = Math.max(2, Math.min(6, Math.floor(width / 110)));
  for (let i = 0; i <= count; i++) {
    const at = from + (to - from) * i / count, text = new Date(at * 1000).toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
    chart.append(svg("line", { class: "rule", x1: x(at), x2: x(at), y1: TOP, y2: height - BOTTOM }));
    chart.append(svg("text", { x: x(at), y: height - 5, "text-anchor": i === 0 ? "start" : i === count ? "end" : "middle" }, text));
  }
}

/** One series. A line is broken where points are missing for three steps. */
function line(chart, each, custom, { x, y, low, gap, stack }) {
  const points = each.points.filter(([, value]) => Number.isFinite(value));
  if (!points.length) return;
  const runs = [];
  for (const [i, point] of points.entries()) i && point[0] - points[i - 1][0] < gap ? runs.at(-1).push(point) : runs.push([point]);
  const at = ([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`;
  const fill = custom?.fillOpacity ?? (stack ? 30 : 0);
  for (const run of runs) {
    const floor = run.map(([time]) => [time, each.base?.get(time) ?? Math.max(low, 0)]).reverse();
    if (fill) chart.append(svg("path", { d: `M${[...run, ...floor].map(at).join("L")}Z`, fill: each.colour, opacity: fill / 100 }));
    if (run.length === 1) chart.append(svg("circle", { cx: x(run[0][0]), cy: y(run[0][1]), r: 2, fill: each.colour }));
  }
  const path = runs.map((run) => `M${run.map(at).join("L")}`).join("");
  chart.append(svg("path", { d: path, class: "line", fill: "none", stroke: each.colour, "stroke-width": custom?.lineWidth ?? 1.5 }));
}

function legend(lines, field) {
  return element("div", { className: "legend" }, ...lines.map((each) => {
    const mark = element("i"), last = each.shown.filter(([, value]) => Number.isFinite(value)).at(-1);
    mark.style.background = each.colour;
    return element("span", {}, mark, each.name, element("small", { textContent: last ? format(last[1], field.unit, field.decimals) : "–" }));
  }));
}

export function timeseries(panel, data, body, { from, to, step = 15 }) {
  const field = panel.fieldConfig?.defaults || {}, stack = (field.custom?.stacking?.mode || "none") !== "none";
  const named = data.slice(0, MOST).map((series, i) => ({ ...series, colour: palette[i % palette.length], shown: series.points }));
  const lines = stack ? stacked(named) : named;
  const width = Math.max(body.clientWidth, 160), height = Math.max(body.clientHeight - (data.length > 6 ? 56 : 38), 60);
  const { low, high } = limits(field, lines);
  const x = (at) => LEFT + (at - from) / (to - from) * (width - LEFT - RIGHT), y = (value) => TOP + (1 - (value - low) / (high - low)) * (height - BOTTOM - TOP);
  const chart = svg("svg", { width, height, role: "img", "aria-label": panel.title || "chart" });
  axes(chart, field, { x, y, width, height, low, high, from, to });
  for (const each of lines) line(chart, each, field.custom, { x, y, low, gap: 3.5 * step, stack });
  const tip = pointer(chart, lines, field, (offset) => from + (offset - LEFT) / (width - LEFT - RIGHT) * (to - from));
  body.replaceChildren(chart, tip, ...(panel.options?.legend?.showLegend === false ? [] : [legend(lines, field)]));
}

function pointer(chart, lines, field, time) {
  const tip = element("div", { className: "tip", hidden: true });
  chart.onmouseleave = () => { tip.hidden = true; };
  chart.onmousemove = (event) => {
    const at = time(event.offsetX);
    const near = lines.map((each) => [each, each.shown.reduce((best, point) => (Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best), [Infinity, NaN])])
      .filter(([, [, value]]) => Number.isFinite(value)).sort((a, b) => b[1][1] - a[1][1]).slice(0, 12);
    tip.hidden = !near.length;
    tip.replaceChildren(new Date(at * 1000).toLocaleString(), ...near.map(([each, [, value]]) => element("div", { textContent: `${each.name}: ${format(value, field.unit, field.decimals)}` })));
    Object.assign(tip.style, { left: `${Math.min(event.clientX + 12, innerWidth - 300)}px`, top: `${event.clientY + 12}px` });
  };
  return tip;
}
