// What the server does now, from /metrics, as small plots.

import { request } from "./api.js";
import { dialog } from "./dialog.js";
import { h } from "./dom.js";

const EVERY = 1000; // milliseconds
const KEPT = 60; // points of a plot
const WIDE = 240;
const HIGH = 56;
const PLOTS = [
  ["Tokens made a second", (now, before, seconds) => rate(now, before, seconds, "llamacpp:tokens_predicted_total")],
  ["Prompt tokens read a second", (now, before, seconds) => rate(now, before, seconds, "llamacpp:prompt_tokens_total")],
  ["Sequences that compute", (now) => now.get("llamaedge_sequences_running") ?? 0],
  ["Sequences that wait", (now) => now.get("llamaedge_sequences_waiting") ?? 0],
  ["Requests under way", (now) => now.get("llamacpp:requests_processing") ?? 0],
  ["Requests in the queue", (now) => now.get("llamacpp:requests_deferred") ?? 0],
];
const TOTALS = [
  ["Tokens made", "llamacpp:tokens_predicted_total"],
  ["Prompt tokens read", "llamacpp:prompt_tokens_total"],
  ["Prompt tokens known already", "llamaedge_prompt_tokens_reused_total"],
  ["Answers given up", "llamaedge_cancellations_total"],
  ["Turns swapped out", "llamaedge_swapped_out_total"],
  ["Servers started again", "llamaedge_worker_restarts_total"],
];

export function openEvents() {
  let timer = 0;
  dialog("What the server does now", () => {
    const plots = PLOTS.map(([title, value]) => new Plot(title, value));
    const totals = h("dl", { class: "totals" });
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    let before = null;
    const look = async () => {
      try {
        const now = { at: performance.now(), values: parse(await (await request("metrics")).text()) };
        for (const plot of plots) plot.add(now, before);
        totals.replaceChildren(...TOTALS.map(([title, name]) => h("div", {},
          h("dt", {}, title), h("dd", {}, Math.round(now.values.get(name) ?? 0).toLocaleString("en")))));
        problem.hidden = true;
        before = now;
      } catch (error) {
        problem.textContent = `${error.message} Asking again.`;
        problem.hidden = false;
      }
    };
    look();
    timer = setInterval(() => { if (!document.hidden) look(); }, EVERY);
    return [problem, h("div", { class: "plots" }, plots.map((plot) => plot.element)), h("h3", {}, "Since it started"), totals];
  }, { wide: true, onclose: () => clearInterval(timer) });
}

function rate(now, before, seconds, name) {
  if (!before) return 0;
  return Math.max(0, ((now.get(name) ?? 0) - (before.get(name) ?? 0)) / seconds);
}

/** The sums of Prometheus' samples over their labels, by name. */
export function parse(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{[^}]*\})? (\S+)/.exec(line);
    if (match) found.set(match[1], (found.get(match[1]) ?? 0) + Number(match[2]));
  }
  return found;
}

class Plot {
  #values = [];
  #title;
  #value;

  constructor(title, value) {
    this.#title = title;
    this.#value = value;
    const make = (tag, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, text] of Object.entries(attributes)) element.setAttribute(name, text);
      return element;
    };
    this.area = make("path", { class: "area" });
    this.line = make("path", { class: "line" });
    this.svg = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", preserveAspectRatio: "none" });
    this.svg.append(this.area, this.line);
    this.figure = h("strong", {}, "0");
    this.element = h("figure", { class: "plot" }, h("figcaption", {}, h("span", {}, title), this.figure), this.svg);
  }

  add(now, before) {
    const seconds = before ? (now.at - before.at) / 1000 : 1;
    const value = this.#value(now.values, before?.values, seconds);
    this.#values = [...this.#values, value].slice(-KEPT);
    const most = Math.max(1, ...this.#values);
    const start = KEPT - this.#values.length;
    const points = this.#values.map((each, at) =>
      `${(((start + at) * WIDE) / (KEPT - 1)).toFixed(1)},${(HIGH - 2 - (each / most) * (HIGH - 6)).toFixed(1)}`);
    this.line.setAttribute("d", `M${points.join("L")}`);
    this.area.setAttribute("d", `M${((start * WIDE) / (KEPT - 1)).toFixed(1)},${HIGH}L${points.join("L")}L${WIDE},${HIGH}Z`);
    const text = value.toLocaleString("en", { maximumFractionDigits: 1 });
    this.figure.textContent = text;
    this.svg.setAttribute("aria-label", `${this.#title}: ${text} now, ${most.toFixed(0)} at most in the last minute`);
  }
}
