// Draws a panel's data: time series, single values, tables, logs, text.
import { timeseries } from "./chart.js";
import { address, element } from "./dom.js";
import { colour, reduced, shown } from "./values.js";

function coloured(made, name) {
  if (name) made.style.color = colour(name);
  return made;
}

function stat(panel, data, body) {
  body.replaceChildren(element("div", { className: "stat" }, ...data.slice(0, 40).map((series) => {
    const { text, colour: name } = shown(panel.fieldConfig?.defaults || {}, reduced(panel, series));
    const value = coloured(element("b", { textContent: text }), name);
    return element("div", {}, value, ...(data.length > 1 ? [element("small", { textContent: series.name })] : []));
  })));
}

/** The settings of a column: the panel's, and those that are made for its name. */
function field(panel, name) {
  const made = { ...panel.fieldConfig?.defaults };
  for (const { matcher, properties } of panel.fieldConfig?.overrides || []) {
    if (matcher.id === "byName" && matcher.options === name) for (const { id, value } of properties) made[id] = value;
  }
  return made;
}

/** Lines of a table: all series of the same labels are one, as by Grafana's transformation "merge". */
export function merged(data) {
  const letters = [...new Set(data.map((series) => series.refId))], lines = new Map();
  for (const series of data) {
    const { __name__: _, ...labels } = series.labels, key = JSON.stringify(Object.entries(labels).sort());
    if (!lines.has(key)) lines.set(key, { ...labels });
    lines.get(key)[letters.length > 1 ? `Value #${series.refId}` : "Value"] = series;
  }
  const names = letters.map((letter) => (letters.length > 1 ? `Value #${letter}` : "Value"));
  const labels = [...new Set([...lines.values()].flatMap(Object.keys))].filter((name) => !names.includes(name));
  return { columns: [...labels, ...names], lines: [...lines.values()] };
}

const linked = (link, value) => address(link.url).replace("${__value.raw}", encodeURIComponent(value));

function cell(panel, name, value) {
  if (value === undefined) return element("td", { textContent: "–" });
  const settings = field(panel, name);
  if (typeof value === "string") {
    const [link] = settings.links || [];
    return element("td", {}, link ? element("a", { href: linked(link, value), textContent: value, title: link.title }) : value);
  }
  const { text, colour: chosen } = shown(settings, reduced(panel, value));
  return coloured(element("td", { textContent: text, className: "number" }), chosen);
}

function table(panel, data, body) {
  const { columns, lines } = merged(data);
  const { excludeByName = {}, renameByName = {} } = (panel.transformations || []).find((each) => each.id === "organize")?.options || {};
  const kept = columns.filter((name) => !excludeByName[name]), named = (name) => renameByName[name] || name;
  lines.sort((a, b) => String(a[kept[0]]).localeCompare(String(b[kept[0]])));
  body.replaceChildren(element("table", {},
    element("tr", {}, ...kept.map((name) => element("th", { textContent: named(name), className: name.startsWith("Value") ? "number" : "" }))),
    ...lines.slice(0, 500).map((each) => element("tr", {}, ...kept.map((name) => cell(panel, named(name), each[name]))))));
}

function documents({ documents: found, field: time }, body) {
  body.replaceChildren(...found.map((each) => element("div", {
    className: "log", title: JSON.stringify(each, null, 1),
    textContent: `${each[time] || ""}  ${each.level || each.log?.level || ""}  ${each.message ?? JSON.stringify(each)}`,
  })));
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
