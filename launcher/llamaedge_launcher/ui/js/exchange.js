// Conversations as files: out as JSON or Markdown, in from either.

import { Failure } from "./api.js";
import { Conversation, NEW_TITLE } from "./conversation.js";
import { save } from "./dom.js";

const FORMAT = "llamaedge-conversations";
const ROLES = { user: "You", assistant: "Answer", tool: "Result of a tool" };
const KEPT = ["content", "reasoning", "calls", "call", "files", "pictures", "sources", "model", "finish", "usage", "speed", "first", "error"];
const PICTURE = /^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]*$/;

const fileName = (title) => title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "conversation";

export function saveJson(conversations) {
  const data = {
    format: FORMAT,
    version: 1,
    conversations: conversations.map(({ record, messages }) => ({
      ...record, messages: [...messages.values()].map(({ html, notice, ...rest }) => rest),
    })),
  };
  const name = conversations.length === 1 ? fileName(conversations[0].record.title) : "conversations";
  save(`${name}.json`, JSON.stringify(data, null, 1), "application/json");
}

export function saveMarkdown(conversation) {
  const parts = conversation.path().map((message) => `## ${ROLES[message.role]}\n\n${message.content}\n`);
  const { title, settings } = conversation.record;
  const system = settings.system ? `## System prompt\n\n${settings.system}\n\n` : "";
  save(`${fileName(title)}.md`, `# ${title}\n\n${system}${parts.join("\n")}`, "text/markdown");
}

/** The conversations of a file that this page wrote. Raises Failure with the reason. */
export async function readFile(file) {
  const text = await file.text();
  const found = /\.json$/i.test(file.name) ? fromJson(text) : [fromMarkdown(text)];
  await Promise.all(found.map((each) => each.keep(...each.messages.values())));
  return found;
}

function fromJson(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Failure("The file is not JSON. Choose one that this page exported.");
  }
  if (data?.format !== FORMAT || !Array.isArray(data.conversations)) {
    throw new Failure("The file has no conversations of this page. Choose one that it exported.");
  }
  return data.conversations.map(imported);
}

/** A copy with new ids, of what is known alone: no HTML of a file gets onto the page. */
function imported(given) {
  const copy = Conversation.begin(plainSettings(given.settings), typeof given.model === "string" ? given.model : null);
  copy.record.title = String(given.title ?? NEW_TITLE).slice(0, 200);
  copy.record.pinned = given.pinned === true;
  const added = new Map();
  const messages = (given.messages ?? []).filter((each) => each.role in ROLES).sort((a, b) => a.created - b.created);
  for (const each of messages) {
    const kept = Object.fromEntries(KEPT.filter((name) => each[name] !== undefined).map((name) => [name, each[name]]));
    kept.pictures = (each.pictures ?? []).filter((picture) => PICTURE.test(picture.url));
    const status = each.role === "assistant" ? { status: each.status === "streaming" ? "stopped" : each.status ?? "done" } : {};
    const message = copy.add(each.role, String(each.content ?? ""), added.get(each.parent) ?? null, { ...kept, ...status });
    added.set(each.id, message);
  }
  copy.record.title = String(given.title ?? copy.record.title).slice(0, 200);
  copy.record.leaf = added.get(given.leaf)?.id ?? copy.record.leaf;
  return copy;
}

const plainSettings = (given) => Object.fromEntries(
  Object.entries(given ?? {}).filter(([, value]) => ["string", "number"].includes(typeof value)));

function fromMarkdown(text) {
  const [head, ...sections] = text.split(/^## (?=(?:You|Answer|System prompt|Result of a tool)\s*$)/m);
  if (sections.length === 0) throw new Failure("The file has no headings You and Answer. Choose one that this page exported.");
  const copy = Conversation.begin();
  for (const section of sections) {
    const [, name, content] = /^([^\n]*)\n([\s\S]*)$/.exec(section) ?? [null, section, ""];
    const role = Object.keys(ROLES).find((each) => ROLES[each] === name.trim());
    if (!role) copy.record.settings.system = content.trim();
    else copy.add(role, content.trim(), copy.leaf, role === "assistant" ? { status: "done" } : {});
  }
  copy.record.title = /^# (.*)$/m.exec(head)?.[1].slice(0, 200) ?? copy.record.title;
  return copy;
}
