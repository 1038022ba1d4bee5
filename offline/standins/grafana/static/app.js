// The pages: sign-in, the list of dashboards, and a dashboard whose panels are drawn from their data sources.
import { queryPanel, variableValues } from "./query.js";
import { draw } from "./panels.js";

const main = document.querySelector("#main");
const ranges = { "5m": "Last 5 minutes", "15m": "Last 15 minutes", "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last day", "7d": "Last week" };
const seconds = (text) => parseFloat(text) * { s: 1, m: 60, h: 3600, d: 86400 }[text.slice(-1)];
let timer;

/** Asks the server; a lost session leads to the sign-in page. */
export async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 401) { signIn(); throw new Error("Sign in"); }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || body.message || answer.statusText);
  return body;
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

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

function controls(dashboard, chosen, redraw) {
  const range = document.querySelector("#range"), refresh = document.querySelector("#refresh");
  range.replaceChildren(...Object.entries(ranges).map(([value, text]) => element("option", { value, textContent: text })));
  const from = (dashboard.time?.from || "now-1h").replace("now-", "");
  range.value = from in ranges ? from : "1h";
  refresh.replaceChildren(...["off", "5s", "10s", "30s", "1m", "5m"].map((value) => element("option", { value, textContent: value })));
  refresh.value = dashboard.refresh || "off";
  if (!refresh.value) refresh.value = "30s";
  const schedule = () => {
    clearInterval(timer);
    if (refresh.value !== "off") timer = setInterval(redraw, seconds(refresh.value) * 1000);
  };
  range.onchange = redraw;
  refresh.onchange = schedule;
  schedule();
  return () => { const to = Math.floor(Date.now() / 1000); return { from: to - seconds(range.value), to }; };
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

async function dashboard(uid) {
  const { dashboard: board } = await ask(`/api/dashboards/uid/${encodeURIComponent(uid)}`);
  const sources = await ask("/api/datasources");
  document.title = board.title;
  document.querySelector("#title").textContent = board.title;
  const grid = element("div", { className: "grid" });
  main.replaceChildren(grid);
  const shown = flat(board.panels).map((panel) => {
    const at = panel.gridPos || { x: 0, y: 0, w: 12, h: 8 };
    const place = { gridColumn: `${at.x + 1} / span ${at.w}`, gridRow: `${at.y + 1} / span ${at.h}` };
    if (panel.type === "row") {
      const row = element("div", { className: "row", textContent: panel.title });
      row.style.gridRow = `${at.y + 1}`;
      grid.append(row);
      return null;
    }
    const body = element("div", { className: "body" });
    const box = element("section", { className: "panel" }, element("h3", { textContent: panel.title || "", title: panel.description || "" }), body);
    Object.assign(box.style, place);
    grid.append(box);
    return { panel, body };
  }).filter(Boolean);
  let values = {};
  const redraw = () => Promise.all(shown.map(async ({ panel, body }) => {
    try {
      const data = await queryPanel(panel, sources, values, { ...time(), width: body.clientWidth });
      draw(panel, data, body, time());
      body.dataset.state = "drawn";
    } catch (error) {
      body.replaceChildren(element("div", { className: "error", textContent: error.message }));
      body.dataset.state = "failed";
    }
  }));
  const time = controls(board, values, redraw);
  values = await variables(board, time, redraw);
  await redraw();
}

const [, kind, uid] = location.pathname.split("/");
try {
  if (kind === "login") signIn();
  else if (kind === "d") await dashboard(uid);
  else await list();
} catch (error) {
  if (error.message !== "Sign in") main.replaceChildren(element("p", { className: "error", textContent: error.message }));
}
