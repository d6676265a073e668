// The messages of the conversation that is shown.

import { find, h, say } from "./dom.js";
import { icon } from "./icons.js";
import { MessageView } from "./message.js";
import { state } from "./state.js";
import { welcome } from "./welcome.js";

const NEAR = 80; // pixels from the end that count as at the end

export class Thread {
  #views = new Map();
  #follows = true;
  #frame = 0;
  #element = find("thread");
  #scroller = find("messages");
  #latest = find("latest");

  constructor(actions) {
    this.actions = { ...actions, changed: () => this.follow() };
    this.#latest.append(icon("down"), "Latest");
    this.#latest.addEventListener("click", () => { this.#follows = true; this.follow(); });
    this.#scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    this.#scroller.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.#follows = false; }, { passive: true });
  }

  /** Shows the conversation as it is now; from its end if it is another one than before. */
  show({ afresh = false } = {}) {
    const { conversation } = state;
    if (afresh) {
      this.#views.clear();
      this.#follows = true;
    }
    const path = conversation.path();
    if (path.length === 0) {
      this.#views.clear();
      this.#element.replaceChildren(welcome());
      this.#latest.hidden = true;
      return;
    }
    const elements = path.map((message, index) => this.#view(message, index === path.length - 1).element);
    for (const id of this.#views.keys()) {
      if (!path.some((message) => message.id === id)) this.#views.delete(id);
    }
    const same = elements.length === this.#element.children.length &&
      elements.every((element, index) => element === this.#element.children[index]);
    if (!same) this.#element.replaceChildren(...elements);
    this.follow();
  }

  /** Shows what is new of a message, if it is there. */
  refresh(message) {
    if (this.#views.has(message.id)) this.#view(message, state.conversation.record.leaf === message.id);
    this.follow();
  }

  followAgain() {
    this.#follows = true;
  }

  follow() {
    if (!this.#follows) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => { this.#scroller.scrollTop = this.#scroller.scrollHeight; });
  }

  /** Puts a text field in the place of a question. */
  edit(view, send) {
    const field = h("textarea", { class: "editing", rows: "3", value: view.message.content, "aria-label": "Your question" });
    const back = () => { form.replaceWith(view.body); view.bar.hidden = false; };
    const submit = (event) => {
      event.preventDefault();
      if (field.value.trim()) { back(); send(view.message, field.value.trim()); }
    };
    const form = h("form", { class: "edit", onsubmit: submit, onkeydown: (event) => {
      if (event.key === "Escape") { event.stopPropagation(); back(); }
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    } }, field, h("div", { class: "row end" },
      h("button", { type: "button", class: "quiet", onclick: back }, "Cancel"),
      h("button", { class: "primary" }, "Send")));
    view.body.replaceWith(form);
    view.bar.hidden = true;
    field.focus();
  }

  #view(message, last) {
    let view = this.#views.get(message.id);
    if (!view) {
      view = new MessageView(message, this.actions);
      this.#views.set(message.id, view);
    }
    view.update({ versions: state.conversation.versions(message), last });
    return view;
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (atEnd) this.#follows = true;
    else if (!state.live.has(state.conversation.record.id)) this.#follows = false;
    this.#latest.hidden = atEnd;
  }
}

export const sayEnd = (message) => say({
  done: "The answer is complete.", stopped: "The answer was stopped.", failed: `There is no answer. ${message.error ?? ""}`,
}[message.status] ?? "");
