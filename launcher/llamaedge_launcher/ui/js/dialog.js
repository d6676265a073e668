// Windows over the page, and menus.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { keepKey } from "./api.js";

/** A window with a title; `fill` makes its content and is given the window. */
export function dialog(title, fill, { wide = false, onclose = () => {} } = {}) {
  const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => element.close() }, icon("close"));
  const body = h("div", { class: "dialog-body", tabindex: "0" });
  const element = h("dialog", { class: wide ? "dialog wide" : "dialog", "aria-label": title },
    h("header", { class: "dialog-top" }, h("h2", {}, title), close), body);
  element.addEventListener("close", () => { element.remove(); onclose(); });
  element.addEventListener("click", (event) => { if (event.target === element) element.close(); });
  body.append(...[fill(element)].flat(2).filter(Boolean));
  document.body.append(element);
  element.showModal();
  return element;
}

/** Asks for one line; null if none is given. */
export function prompt(title, label, value = "", { type = "text", text = null, action = "Save" } = {}) {
  return new Promise((resolve) => {
    let given = null;
    dialog(title, (element) => {
      const input = h("input", { type, value, autocomplete: "off", autofocus: true, required: true });
      const keep = (event) => { event.preventDefault(); given = input.value.trim(); element.close(); };
      return h("form", { class: "form", onsubmit: keep },
        text && h("p", {}, text),
        h("label", { class: "field" }, h("span", {}, label), input),
        h("div", { class: "row end" }, h("button", { class: "primary" }, action)));
    }, { onclose: () => resolve(given || null) });
  });
}

let keyAsked = null;

/** Asks for the API key, once however many requests want it. */
export function askForKey(wrong) {
  keyAsked ??= prompt("API key", "Key", "", {
    type: "password",
    text: (wrong ? "The server does not take this key. " : "This server asks for a key. ") +
      "Whoever started it knows one. It is kept until this tab is closed.",
    action: "Go on",
  }).then((key) => {
    keyAsked = null;
    if (key) keepKey(key);
    return Boolean(key);
  });
  return keyAsked;
}

/** A menu at `anchor` of [icon, label, run, danger]. */
export function menu(anchor, items) {
  document.querySelector(".menu")?.remove();
  const close = (back) => {
    element.remove();
    document.removeEventListener("pointerdown", outside, true);
    anchor.setAttribute("aria-expanded", "false");
    if (back) anchor.focus();
  };
  const outside = (event) => { if (!element.contains(event.target)) close(false); };
  const buttons = items.map(([shape, label, run, danger]) => h("button", {
    type: "button", role: "menuitem", class: danger ? "danger" : "", onclick: () => { close(true); run(); },
  }, icon(shape), label));
  const element = h("div", { class: "menu", role: "menu", onkeydown: (event) => {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) { event.preventDefault(); buttons.at(to % buttons.length).focus(); }
    if (event.key === "Escape" || event.key === "Tab") { event.preventDefault(); event.stopPropagation(); close(true); }
  } }, buttons);
  anchor.closest("dialog, aside, main").append(element);
  const place = anchor.getBoundingClientRect();
  const left = Math.min(place.left, innerWidth - element.offsetWidth - 8);
  const below = place.bottom + 4;
  const top = below + element.offsetHeight > innerHeight ? place.top - element.offsetHeight - 4 : below;
  element.style.left = `${Math.max(8, left)}px`;
  element.style.top = `${Math.max(8, top)}px`;
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  buttons[0].focus();
}
