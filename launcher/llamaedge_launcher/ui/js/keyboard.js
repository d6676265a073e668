// Keys that work everywhere on the page.

import { dialog } from "./dialog.js";
import { h } from "./dom.js";

const KEYS = [
  ["Enter", "Send the question (on a phone: begin a new line)"],
  ["Shift+Enter", "Begin a new line"],
  ["Escape", "Stop the answer, or close what is open"],
  ["Arrow up", "Edit the last question, in an empty field"],
  ["Ctrl+K", "Search conversations"],
  ["Ctrl+Shift+O", "New conversation"],
  ["Ctrl+,", "Settings of this conversation"],
  ["/", "Go to the question"],
  ["?", "This list"],
];

export function showKeys() {
  dialog("Keys", () => h("dl", { class: "keys" }, KEYS.map(([key, what]) => h("div", {},
    h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))));
}

const writes = (element) => element?.matches?.("input, textarea, select") ?? false;

/** `actions` are {stop, search, begin, settings, focus}. */
export function listen(actions) {
  addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const plain = !command && !event.altKey && !writes(event.target) && !document.querySelector("dialog[open]");
    const found = [
      [event.key === "Escape" && !document.querySelector("dialog[open], .menu"), actions.stop],
      [command && !event.shiftKey && event.key.toLowerCase() === "k", actions.search],
      [command && event.shiftKey && event.key.toLowerCase() === "o", actions.begin],
      [command && event.key === ",", actions.settings],
      [plain && event.key === "/", actions.focus],
      [plain && event.key === "?", showKeys],
    ].find(([wanted]) => wanted);
    if (!found) return;
    if (event.key !== "Escape") event.preventDefault();
    found[1]();
  });
}
