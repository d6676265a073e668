// Answers: asked for, stopped, taken up again.

import { Failure, pause, ready } from "./api.js";
import { addCalls, chat } from "./stream.js";
import { asMessages } from "./prompt.js";
import { model, state, tell } from "./state.js";
import * as store from "./store.js";

const TRIES = 6;
const KEPT_EVERY = 1000; // milliseconds, while an answer grows
const RECOVERY = 60; // seconds that a server may take to be ready again

/** Sends a question with what is attached, and gets an answer to it. */
export async function send(content, attached = {}) {
  const { conversation } = state;
  const question = conversation.add("user", content, conversation.leaf, attached);
  await answer(conversation, question);
}

/** Another answer to the same question. */
export async function regenerate(message) {
  const { conversation } = state;
  await answer(conversation, conversation.messages.get(message.parent));
}

/** The same question in other words, as a version of it. */
export async function resend(message, content) {
  const { conversation } = state;
  const { files, pictures } = message;
  const before = conversation.messages.get(message.parent) ?? null;
  await answer(conversation, conversation.add("user", content, before, { files, pictures }));
}

/** Gives the results of calls, and lets the model go on. */
export async function giveResults(message, results) {
  const { conversation } = state;
  let last = message;
  const added = results.map(({ id, content }) => (last = conversation.add("tool", content, last, { call: id })));
  await conversation.keep(...added);
  await answer(conversation, last);
}

export async function resume(message) {
  await generate(state.conversation, message);
}

export function stop(conversation = state.conversation) {
  state.live.get(conversation.record.id)?.controller.abort();
}

async function answer(conversation, question) {
  const message = conversation.add("assistant", "", question, { model: model()?.id ?? null });
  await conversation.keep(question, message);
  await generate(conversation, message);
}

async function generate(conversation, message) {
  const id = conversation.record.id;
  state.live.get(id)?.controller.abort();
  const controller = new AbortController();
  state.live.set(id, { conversation, message, controller });
  Object.assign(message, { status: "streaming", error: null, notice: null, finish: null, html: undefined });
  tell("path", conversation);
  const watch = new Watch(message);
  try {
    await persist(conversation, message, controller.signal, watch);
    message.status = "done";
  } catch (error) {
    message.status = error.name === "AbortError" ? "stopped" : "failed";
    message.error = error.name === "AbortError" ? null : error.message;
    if (!(error instanceof Failure) && error.name !== "AbortError") console.error(error);
  }
  watch.end();
  message.notice = null;
  if (state.live.get(id)?.controller === controller) state.live.delete(id);
  await conversation.keep(message);
  tell("path", conversation);
  tell("ended", message);
}

/** The answer, whatever becomes of the connection: what has come is kept, and continued. */
async function persist(conversation, message, signal, watch) {
  for (let attempt = 1; ; attempt += 1) {
    const had = message.content.length;
    try {
      await once(conversation, message, signal, watch);
      return;
    } catch (error) {
      if (!(error instanceof Failure) || !error.passes || attempt === TRIES) throw error;
      if (message.content.length > had) attempt = 1;
      message.notice = error.status === 429
        ? "The server is busy. Waiting for a place…"
        : "The connection was lost. Trying again…";
      tell("piece", message);
      await pause(Math.max(error.after * 1000, 500 * attempt), signal);
      if (!await ready(RECOVERY, signal)) throw error;
    }
  }
}

async function once(conversation, message, signal, watch) {
  const body = await asMessages(conversation, message, signal);
  watch.begin();
  let kept = Date.now();
  await chat(body, signal, (part) => {
    message.notice = null;
    watch.take(part);
    message.content += part.content ?? "";
    message.reasoning = (message.reasoning ?? "") + (part.reasoning ?? "");
    if (part.calls?.length) addCalls(message.calls ??= [], part.calls);
    message.finish = part.finish ?? message.finish;
    message.model = part.model ?? message.model;
    tell("piece", message);
    if (Date.now() - kept > KEPT_EVERY) {
      kept = Date.now();
      store.putMessage({ ...message });
    }
  });
}

/** Takes the times of an answer. */
class Watch {
  #message;
  #asked = 0;
  #first = 0;
  #pieces = 0;

  constructor(message) {
    this.#message = message;
  }

  begin() {
    this.#asked = performance.now();
    this.#first = 0;
    this.#pieces = 0;
  }

  take(part) {
    if (part.usage) this.#message.usage = part.usage;
    if (!part.content && !part.reasoning && !part.calls?.length) return;
    this.#pieces += 1;
    if (!this.#first) {
      this.#first = performance.now();
      this.#message.first = (this.#first - this.#asked) / 1000;
    }
    this.#message.speed = this.#speed(this.#pieces);
  }

  end() {
    const made = this.#message.usage?.completion_tokens;
    if (this.#first && made && this.#message.status === "done") this.#message.speed = this.#speed(made);
  }

  #speed(tokens) {
    const seconds = (performance.now() - this.#first) / 1000;
    return tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : undefined;
  }
}
