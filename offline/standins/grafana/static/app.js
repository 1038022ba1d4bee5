// The pages: sign-in, the list of dashboards, and a dashboard whose panels are drawn from their data sources.
import { address, ask, element } from "./dom.js";
import { draw } from "./panels.js";
import { queryPanel, stepOf, variableValues } from "./query.js";

const main = document.querySelector("#main");
const ranges = { "5m": "Last 5 minutes", "15m": "Last 15 minutes", "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last day", "7d": "Last week" };
const seconds = (text) => parseFloat(text) * { s: 1, m: 60, h: 3600, d: 86400 }[text.slice(-1)];
let timer;

function signIn() {
  clearInterval(timer);
  const user = element("input", { placeholder: "User", autocomplete: "username", name: "user" });
  const password = element("input", { placeholder: "Password", type: "password", autocomplete: "current-password", name: "password" });
  const error = element("div", { className: "error" });
  const form = element("form", { className: "login" }, element("h2", { textContent: "Sign in" }), user, password,
    element("button", { textContent: "Sign in" }), error);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await fetch("/login", { method: "POST", body: JSON.stringify({ user: user.value, password: password.value }) });
    if (answer.ok) location.href = location.pathname === "/login" ? "/" : location.href;
    else error.textContent = (await answer.json()).message;
  };
  main.replaceChildren(form);
}

async function list() {
  const found = await ask("/api/search");
  const search = element("input", { placeholder: "Search" });
  const items = element("ul", { className: "list" });
  const show = () => items.replaceChildren(...found.filter((each) => each.title.toLowerCase().includes(search.value.toLowerCase())).map((each) =>
    element("li", {}, each.folderTitle ? `${each.folderTitle} / ` : "", element("a", { href: each.url, textContent: each.title }),
      ...each.tags.map((tag) => element("span", { className: "tag", textContent: tag })))));
  search.oninput = show;
  show();
  main.replaceChildren(search, found.length ? items : element("p", { className: "hint", textContent: "No dashboards are provisioned." }));
}

/** Time range and refresh, of the address or the dashboard's own; a chosen range is put into the address. */
function controls(dashboard, redraw) {
  const range = document.querySelector("#range"), refresh = document.querySelector("#refresh");
  range.replaceChildren(...Object.entries(ranges).map(([value, text]) => element("option", { value, textContent: text })));
  const from = (new URLSearchParams(location.search).get("from") || dashboard.time?.from || "now-1h").replace("now-", "");
  range.value = from in ranges ? from : "1h";
  const every = ["off", "5s", "10s", "30s", "1m", "5m"];
  refresh.replaceChildren(...every.map((value) => element("option", { value, textContent: value })));
  refresh.value = every.includes(dashboard.refresh) ? dashboard.refresh : dashboard.refresh ? "30s" : "off";
  const schedule = () => {
    clearInterval(timer);
    if (refresh.value !== "off") timer = setInterval(() => document.hidden || redraw(), seconds(refresh.value) * 1000);
  };
  range.onchange = () => {
    history.replaceState(null, "", `?from=now-${range.value}&to=now`);
    redraw();
  };
  refresh.onchange = schedule;
  schedule();
  return () => { const to = Math.floor(Date.now() / 1000); return { from: to - seconds(range.value), to }; };
}

/** The way to other dashboards: one address, or all of some tags in a list that opens. They keep the time range. */
async function links(board) {
  const place = document.querySelector("#links");
  const to = (url, text) => {
    const made = element("a", { href: address(url), textContent: text });
    made.onclick = () => { made.href = address(url) + location.search; };
    return made;
  };
  const made = await Promise.all((board.links || []).map(async (link) => {
    if (link.type === "link") return to(link.url, link.title);
    const found = await ask(`/api/search?${link.tags.map((tag) => `tag=${encodeURIComponent(tag)}`).join("&")}`);
    return element("details", {}, element("summary", { textContent: link.title }), element("div", {}, ...found.map((each) => to(each.url, each.title))));
  }));
  place.replaceChildren(...made);
  document.onclick = (event) => made.forEach((each) => { if (each.open && !each.contains(event.target)) each.open = false; });
}

async function variables(dashboard, time, redraw) {
  const values = {};
  const place = document.querySelector("#variables");
  place.replaceChildren();
  for (const variable of dashboard.templating?.list || []) {
    const options = await variableValues(variable, values, time()).catch(() => []);
    const all = variable.allValue || (options.length ? options.join("|") : ".*");
    const initial = [variable.current?.value ?? options[0] ?? ""].flat()[0];
    values[variable.name] = initial === "$__all" || (variable.includeAll && !options.includes(initial)) ? all : options.includes(initial) || !options.length ? initial : options[0];
    if (variable.hide === 2) continue;
    const select = element("select", { title: variable.label || variable.name },
      ...(variable.includeAll ? [element("option", { value: all, textContent: "All" })] : []),
      ...options.map((value) => element("option", { value, textContent: value })));
    select.value = values[variable.name];
    select.onchange = () => { values[variable.name] = select.value; redraw(); };
    place.append(` ${variable.label || variable.name} `, select);
  }
  return values;
}

/** Panels of rows, opened or not, in one list. */
const flat = (panels) => (panels || []).flatMap((panel) => panel.type === "row" ? [panel, ...flat(panel.panels)] : [panel]);

/** An empty panel in its place on the grid; nothing for a row, which is a title alone. */
function placed(panel, grid) {
  const at = panel.gridPos || { x: 0, y: 0, w: 12, h: 8 };
  if (panel.type === "row") {
    const row = element("div", { className: "row", textContent: panel.title });
    row.style.gridRow = `${at.y + 1}`;
    grid.append(row);
    return [];
  }
  const body = element("div", { className: "body" }), about = panel.description ? [element("i", { textContent: "?", title: panel.description })] : [];
  const box = element("section", { className: `panel of-${panel.type}` }, element("h3", { title: panel.title || "" }, panel.title || "", ...about), body);
  Object.assign(box.style, { gridColumn: `${at.x + 1} / span ${at.w}`, gridRow: `${at.y + 1} / span ${at.h}` });
  grid.append(box);
  return [{ panel, body }];
}

/** Asks for a panel's data and draws it; what went wrong is shown in its place. */
async function drawn({ panel, body }, sources, values, range) {
  const time = { ...range, step: stepOf({ ...range, width: body.clientWidth }) };
  try {
    draw(panel, await queryPanel(panel, sources, values, time), body, time);
    body.dataset.state = "drawn";
  } catch (error) {
    if (error.name === "SignIn") return signIn();
    body.replaceChildren(element("div", { className: "error", textContent: error.message }));
    body.dataset.state = "failed";
  }
}

async function dashboard(uid) {
  const { dashboard: board } = await ask(`/api/dashboards/uid/${encodeURIComponent(uid)}`);
  const sources = await ask("/api/datasources");
  document.title = board.title;
  document.querySelector("#title").textContent = board.title;
  const grid = element("div", { className: "grid" });
  main.replaceChildren(grid);
  const shown = flat(board.panels).flatMap((panel) => placed(panel, grid));
  let values = {};
  const redraw = () => Promise.all(shown.map((each) => drawn(each, sources, values, time())));
  const time = controls(board, redraw);
  await links(board);
  values = await variables(board, time, redraw);
  await redraw();
  let width = innerWidth;
  onresize = () => { if (Math.abs(innerWidth - width) > 40) { width = innerWidth; redraw(); } };
}

const [, kind, uid] = location.pathname.split("/");
try {
  if (kind === "login") signIn();
  else if (kind === "d") await dashboard(uid);
  else await list();
} catch (error) {
  if (error.name === "SignIn") signIn();
  else main.replaceChildren(element("p", { className: "error", textContent: error.message }));
}
