// The first thing that a visitor sees.

import { h } from "./dom.js";
import { tell } from "./state.js";

const EXAMPLES = [
  ["Explain something", "Explain in three short sentences why the sky is blue."],
  ["Write some code", "Write a Python function that tells whether a word is a palindrome."],
  ["Change a text", "Make this more polite: Send me the report today."],
];

export function welcome() {
  return h("div", { class: "welcome" },
    h("h2", {}, "What would you like to know?"),
    h("p", {}, "A language model answers, on the machine that serves this page. Your conversations are kept in this browser and nowhere else."),
    h("ul", { class: "examples", "aria-label": "Examples" }, EXAMPLES.map(([title, text]) => h("li", {},
      h("button", { type: "button", class: "example", onclick: () => tell("ask", text) },
        h("strong", {}, title), h("span", {}, text))))),
    h("p", { class: "hint" }, "Enter sends, Shift+Enter begins a new line. Files go in by the clip, or drop them here."));
}
