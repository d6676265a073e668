// Tool calls: what the model wants done, and the form for what came of it.

import { h } from "./dom.js";
import { icon } from "./icons.js";

export function callsView(calls) {
  return h("ul", { class: "calls", "aria-label": "Tool calls" }, calls.map((call) =>
    h("li", { class: "call" },
      h("p", { class: "call-name" }, icon("tool"), `The model calls ${call.name}`),
      h("pre", { tabindex: "0", role: "region", "aria-label": `Arguments of ${call.name}` }, indented(call.arguments)))));
}

/** Asks for each call's result; `send` gets [{id, content}]. */
export function resultsForm(calls, send) {
  const inputs = calls.map((call) => h("textarea", { rows: "2", "aria-label": `Result of ${call.name}` }));
  const submit = (event) => {
    event.preventDefault();
    send(calls.map((call, index) => ({ id: call.id, content: inputs[index].value })));
  };
  return h("form", { class: "results", onsubmit: submit },
    h("p", { class: "note" }, "This page runs no tools. Write what the call gives, and the model goes on."),
    inputs, h("button", { class: "primary" }, "Send the result"));
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
