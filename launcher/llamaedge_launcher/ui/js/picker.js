// Which model answers, and what the server has.

import { ask } from "./api.js";
import { h, say, toast } from "./dom.js";
import { model, on, state, tell } from "./state.js";

/** Asks the server for its models. */
export async function refreshModels() {
  state.models = (await ask("api/models")).data;
  tell("models");
}

export async function load(name) {
  const known = state.models.find((each) => each.name === name);
  if (known) known.status = "loading";
  tell("models");
  say(`Loading ${name}.`);
  try {
    await ask("api/models/load", { method: "POST", json: { model: name } });
    say(`${name} is ready.`);
    return true;
  } catch (error) {
    toast(error.message, { seconds: 12 });
    return false;
  } finally {
    await refreshModels();
  }
}

/** The choice of a model, at the top. */
export function picker() {
  const select = h("select", { class: "picker", "aria-label": "Model" });
  const refresh = () => {
    const chats = state.models.filter((each) => each.capabilities.includes("chat") || each.status === "available");
    select.replaceChildren(...chats.map((each) => h("option", {
      value: each.name, disabled: each.status === "loading" || each.status === "unloading",
    }, each.status === "ready" ? short(each.name) : `${short(each.name)} (${WORDS[each.status]})`)));
    if (!chats.length) select.append(h("option", { value: "" }, "No model"));
    select.value = model()?.name ?? chats[0]?.name ?? "";
    select.disabled = chats.length < 2;
    select.title = select.value;
  };
  select.addEventListener("change", async () => {
    const { conversation } = state;
    const chosen = state.models.find((each) => each.name === select.value);
    if (chosen.status !== "ready" && !await load(chosen.name)) return;
    conversation.record.model = chosen.name;
    if (!conversation.isEmpty) await conversation.keep();
    tell("models");
    say(`${chosen.name} answers from now on.`);
  });
  on("models", refresh);
  on("shown", refresh);
  return select;
}

export const WORDS = { available: "not loaded", loading: "loading…", ready: "ready", unloading: "unloading…", failed: "failed" };

const short = (name) => name.split("/").at(-1).replace(/\.gguf$/i, "");
