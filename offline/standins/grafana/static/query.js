// Asks Prometheus and Elasticsearch, through the server's proxy, what a panel shows.
import { ask } from "./dom.js";

const proxied = (source, path) => `/api/datasources/proxy/uid/${encodeURIComponent(source.uid)}/${path}`;

/** Fills in the dashboard's variables and the built-in ones. */
export function fill(text, values, { from, to, step = 15 }) {
  const range = Math.max(1, Math.round(to - from));
  const builtin = { __interval: `${step}s`, __rate_interval: `${Math.max(4 * 15, step + 15)}s`, __range: `${range}s`, __range_s: range,
    __interval_ms: step * 1000, __from: from * 1000, __to: to * 1000 };
  const known = { ...values, ...builtin };
  return String(text ?? "").replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]/g, (all, a, b, c) => known[a || b || c] ?? all);
}

function sourceOf(reference, sources, values) {
  const wanted = fill(typeof reference === "string" ? reference : reference?.uid, values, { from: 0, to: 1 });
  return sources.find((each) => each.uid === wanted || each.name === wanted)
    || sources.find((each) => each.type === reference?.type) || sources.find((each) => each.isDefault) || sources[0];
}

/** The values a variable offers. */
export async function variableValues(variable, values, time) {
  const text = typeof variable.query === "string" ? variable.query : variable.query?.query || "";
  if (["custom", "interval"].includes(variable.type)) return text.split(",").map((each) => each.trim().split(" : ").pop());
  if (["constant", "textbox"].includes(variable.type)) return [text];
  const sources = await ask("/api/datasources");
  if (variable.type === "datasource") return sources.filter((each) => each.type === text).map((each) => each.uid);
  const source = sourceOf(variable.datasource, sources, values);
  const [, metric, label] = fill(text, values, time).match(/^label_values\((?:(.+),\s*)?(\w+)\)$/s) || [];
  if (!label) throw new Error(`The query of variable ${variable.name} is not label_values(...)`);
  const match = metric ? `&match[]=${encodeURIComponent(metric.trim())}` : "";
  const { data } = await ask(proxied(source, `api/v1/label/${label}/values?start=${time.from}&end=${time.to}${match}`));
  const pattern = variable.regex && new RegExp(variable.regex.replace(/^\/|\/$/g, ""));
  return pattern ? data.map((each) => each.match(pattern)).filter(Boolean).map((found) => found[1] ?? found[0]) : data;
}

function name(labels, format, values, time) {
  if (format && format !== "__auto") return fill(format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? ""), values, time);
  const { __name__: metric = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([key, value]) => `${key}="${value}"`).join(", ");
  return pairs ? `${metric}{${pairs}}` : metric || "value";
}

async function prometheus(source, target, panel, values, time) {
  const instant = target.instant || target.format === "table" && !target.range;
  const query = encodeURIComponent(fill(target.expr, values, time));
  const { data } = await ask(proxied(source, instant
    ? `api/v1/query?query=${query}&time=${time.to}`
    : `api/v1/query_range?query=${query}&start=${time.from}&end=${time.to}&step=${time.step}`));
  if (data.resultType === "scalar" || data.resultType === "string") return [{ name: "value", labels: {}, points: [data.result] }];
  return data.result.map((series) => ({
    name: name(series.metric, target.legendFormat, values, time), labels: series.metric, points: series.values || [series.value],
  })).map((series) => ({ ...series, points: series.points.map(([at, value]) => [at, parseFloat(value)]) }));
}

/** Counts and metrics over time, or documents for tables and logs. */
async function elasticsearch(source, target, panel, values, time) {
  const field = target.timeField || source.jsonData.timeField || "@timestamp";
  const index = source.jsonData.index || source.database || "*";
  const filter = [{ range: { [field]: { gte: time.from * 1000, lte: time.to * 1000, format: "epoch_millis" } } }];
  const query = fill(target.query, values, time);
  if (query) filter.push({ query_string: { query, analyze_wildcard: true } });
  const metric = (target.metrics || [{ type: "count" }])[0];
  const documents = ["logs", "raw_data", "raw_document"].includes(metric.type);
  const terms = (target.bucketAggs || []).find((each) => each.type === "terms");
  const value = metric.type === "count" ? {} : { aggs: { v: { [metric.type === "percentiles" ? "avg" : metric.type]: { field: metric.field } } } };
  const histogram = { date_histogram: { field, fixed_interval: `${time.step}s`, min_doc_count: 0,
    extended_bounds: { min: time.from * 1000, max: time.to * 1000 } }, ...value };
  const body = documents
    ? { size: 200, query: { bool: { filter } }, sort: [{ [field]: { order: "desc", unmapped_type: "date" } }] }
    : { size: 0, query: { bool: { filter } }, aggs: terms
      ? { by: { terms: { field: terms.field, size: +(terms.settings?.size || 10) || 10 }, aggs: { t: histogram } } } : { t: histogram } };
  const { responses: [answer] } = await ask(proxied(source, "_msearch"), { method: "POST", headers: { "Content-Type": "application/x-ndjson" },
    body: `${JSON.stringify({ index, ignore_unavailable: true })}\n${JSON.stringify(body)}\n` });
  if (answer.error) throw new Error(answer.error.root_cause?.[0]?.reason || answer.error.type);
  if (documents) return [{ documents: answer.hits.hits.map((hit) => hit._source), field }];
  const points = (buckets) => buckets.map((each) => [each.key / 1000, each.v ? each.v.value ?? NaN : each.doc_count]);
  if (!answer.aggregations) return [];
  return terms ? answer.aggregations.by.buckets.map((each) => ({ name: String(each.key), labels: { [terms.field]: each.key }, points: points(each.t.buckets) }))
    : [{ name: target.alias || metric.type, labels: {}, points: points(answer.aggregations.t.buckets) }];
}

/** Seconds between two points: as many points as can be told apart, and no more than there are scrapes. */
export const stepOf = ({ from, to, width = 400 }) => Math.max(15, Math.ceil((to - from) / Math.max(50, Math.min(width, 600) / 2)));

/** All series of a panel's targets. */
export async function queryPanel(panel, sources, values, time) {
  const asked = (panel.targets || []).filter((target) => !target.hide).map(async (target) => {
    const source = sourceOf(target.datasource || panel.datasource, sources, values);
    if (!source) throw new Error("There is no data source");
    const found = await (source.type === "prometheus" ? prometheus : elasticsearch)(source, target, panel, values, time);
    return found.map((series) => ({ ...series, refId: target.refId || "A" }));
  });
  return (await Promise.all(asked)).flat();
}
