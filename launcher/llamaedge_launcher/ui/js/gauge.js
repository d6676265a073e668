// How much of the context is used, and how fast the answer came.

import { find, h } from "./dom.js";
import { model, on, state } from "./state.js";

export function showGauge() {
  on("piece", refresh);
  on("path", refresh);
  on("shown", refresh);
  on("models", refresh);
}

function refresh() {
  const path = state.conversation.path();
  const answer = path.findLast((message) => message.role === "assistant");
  find("speed").textContent = answer?.status === "streaming" && answer.speed ? `${answer.speed.toFixed(1)} tokens/s` : "";
  const used = path.findLast((message) => message.usage)?.usage.total_tokens;
  const context = model()?.context;
  const gauge = find("gauge");
  gauge.hidden = !used || !context;
  if (gauge.hidden) return;
  const share = Math.min(1, used / context);
  const text = `${used.toLocaleString("en")} of ${context.toLocaleString("en")} tokens`;
  gauge.replaceChildren(
    h("meter", { min: "0", max: "1", high: "0.85", value: share, "aria-label": `Context: ${text}`, title: "How much of the model's context this conversation takes" }),
    h("span", { "aria-hidden": "true" }, text));
}
