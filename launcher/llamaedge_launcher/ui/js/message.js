// One message on the page.

import { copy, countText, h, sizeText } from "./dom.js";
import { icon } from "./icons.js";
import { Growing, fill, fillPlain, render } from "./markdown.js";
import { callsView, resultsForm } from "./calls.js";
import * as store from "./store.js";

const NAMES = { user: "You", assistant: "Answer", tool: "Result of a tool" };
const ENDS = {
  length: "The answer reached its length limit.",
  content_filter: "The answer was cut off by a filter.",
};

const later = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    later.unobserve(target);
    target.renderNow();
  }
}, { rootMargin: "800px" });

export class MessageView {
  #growing = null;
  #shown = null; // what the body shows: the HTML or text of it
  #actions;

  /** `actions` are what buttons do: {edit, regenerate, resume, branch, version, results, changed}. */
  constructor(message, actions) {
    this.message = message;
    this.#actions = actions;
    this.body = h("div", { class: "body" });
    this.before = h("div", { class: "before" });
    this.after = h("div", { class: "after" });
    this.bar = h("div", { class: "bar", role: "group", "aria-label": "What to do with this message" });
    this.element = h("article", { class: `message ${message.role}`, "aria-label": NAMES[message.role] },
      this.before, this.body, this.after, this.bar);
    this.body.renderNow = () => this.#render();
  }

  /** Shows the message as it is now; `versions` are all of it, `last` says that it ends the path. */
  update({ versions, last }) {
    const { message } = this;
    const live = message.status === "streaming";
    this.element.classList.toggle("live", live);
    this.#busy(live);
    this.#showBefore(live);
    if (message.role !== "assistant") this.#showAsWritten();
    else if (live) this.#grow();
    else this.#settle();
    this.after.replaceChildren(...this.#afterParts(last && !live));
    this.bar.replaceChildren(...(live ? [] : this.#buttons(versions, last)));
  }

  #showBefore(live) {
    const { message } = this;
    const open = this.before.querySelector("details.thought")?.open ?? false;
    const parts = [];
    if (message.pictures?.length) {
      parts.push(h("div", { class: "pictures" }, message.pictures.map((picture) =>
        h("img", { src: picture.url, alt: picture.name }))));
    }
    if (message.files?.length) {
      parts.push(h("ul", { class: "chips", "aria-label": "Attached files" }, message.files.map((file) =>
        h("li", { class: "chip" }, icon("file"), file.name, h("small", {}, sizeText(file.size))))));
    }
    if (message.reasoning) {
      const working = live && !message.content;
      parts.push(h("details", { class: "thought", open },
        h("summary", {}, icon("thought"), working ? "Thinking…" : "Thoughts"),
        h("div", { class: "plain" }, message.reasoning)));
    }
    if (live && !message.content && !message.reasoning && !message.calls?.length) {
      parts.push(h("p", { class: "waiting" }, message.notice ?? "Reading…"));
    }
    this.before.replaceChildren(...parts);
  }

  #showAsWritten() {
    if (this.#shown === this.message.content) return;
    this.#shown = this.message.content;
    fillPlain(this.body, this.message.content);
  }

  #grow() {
    if (!this.message.content) return;
    this.#growing ??= new Growing(this.body, this.#shown ?? "", this.#actions.changed);
    this.#growing.push(this.message.content);
    this.#shown = null;
  }

  #settle() {
    this.#growing?.stop();
    const wasGrowing = this.#growing !== null;
    this.#growing = null;
    const { message } = this;
    if (this.#shown === message.content) return;
    if (message.html !== undefined) this.#showHtml();
    else if (wasGrowing) this.#finish();
    else {
      fillPlain(this.body, message.content);
      later.observe(this.body);
    }
  }

  /** Shows the whole answer, which is not there before that is rendered. */
  async #finish() {
    this.#busy(true);
    await this.#render();
    this.#busy(this.message.status === "streaming");
  }

  #busy(is) {
    this.element.setAttribute("aria-busy", String(is));
  }

  #showHtml() {
    fill(this.body, this.message.html);
    this.#shown = this.message.content;
    this.#actions.changed();
  }

  async #render() {
    const { message } = this;
    const text = message.content;
    try {
      message.html = await render(text);
      if (message.content !== text) return;
      this.#showHtml();
      if (message.conversation) await store.putMessage(message);
    } catch (error) {
      fillPlain(this.body, text, `Shown as it is written. ${error.message}`);
      this.#shown = text;
    }
  }

  #afterParts(last) {
    const { message } = this;
    const parts = [];
    if (message.calls?.length) parts.push(callsView(message.calls));
    if (last && message.calls?.length && message.status === "done") {
      parts.push(resultsForm(message.calls, (results) => this.#actions.results(message, results)));
    }
    if (message.sources) parts.push(sourcesView(message.sources));
    if (message.notice && message.content) parts.push(h("p", { class: "note" }, message.notice));
    if (message.error) parts.push(h("p", { class: "problem", role: "alert" }, message.error));
    if (message.status === "stopped" && !message.content && !message.reasoning) {
      parts.push(h("p", { class: "note" }, "Stopped before the first word."));
    }
    if (last && ENDS[message.finish]) parts.push(h("p", { class: "note" }, ENDS[message.finish]));
    return parts;
  }

  #buttons(versions, last) {
    const { message } = this;
    const actions = this.#actions;
    const found = [];
    if (versions.length > 1) found.push(...this.#versionButtons(versions));
    const add = (shape, label, run) => {
      const button = h("button", { type: "button", class: "icon-button small", "aria-label": label, title: label }, icon(shape));
      button.addEventListener("click", () => run(button));
      found.push(button);
    };
    if (message.content) add("copy", "Copy", (button) => copy(message.content, button));
    if (message.role === "user") add("edit", "Edit and send again", () => actions.edit(this));
    if (message.role === "assistant") {
      add("again", "Answer again", () => actions.regenerate(message));
      if (last && message.status !== "done" || last && message.finish === "length") {
        add("forward", "Continue", () => actions.resume(message));
      }
    }
    add("branch", "New conversation from here", () => actions.branch(message));
    const told = figures(message);
    if (told) found.push(h("span", { class: "figures" }, told));
    return found;
  }

  #versionButtons(versions) {
    const at = versions.indexOf(this.message);
    const step = (shape, label, to) => {
      const button = h("button", { type: "button", class: "icon-button small", "aria-label": label, disabled: !versions[to] }, icon(shape));
      button.addEventListener("click", () => this.#actions.version(versions[to]));
      return button;
    };
    return [
      step("left", "Earlier version", at - 1),
      h("span", { class: "figures" }, `${at + 1} of ${versions.length}`),
      step("right", "Later version", at + 1),
    ];
  }
}

/** How long and how fast: tokens a second, and the time to the first. */
function figures(message) {
  if (message.role !== "assistant" || !message.speed) return "";
  const parts = [`${message.speed.toFixed(1)} tokens/s`];
  if (message.first !== undefined) parts.push(`first after ${message.first.toFixed(2)} s`);
  if (message.usage) parts.push(countText(message.usage.completion_tokens, "token"));
  return parts.join(" · ");
}

function sourcesView({ how, excerpts }) {
  const names = [...new Set(excerpts.map((each) => each.file))].join(", ");
  return h("details", { class: "sources" },
    h("summary", {}, icon("file"), `${countText(excerpts.length, "excerpt")} of ${names}`),
    h("p", { class: "note" }, how),
    h("ol", {}, excerpts.map((each) => h("li", {},
      h("strong", {}, `${each.file}, ${each.part}`), h("div", { class: "plain" }, each.text)))));
}
