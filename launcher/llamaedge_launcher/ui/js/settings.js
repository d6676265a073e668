// How one conversation asks: system prompt, sampling, tools; and presets of that.

import { dialog, prompt } from "./dialog.js";
import { h, say, toast } from "./dom.js";
import { icon } from "./icons.js";
import { state } from "./state.js";
import * as store from "./store.js";

const NUMBERS = [
  ["temperature", "Temperature", "0 takes the likeliest words, higher is more varied", 0, 2, 0.1],
  ["top_p", "Top-p", "The share of likely words to choose among", 0, 1, 0.05],
  ["max_tokens", "Longest answer", "In tokens", 1, 1_000_000, 1],
  ["seed", "Seed", "The same number gives the same answer", 0, 4_294_967_295, 1],
  ["frequency_penalty", "Frequency penalty", "Above 0: fewer repetitions", -2, 2, 0.1],
  ["presence_penalty", "Presence penalty", "Above 0: more new words", -2, 2, 0.1],
];

export function openSettings() {
  dialog("Settings of this conversation", (element) => {
    const fields = new Map();
    const form = h("form", { class: "form", novalidate: true });
    form.append(...parts(fields));
    fillIn(fields, state.conversation.record.settings);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const settings = read(fields);
      if (!settings) return;
      state.conversation.record.settings = settings;
      element.close();
      if (!state.conversation.isEmpty) await state.conversation.keep();
      say("Saved.");
    });
    return [presetRow(fields), form];
  });
}

function parts(fields) {
  const field = (name, title, note, input) => {
    fields.set(name, input);
    input.id = `setting-${name}`;
    const hint = h("small", { id: `hint-${name}` }, note);
    input.setAttribute("aria-describedby", hint.id);
    return h("div", { class: "field" }, h("label", { for: input.id }, title), input, hint);
  };
  return [
    field("system", "System prompt", "What the model is told before the conversation", h("textarea", { rows: "4" })),
    h("div", { class: "columns" }, NUMBERS.map(([name, title, note, min, max, step]) => field(name, title, note,
      h("input", { type: "number", min: String(min), max: String(max), step: String(step), placeholder: "as the server has it" })))),
    field("tools", "Tools", "A JSON list as OpenAI's API takes it. The page shows the calls and asks you for the results",
      h("textarea", { rows: "3", class: "mono", spellcheck: "false" })),
    h("div", { class: "row end" }, h("button", { class: "primary" }, "Save")),
  ];
}

function fillIn(fields, settings) {
  for (const [name, input] of fields) input.value = settings[name] ?? "";
}

/** The settings in the fields; null, with a word to the person, if one is wrong. */
function read(fields) {
  const found = {};
  for (const [name, input] of fields) {
    const text = input.value.trim();
    if (!input.checkValidity()) {
      input.reportValidity();
      return null;
    }
    if (text) found[name] = input.type === "number" ? Number(text) : text;
  }
  if (found.tools && !isTools(found.tools)) {
    toast("The tools are not a JSON list. Mend them, or leave the field empty.");
    fields.get("tools").focus();
    return null;
  }
  return found;
}

function isTools(text) {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

function presetRow(fields) {
  const select = h("select", { "aria-label": "Preset" });
  const remove = h("button", { type: "button", class: "icon-button", "aria-label": "Delete the preset" }, icon("trash"));
  const list = async (chosen = "") => {
    const presets = await store.presets();
    const first = presets.length ? "Choose a preset" : "No presets yet";
    select.replaceChildren(h("option", { value: "" }, first), ...presets.map(({ name }) => h("option", { value: name }, name)));
    select.value = chosen;
    select.disabled = presets.length === 0;
    remove.disabled = !chosen;
  };
  select.addEventListener("change", async () => {
    remove.disabled = !select.value;
    const preset = (await store.presets()).find(({ name }) => name === select.value);
    if (preset) fillIn(fields, preset.settings);
  });
  remove.addEventListener("click", async () => { await store.deletePreset(select.value); await list(); });
  const add = h("button", { type: "button", class: "quiet", onclick: async () => {
    const settings = read(fields);
    const name = settings && await prompt("Save as a preset", "Name");
    if (!name) return;
    await store.putPreset({ name, settings });
    await list(name);
  } }, "Save as a preset");
  list();
  return h("div", { class: "row" }, select, remove, add);
}
