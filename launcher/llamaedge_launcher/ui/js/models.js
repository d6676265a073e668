// The models panel: what is here, what it takes, and what the hub has.

import { ask, request } from "./api.js";
import { dialog, prompt } from "./dialog.js";
import { countText, h, say, sizeText, toast } from "./dom.js";
import { icon } from "./icons.js";
import { WORDS, load, refreshModels } from "./picker.js";
import { on, state } from "./state.js";
import { events } from "./stream.js";

const pulls = new Map(); // under way, by name: {status, completed, total, speed, controller}
let redraw = () => {};

export function openModels() {
  dialog("Models", () => {
    const list = h("ul", { class: "models", "aria-label": "Models on this machine" });
    const fetching = h("ul", { class: "models", "aria-label": "Models that are being fetched" });
    redraw = () => {
      list.replaceChildren(...state.models.map(row));
      fetching.replaceChildren(...[...pulls].map(([name, pull]) => pullRow(name, pull)));
      fetching.hidden = pulls.size === 0;
    };
    redraw();
    refreshModels().catch((error) => toast(error.message));
    return [fetching, list, search()];
  }, { wide: true, onclose: () => { redraw = () => {}; } });
}

on("models", () => redraw());

function row(model) {
  const facts = [
    model.size && sizeText(model.size), model.architecture, model.quantization,
    model.context && countText(model.context, "token of context", "tokens of context"),
    model.memory && `${sizeText(model.memory)} in memory`, model.default && "the server's first",
  ].filter(Boolean).join(" · ");
  return h("li", { class: "model" },
    h("div", { class: "model-about" },
      h("p", { class: "model-name" }, model.name, h("span", { class: `badge ${model.status}` }, WORDS[model.status])),
      h("p", { class: "note" }, [facts, model.capabilities.join(", ")].filter(Boolean).join(" · ")),
      model.message && h("p", { class: "problem" }, model.message)),
    h("div", { class: "row" }, buttons(model)));
}

function buttons(model) {
  const act = (label, run, kind = "quiet") =>
    h("button", { type: "button", class: kind, "aria-label": `${label} ${model.name}`, onclick: run }, label);
  if (model.status === "ready") return [act("Unload", () => change("unload", model.name))];
  if (model.status === "available" || model.status === "failed") {
    const deletion = model.fetched ? [act("Delete", () => remove(model), "quiet danger")] : []; // a file of one's own stays
    return [act("Load", () => load(model.name)), ...deletion];
  }
  return [];
}

async function change(what, name) {
  try {
    await ask(`api/models/${what}`, { method: "POST", json: { model: name } });
    say(`${name}: done.`);
  } catch (error) {
    toast(error.message, { seconds: 12 });
  }
  await refreshModels();
}

function remove(model) {
  dialog("Delete the model?", (element) => [
    h("p", {}, `${model.name} is taken off this machine${model.size ? `, which frees ${sizeText(model.size)}` : ""}. It can be fetched again.`),
    h("div", { class: "row end" },
      h("button", { type: "button", class: "quiet", onclick: () => element.close() }, "Keep it"),
      h("button", { type: "button", class: "primary danger", onclick: async () => {
        element.close();
        try {
          await ask(`api/models/${encodeURIComponent(model.name)}`, { method: "DELETE" });
          say(`${model.name} is deleted.`);
        } catch (error) {
          toast(error.message);
        }
        await refreshModels();
      } }, "Delete")),
  ]);
}

function search() {
  const results = h("ul", { class: "models", "aria-label": "Models on the hub" });
  const input = h("input", { type: "search", placeholder: "Search Hugging Face, or name ORG/REPO:QUANTIZATION", "aria-label": "Search for models", autocomplete: "off" });
  const submit = async (event) => {
    event.preventDefault();
    const words = input.value.trim();
    if (!words) return;
    results.replaceChildren(h("li", { class: "note" }, "Searching…"));
    try {
      const { data } = await ask(`api/models/search?q=${encodeURIComponent(words)}&limit=20`);
      results.replaceChildren(...(data.length ? data.map(hit) : [h("li", { class: "note" }, "The hub has nothing of that name.")]));
    } catch (error) {
      results.replaceChildren(h("li", { class: "problem", role: "alert" }, error.message));
    }
    if (words.includes("/")) results.prepend(hit({ name: words }));
  };
  return [h("h3", {}, "Fetch another"), h("form", { class: "row", role: "search", onsubmit: submit }, input, h("button", { class: "primary" }, "Search")), results];
}

function hit(found) {
  const facts = [
    found.downloads !== undefined && countText(found.downloads, "download"),
    found.likes !== undefined && countText(found.likes, "like"),
    found.updated && `changed ${String(found.updated).slice(0, 10)}`,
    found.gated && "asks for a licence",
  ].filter(Boolean).join(" · ");
  return h("li", { class: "model" },
    h("div", { class: "model-about" }, h("p", { class: "model-name" }, found.name), facts && h("p", { class: "note" }, facts)),
    h("div", { class: "row" },
      !found.name.includes(":") && h("button", { type: "button", class: "quiet", "aria-label": `Choose a quantization of ${found.name}`, onclick: async () => {
        const quantization = await prompt("Quantization", "Such as Q4_K_M", "", { action: "Fetch" });
        if (quantization) pull(`${found.name}:${quantization}`);
      } }, "Choose…"),
      h("button", { type: "button", class: "quiet", "aria-label": `Fetch ${found.name}`, onclick: () => pull(found.name) }, "Fetch")));
}

function pullRow(name, pull) {
  const known = pull.total > 0;
  const share = known ? Math.floor((100 * pull.completed) / pull.total) : 0;
  const text = known
    ? `${sizeText(pull.completed)} of ${sizeText(pull.total)}${pull.speed ? `, ${sizeText(pull.speed)}/s` : ""}`
    : `${pull.status}…`;
  const bar = h("progress", { max: "100", "aria-label": `Fetching ${name}` });
  if (known) bar.value = share;
  return h("li", { class: "model" },
    h("div", { class: "model-about" }, h("p", { class: "model-name" }, name), bar, h("p", { class: "note" }, text)),
    h("button", { type: "button", class: "quiet", "aria-label": `Cancel fetching ${name}`, onclick: () => pull.controller.abort() }, "Cancel"));
}

async function pull(name) {
  if (pulls.has(name)) return;
  const state = { status: "resolving", completed: 0, total: 0, speed: 0, controller: new AbortController() };
  pulls.set(name, state);
  redraw();
  try {
    const options = { method: "POST", json: { model: name }, signal: state.controller.signal };
    const response = await request("api/models/pull", options);
    for await (const event of events(response, { done: false })) {
      Object.assign(state, event);
      redraw();
    }
    toast(`${state.name ?? name} is here. Load it to use it.`);
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, { seconds: 12 });
  }
  pulls.delete(name);
  await refreshModels().catch((error) => toast(error.message));
}
