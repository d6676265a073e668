// Puts the page together.

import { Failure, onKeyWanted } from "./api.js";
import { giveResults, regenerate, resend, resume, send, stop } from "./chat.js";
import { Composer } from "./composer.js";
import { Conversation, NEW_TITLE } from "./conversation.js";
import { askForKey } from "./dialog.js";
import { find, h, toast } from "./dom.js";
import { openEvents } from "./events.js";
import { readFile, saveJson } from "./exchange.js";
import { showGauge } from "./gauge.js";
import { icon } from "./icons.js";
import { listen, showKeys } from "./keyboard.js";
import { openModels } from "./models.js";
import { picker, refreshModels } from "./picker.js";
import { openSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { on, state, tell } from "./state.js";
import * as store from "./store.js";
import { nextTheme, themeLabel } from "./theme.js";
import { Thread, sayEnd } from "./thread.js";

onKeyWanted(askForKey);

const thread = new Thread({
  edit: (view) => thread.edit(view, guarded(resend)),
  regenerate: guarded(regenerate),
  resume: guarded(resume),
  results: guarded(giveResults),
  branch: guarded(async (message) => {
    const copy = await state.conversation.branch(message);
    state.records.push(copy.record);
    show(copy);
    toast("This is a new conversation. The old one stays as it is.");
  }),
  version: guarded(async (message) => {
    await state.conversation.show(message);
    thread.show();
    tell("shown");
  }),
});

const composer = new Composer({
  send: guarded((text, attached) => { thread.followAgain(); return send(text, attached); }),
  stop: () => stop(),
  editLast: () => find("thread").querySelector(".message.user:nth-last-of-type(-n+2) [aria-label^='Edit']")?.click(),
});

const sidebar = new Sidebar({ open: guarded(open), begin });

/** What cannot be done is said in words. */
function guarded(run) {
  return async (...given) => {
    try {
      await run(...given);
    } catch (error) {
      toast(error.message);
      if (!(error instanceof Failure)) console.error(error);
    }
  };
}

function begin() {
  const last = state.conversation?.record;
  show(Conversation.begin({}, last?.model ?? null));
  composer.focus();
}

async function open(record) {
  show(state.live.get(record.id)?.conversation ?? await Conversation.load(record));
}

function show(conversation) {
  state.conversation = conversation;
  for (const message of conversation.messages.values()) {
    if (message.status === "streaming" && !state.live.has(conversation.record.id)) message.status = "stopped";
  }
  sessionStorage.setItem("conversation", conversation.record.id);
  thread.show({ afresh: true });
  title();
  composer.refresh();
  tell("records");
  tell("shown");
}

function title() {
  const name = state.conversation.record.title;
  find("title").textContent = name;
  document.title = name === NEW_TITLE ? "LlamaEdge" : `${name} · LlamaEdge`;
}

on("path", (conversation) => {
  if (!state.records.includes(conversation.record)) state.records.push(conversation.record);
  if (conversation !== state.conversation) return;
  thread.show();
  title();
});
on("piece", (message) => thread.refresh(message));
on("ended", sayEnd);
on("ask", (text) => composer.send(text, {}));
on("records", title);

function button(shape, label, run) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: run }, icon(shape));
}

function buttons() {
  find("top-right").append(
    picker(),
    button("box", "Models", openModels),
    button("pulse", "What the server does now", openEvents),
    button("settings", "Settings of this conversation", openSettings));
  const files = h("input", { type: "file", class: "hidden", accept: ".json,.md", tabindex: "-1", "aria-label": "Conversations to import" });
  files.addEventListener("change", guarded(async () => {
    const found = (await Promise.all([...files.files].map(readFile))).flat();
    files.value = "";
    state.records.push(...found.map((each) => each.record));
    show(found.at(-1));
  }));
  const colours = button("theme", themeLabel(), () => {
    nextTheme();
    colours.setAttribute("aria-label", themeLabel());
    colours.title = themeLabel();
  });
  find("sidebar-bottom").append(
    button("open", "Import conversations", () => files.click()),
    button("save", "Export all conversations", guarded(async () => saveJson(await Promise.all(state.records.map(Conversation.load))))),
    colours, button("help", "Keys", showKeys), files);
}

async function start() {
  buttons();
  showGauge();
  listen({
    stop: () => stop(),
    search: () => sidebar.focusSearch(),
    begin,
    settings: openSettings,
    focus: () => composer.focus(),
  });
  state.records = await store.conversations();
  const last = state.records.find((record) => record.id === sessionStorage.getItem("conversation"));
  if (last) await open(last);
  else begin();
  await refreshModels();
}

guarded(start)();
