// The list of conversations: searched, renamed, pinned, deleted.

import { Conversation } from "./conversation.js";
import { menu, prompt } from "./dialog.js";
import { find, h, toast } from "./dom.js";
import { saveJson, saveMarkdown } from "./exchange.js";
import { icon } from "./icons.js";
import { on, state, tell } from "./state.js";
import * as store from "./store.js";

const DAY = 86_400_000;
const AGES = [["Today", DAY], ["This week", 7 * DAY], ["This month", 30 * DAY], ["Earlier", Infinity]];

export class Sidebar {
  #list = find("list");
  #search = find("search");
  #found = null; // ids of the conversations that a search found
  #searching = 0;

  /** `open` shows a conversation's record, `begin` a new conversation. */
  constructor({ open, begin }) {
    this.open = open;
    this.begin = begin;
    find("new").append(icon("plus"), "New conversation");
    find("new").addEventListener("click", () => { begin(); this.hide(); });
    find("open-sidebar").append(icon("menu"));
    find("open-sidebar").addEventListener("click", () => this.reveal());
    find("close-sidebar").append(icon("close"));
    find("close-sidebar").addEventListener("click", () => this.hide());
    find("veil").addEventListener("click", () => this.hide());
    this.#search.addEventListener("input", () => this.#find());
    on("path", () => this.refresh());
    on("records", () => this.refresh());
  }

  reveal() {
    document.body.classList.add("sidebar-open");
    find("veil").hidden = false;
    find("close-sidebar").focus();
  }

  hide() {
    document.body.classList.remove("sidebar-open");
    find("veil").hidden = true;
  }

  focusSearch() {
    this.reveal();
    this.#search.focus();
    this.#search.select();
  }

  refresh() {
    const shown = state.records
      .filter((record) => this.#found === null || this.#found.has(record.id))
      .sort((a, b) => b.updated - a.updated);
    const groups = grouped(shown);
    const parts = groups.map(([title, records]) => h("section", { "aria-label": title },
      h("h2", {}, title), h("ul", {}, records.map((record) => this.#item(record)))));
    if (!shown.length) {
      parts.push(h("p", { class: "note" }, this.#found ? "Nothing has these words." : "Your conversations will be listed here."));
    }
    this.#list.replaceChildren(...parts);
  }

  #item(record) {
    const current = state.conversation?.record.id === record.id;
    const more = h("button", {
      type: "button", class: "icon-button small", "aria-label": `More for ${record.title}`, "aria-haspopup": "menu", "aria-expanded": "false",
    }, icon("more"));
    more.addEventListener("click", () => this.#menu(more, record));
    return h("li", { class: current ? "item current" : "item" },
      h("button", { type: "button", class: "item-title", "aria-current": current ? "true" : null, onclick: () => { this.open(record); this.hide(); } },
        record.pinned && icon("pin"), h("span", {}, record.title),
        state.live.has(record.id) && h("span", { class: "dot", role: "img", "aria-label": "an answer is under way" })),
      more);
  }

  #menu(anchor, record) {
    menu(anchor, [
      ["edit", "Rename", () => this.#rename(record)],
      ["pin", record.pinned ? "Unpin" : "Pin", () => this.#change(record, { pinned: !record.pinned })],
      ["save", "Export as Markdown", async () => saveMarkdown(await Conversation.load(record))],
      ["save", "Export as JSON", async () => saveJson([await Conversation.load(record)])],
      ["trash", "Delete", () => this.#delete(record), true],
    ]);
  }

  async #rename(record) {
    const title = await prompt("Rename", "Title", record.title);
    if (title) await this.#change(record, { title });
  }

  async #change(record, change) {
    Object.assign(record, change);
    await store.putConversation(record);
    tell("records");
  }

  async #delete(record) {
    const kept = await Conversation.load(record);
    state.live.get(record.id)?.controller.abort();
    await store.deleteConversation(record.id);
    state.records = state.records.filter((each) => each.id !== record.id);
    if (state.conversation.record.id === record.id) this.begin();
    tell("records");
    toast(`“${record.title}” is deleted.`, { action: "Undo", run: async () => {
      await store.putAll(record, [...kept.messages.values()]);
      state.records.push(record);
      this.open(record);
    } });
  }

  async #find() {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const turn = this.#searching += 1;
    if (words.length === 0) this.#found = null;
    else {
      const texts = new Map(state.records.map((record) => [record.id, record.title]));
      for (const message of await store.allMessages()) {
        texts.set(message.conversation, `${texts.get(message.conversation)}\n${message.content}`);
      }
      if (turn !== this.#searching) return;
      const has = (text) => words.every((word) => text.toLowerCase().includes(word));
      this.#found = new Set([...texts].filter(([, text]) => has(text)).map(([id]) => id));
    }
    this.refresh();
  }
}

function grouped(records) {
  const groups = new Map([["Pinned", records.filter((record) => record.pinned)]]);
  for (const record of records) {
    if (record.pinned) continue;
    const [title] = AGES.find(([, age]) => Date.now() - record.updated < age);
    groups.set(title, [...(groups.get(title) ?? []), record]);
  }
  return [...groups].filter(([, each]) => each.length);
}
