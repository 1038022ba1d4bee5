// Numbers as people read them: units, mappings, thresholds.

const scaled = (value, base, units) => {
  let i = 0;
  for (; Math.abs(value) >= base && i < units.length - 1; i++) value /= base;
  return `${+value.toFixed(Math.abs(value) < 10 ? 2 : 1)}${units[i]}`;
};

function seconds(value) {
  const size = Math.abs(value);
  const [divisor, digits, unit] = [
    [0.001, 1e-6, 0, "µs"], [1, 0.001, 1, "ms"], [120, 1, 2, "s"], [7200, 60, 1, "min"], [172800, 3600, 1, "h"], [Infinity, 86400, 1, "d"],
  ].find(([below]) => size < below).slice(1);
  return value === 0 ? "0 s" : `${+(value / divisor).toFixed(digits)} ${unit}`;
}

const bytes = (suffix) => (value) => scaled(value, 1024, ["", "Ki", "Mi", "Gi", "Ti"].map((each) => ` ${each}B${suffix}`));
const decimal = (suffix) => (value) => scaled(value, 1000, ["", "k", "M", "G", "T"].map((each) => ` ${each}B${suffix}`));
const each = (unit) => (value) => `${+value.toFixed(Math.abs(value) < 0.1 ? 3 : 2)} ${unit}`;

/** Units by Grafana's names. */
const units = {
  bytes: bytes(""), binBps: bytes("/s"), decbytes: decimal(""), Bps: decimal("/s"), s: seconds, ms: (value) => seconds(value / 1000),
  reqps: each("req/s"), ops: each("ops/s"),
  percent: (value, digits = 1) => `${+value.toFixed(digits)}%`, percentunit: (value, digits = 1) => `${+(value * 100).toFixed(digits)}%`,
};

export function format(value, unit = "", decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (units[unit]) return units[unit](value, decimals);
  return decimals !== undefined ? value.toFixed(decimals) : scaled(value, 1000, ["", " K", " Mil", " Bil"]);
}

/** Grafana's names of colours; any other colour is one of CSS. */
const colours = ["green", "yellow", "orange", "red", "blue", "purple"];
export const colour = (name) => (colours.includes(name) ? `var(--${name})` : name);

/** The text that a value is shown as, and its colour, by the settings of its field. */
export function shown({ mappings = [], thresholds, unit, decimals }, value) {
  for (const { type, options } of mappings) {
    if (type === "value" && options[value]) return { text: options[value].text ?? String(value), colour: options[value].color };
    if (type === "range" && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return { text: options.result.text, colour: options.result.color };
  }
  const step = (thresholds?.steps || []).filter((each) => each.value === null || value >= each.value).pop();
  return { text: format(value, unit, decimals), colour: step?.color };
}

const reducers = {
  mean: (all) => all.reduce((a, b) => a + b, 0) / all.length, sum: (all) => all.reduce((a, b) => a + b, 0),
  max: (all) => Math.max(...all), min: (all) => Math.min(...all), last: (all) => all[all.length - 1],
};

/** The one number of a series that a panel shows; the last one unless it asks for another. */
export function reduced(panel, series) {
  const all = series.points.map(([, value]) => value).filter((value) => !Number.isNaN(value));
  return all.length ? (reducers[panel.options?.reduceOptions?.calcs?.[0]] || reducers.last)(all) : NaN;
}
