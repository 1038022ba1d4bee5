// Draws dashboards with the page's own modules, in a document that only remembers what is put into it.
// Arguments: the folder of the modules, the server's address, then uids. Prints a list: dashboard, title, type, html.
import { pathToFileURL } from "node:url";

const [folder, base, ...uids] = process.argv.slice(2);
const module = (name) => import(pathToFileURL(`${folder}/${name}.js`));
const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");

class Element {
  constructor(tag) { Object.assign(this, { tag, attributes: {}, children: [], style: {}, dataset: {}, clientWidth: 600, clientHeight: 300 }); }
  append(...added) { this.children.push(...added); }
  replaceChildren(...added) { this.children = added; }
  setAttribute(name, value) { this.attributes[name] = value; }
  set textContent(text) { this.children = [text]; }
  set innerHTML(_) { throw new Error("HTML is never made from text"); }
  get html() {
    const { className, href, title } = this, style = Object.entries(this.style).map(([key, value]) => `${key}:${value}`).join(";");
    const given = { ...this.attributes, class: className || this.attributes.class, href, title, style: style || undefined };
    const attributes = Object.entries(given).filter(([, value]) => value !== undefined && value !== "").map(([key, value]) => ` ${key}="${escaped(value)}"`);
    return `<${this.tag}${attributes.join("")}>${this.children.map((each) => (each instanceof Element ? each.html : escaped(each))).join("")}</${this.tag}>`;
  }
}

globalThis.document = { createElement: (tag) => new Element(tag), createElementNS: (_, tag) => new Element(tag) };
const fetched = globalThis.fetch;
globalThis.fetch = (path, options) => fetched(new URL(path, base), options);

const [{ draw }, { queryPanel, stepOf }, { ask }] = await Promise.all(["panels", "query", "dom"].map(module));
const sources = await ask("/api/datasources"), drawn = [];
const range = { from: 1_800_000_000, to: 1_800_003_600, width: 600 }, time = { ...range, step: stepOf(range) };
for (const uid of uids) {
  const { dashboard } = await ask(`/api/dashboards/uid/${uid}`);
  for (const panel of dashboard.panels.filter((each) => each.type !== "row")) {
    const body = new Element("div");
    try { draw(panel, await queryPanel(panel, sources, {}, time), body, time); } catch (error) { body.textContent = `failed: ${error.message}`; }
    drawn.push({ dashboard: uid, title: panel.title, type: panel.type, html: body.html });
  }
}
console.log(JSON.stringify(drawn));
