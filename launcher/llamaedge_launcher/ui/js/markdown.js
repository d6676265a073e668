// Markdown, rendered by the server to HTML of harmless elements.

import { ask } from "./api.js";
import { copy, h } from "./dom.js";
import { icon } from "./icons.js";

const SHOWN = 100_000; // characters of a text that cannot be rendered
const PAUSE = 150; // milliseconds between two renderings while an answer streams
const SHARE = 6; // a rendering takes at most one part of so many of the time

const policy = globalThis.trustedTypes?.createPolicy("rendered", { createHTML: (html) => html }) ??
  { createHTML: (html) => html };

const REFUSALS = 8; // texts that are not sent again
const refused = new Map();

/** The HTML of a text. Raises Failure, at once for a text that was refused before. */
export async function render(text) {
  if (refused.has(text)) throw refused.get(text);
  try {
    return (await ask("api/render", { method: "POST", json: { text } })).html;
  } catch (error) {
    if (error.status === 413 || error.status === 422) {
      if (refused.size === REFUSALS) refused.delete(refused.keys().next().value);
      refused.set(text, error);
    }
    throw error;
  }
}

/** Shows what `render` answered. */
export function fill(element, html) {
  element.innerHTML = policy.createHTML(html);
  element.querySelectorAll("pre").forEach(dressCode);
  element.querySelectorAll("table").forEach((table) => {
    const frame = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  });
  element.querySelectorAll("input").forEach((box) => box.setAttribute("aria-label", box.checked ? "done" : "to do"));
}

function dressCode(block) {
  const code = block.querySelector("code");
  const language = block.dataset.language ?? "text";
  const button = h("button", { type: "button", class: "icon-button small", "aria-label": "Copy the code" }, icon("copy"));
  button.addEventListener("click", () => copy(code.textContent, button));
  const frame = h("div", { class: "code" }, h("div", { class: "code-top" }, h("span", {}, language), button));
  block.tabIndex = 0;
  block.setAttribute("role", "region");
  block.setAttribute("aria-label", `Code, ${language}`);
  block.replaceWith(frame);
  frame.append(block);
}

/** Shows a text as it is written, and why; of a very long one its beginning, and more on demand. */
export function fillPlain(element, text, why) {
  const body = h("div", { class: "plain" }, text.slice(0, SHOWN));
  const note = why && h("p", { class: "note" }, why);
  element.replaceChildren(...[note, body].filter(Boolean));
  if (text.length <= SHOWN) return;
  let shown = SHOWN;
  const more = h("button", { type: "button", class: "link", onclick: () => {
    body.after(h("div", { class: "plain" }, text.slice(shown, shown + SHOWN)));
    shown += SHOWN;
    if (shown >= text.length) more.remove();
  } }, `Show more of its ${text.length.toLocaleString("en")} characters`);
  element.append(more);
}

/** A text that grows: rendered now and then, what came since is shown as it is. */
export class Growing {
  #element;
  #onchange;
  #text = "";
  #rendered = "";
  #turn = null;
  #ended = false;

  /** `rendered` is the text that `element` shows already. */
  constructor(element, rendered, onchange) {
    this.#element = element;
    this.#rendered = rendered;
    this.#onchange = onchange;
  }

  push(text) {
    this.#text = text;
    this.#showTail();
    this.#turn ??= this.#render();
  }

  stop() {
    this.#ended = true;
  }

  async #render() {
    while (!this.#ended && this.#rendered !== this.#text) {
      const text = this.#text;
      const began = performance.now();
      try {
        const html = await render(text);
        if (this.#ended) return;
        fill(this.#element, html);
        this.#rendered = text;
        this.#showTail();
      } catch {
        if (this.#ended) return;
        fillPlain(this.#element, text);
        this.#rendered = text;
      }
      const took = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, Math.max(PAUSE, took * SHARE)));
    }
    this.#turn = null;
  }

  #showTail() {
    const tail = this.#text.slice(this.#rendered.length);
    let element = this.#element.querySelector(".tail");
    if (!element) {
      element = h("span", { class: "tail" });
      lastBlock(this.#element).append(element);
    }
    element.textContent = tail.slice(-SHOWN);
    this.#onchange();
  }
}

const BLOCKS = new Set(["P", "UL", "OL", "LI", "BLOCKQUOTE", "H1", "H2", "H3", "H4"]);

function lastBlock(element) {
  for (;;) {
    const last = element.lastElementChild;
    if (!last) return element;
    if (last.classList.contains("code")) return last.querySelector("code");
    if (!BLOCKS.has(last.tagName)) return element;
    element = last;
  }
}
