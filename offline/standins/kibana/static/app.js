// The Discover page: an index pattern, a query, a time range; documents, newest first, and their number over time.
const $ = (id) => document.querySelector(`#${id}`);
const minutes = { "15 minutes": 15, "1 hour": 60, "4 hours": 240, "24 hours": 1440, "7 days": 10080, "30 days": 43200 };
let columns = [], timer;

async function ask(path, body) {
  const answer = await fetch(path, body && { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "kbn-xsrf": "ui" } });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.message || answer.statusText);
  return said;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** `{a: {b: 1}}` as `{"a.b": 1}`. */
function flat(value, prefix = "", into = {}) {
  for (const [key, inner] of Object.entries(value)) {
    if (inner && typeof inner === "object" && !Array.isArray(inner)) flat(inner, `${prefix}${key}.`, into);
    else into[prefix + key] = Array.isArray(inner) ? inner.map((each) => typeof each === "object" ? JSON.stringify(each) : each).join(", ") : inner;
  }
  return into;
}

function histogram(buckets, from, to) {
  const most = Math.max(1, ...buckets.map((each) => each.doc_count));
  const width = 1000, bar = width / Math.max(1, buckets.length);
  const bars = buckets.map((each, i) => {
    const height = 88 * each.doc_count / most;
    return `<rect x="${(i * bar).toFixed(1)}" y="${(90 - height).toFixed(1)}" width="${(bar * 0.85).toFixed(1)}" height="${height.toFixed(1)}"><title>${new Date(each.key).toLocaleString()}: ${each.doc_count}</title></rect>`;
  });
  $("histogram").innerHTML = `<svg viewBox="0 0 ${width} 90" preserveAspectRatio="none" role="img" aria-label="documents over time">${bars.join("")}</svg>`;
}

function summary(fields) {
  const { "@timestamp": _, "@version": __, ...rest } = fields;
  const first = ["log.level", "level", "service", "message"].filter((name) => name in rest);
  return [...first, ...Object.keys(rest).filter((name) => !first.includes(name))].slice(0, 14)
    .flatMap((name) => [element("b", { textContent: `${name} ` }), `${String(rest[name]).slice(0, 300)}  `]);
}

function rows(hits, timeField) {
  const head = element("tr", {}, element("th", { textContent: "Time" }), ...(columns.length ? columns : ["Document"]).map((name) => element("th", { textContent: name })));
  $("hits").replaceChildren(head, ...hits.flatMap((hit) => {
    const fields = flat(hit._source);
    const cells = columns.length ? columns.map((name) => element("td", { textContent: fields[name] ?? "" })) : [element("td", {}, ...summary(fields))];
    const detail = element("tr", { hidden: true }, element("td", { colSpan: columns.length + 2 }, element("pre", { textContent: JSON.stringify(hit, null, 2) })));
    const row = element("tr", { className: "hit", onclick: () => { detail.hidden = !detail.hidden; } },
      element("td", { textContent: fields[timeField] ? new Date(fields[timeField]).toLocaleString() : "" }), ...cells);
    return [row, detail];
  }));
}

async function fields(pattern) {
  const { fields: found } = await ask(`/api/index_patterns/_fields_for_wildcard?pattern=${encodeURIComponent(pattern)}`);
  $("fields").replaceChildren(...found.sort((a, b) => a.name.localeCompare(b.name)).map((field) => element("button", {
    textContent: field.name, title: field.type, className: columns.includes(field.name) ? "on" : "",
    onclick: () => { columns = columns.includes(field.name) ? columns.filter((each) => each !== field.name) : [...columns, field.name]; search(); },
  })));
}

async function search() {
  const chosen = $("pattern").selectedOptions[0];
  if (!chosen) return;
  const timeField = chosen.dataset.time || "@timestamp", to = Date.now(), from = to - minutes[$("range").value] * 60000;
  history.replaceState(null, "", `?${new URLSearchParams({ index: chosen.value, query: $("query").value, range: $("range").value })}`);
  try {
    const found = await ask("/internal/search/discover", { index: chosen.value, query: $("query").value, timeField, from, to });
    $("error").textContent = "";
    $("total").textContent = `${found.hits.total.value.toLocaleString()} hits`;
    histogram(found.aggregations?.histogram.buckets || [], from, to);
    rows(found.hits.hits, timeField);
    await fields(chosen.value);
  } catch (error) {
    $("error").textContent = error.message;
  }
}

function schedule() {
  clearInterval(timer);
  const seconds = parseInt($("refresh").value, 10);
  if (seconds) timer = setInterval(search, seconds * 1000);
}

async function begin() {
  const given = new URLSearchParams(location.search);
  const option = (value) => element("option", { value, textContent: value });
  $("range").replaceChildren(...Object.keys(minutes).map(option));
  $("range").value = given.get("range") in minutes ? given.get("range") : "15 minutes";
  $("refresh").replaceChildren(...["off", "5 s", "30 s"].map(option));
  $("query").value = given.get("query") || "";
  const { saved_objects: patterns } = await ask("/api/saved_objects/_find?type=index-pattern&per_page=1000");
  const listed = patterns.length ? patterns.map(({ attributes }) => attributes) : [{ title: "logs-*", timeFieldName: "@timestamp" }];
  $("pattern").replaceChildren(...listed.map(({ title, timeFieldName }) => {
    const made = option(title);
    made.dataset.time = timeFieldName || "";
    return made;
  }));
  if (given.get("index")) $("pattern").value = given.get("index");
  $("form").onsubmit = (event) => { event.preventDefault(); search(); };
  $("refresh").onchange = schedule;
  for (const id of ["pattern", "range"]) $(id).onchange = search;
  await search();
}

begin().catch((error) => { $("error").textContent = error.message; });
