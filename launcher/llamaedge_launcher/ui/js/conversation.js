// One conversation: a tree of messages, of which one path is shown.

import { identity } from "./dom.js";
import * as store from "./store.js";

export const NEW_TITLE = "New conversation";

export class Conversation {
  constructor(record, messages = []) {
    this.record = record;
    const ordered = messages.toSorted((a, b) => a.created - b.created);
    this.messages = new Map(ordered.map((message) => [message.id, message]));
  }

  static begin(settings = {}, model = null) {
    const now = Date.now();
    return new Conversation({
      id: identity(), title: NEW_TITLE, pinned: false, created: now, updated: now, leaf: null, settings, model,
    });
  }

  static async load(record) {
    return new Conversation(record, await store.messagesOf(record.id));
  }

  get isEmpty() {
    return this.messages.size === 0;
  }

  get leaf() {
    return this.messages.get(this.record.leaf) ?? null;
  }

  /** The messages from the first to `end`, by their parents. */
  path(end = this.leaf) {
    const found = [];
    const seen = new Set();
    for (let each = end; each && !seen.has(each.id); each = this.messages.get(each.parent)) {
      seen.add(each.id);
      found.push(each);
    }
    return found.reverse();
  }

  /** The versions of a message, in the order of time. */
  versions(message) {
    return [...this.messages.values()]
      .filter((each) => each.parent === message.parent && each.role === message.role)
      .sort((a, b) => a.created - b.created);
  }

  /** Shows the path through `message` that was written last. */
  show(message) {
    let end = message;
    for (;;) {
      const next = [...this.messages.values()].filter((each) => each.parent === end.id);
      if (next.length === 0) break;
      end = next.reduce((a, b) => (a.created >= b.created ? a : b));
    }
    this.record.leaf = end.id;
    return this.keep();
  }

  /** A new message behind `parent`, which is shown from now on. */
  add(role, content, parent, more = {}) {
    const last = Math.max(0, ...[...this.messages.values()].map((each) => each.created));
    const created = Math.max(Date.now(), last + 1);
    const message = {
      id: identity(), conversation: this.record.id, parent: parent?.id ?? null, role, content, created, ...more,
    };
    this.messages.set(message.id, message);
    this.record.leaf = message.id;
    if (role === "user" && this.record.title === NEW_TITLE) this.record.title = titleOf(content);
    return message;
  }

  async keep(...messages) {
    this.record.updated = Date.now();
    await store.putAll(this.record, messages);
  }

  /** The path up to `message` as a conversation of its own. */
  async branch(message) {
    const copy = Conversation.begin(structuredClone(this.record.settings), this.record.model);
    copy.record.title = `${this.record.title} (branch)`;
    let parent = null;
    for (const each of this.path(message)) {
      const { id, conversation, parent: before, ...rest } = each;
      parent = copy.add(each.role, each.content, parent, { ...rest, created: Date.now() });
    }
    await copy.keep(...copy.messages.values());
    return copy;
  }
}

function titleOf(text) {
  const line = text.trim().split("\n", 1)[0].replace(/\s+/g, " ");
  return (line.length > 60 ? `${line.slice(0, 57).trimEnd()}…` : line) || NEW_TITLE;
}
