// The server, asked. Every refusal becomes a Failure that says what to do.

const BASE = new URL("./", document.baseURI);
const KEY = "api-key";

export class Failure extends Error {
  constructor(message, { status = 0, code = null, after = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, after });
  }

  /** Whether the same request may do better in a moment. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503;
  }
}

const ADVICE = {
  context_length_exceeded: "Start a new conversation, send less, or serve the model with a larger --ctx-size.",
  model_not_found: "Choose another model at the top.",
  overloaded: "Many requests wait already. Try again in a moment.",
  guest_ended: "The server starts again by itself. Try again in a moment.",
};

let askForKey = async () => false;

/** `ask` is called where the server wants a key; it answers whether there is a new one. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

export const keepKey = (key) => sessionStorage.setItem(KEY, key);

function dressed(options) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  if (options.json !== undefined) headers.set("Content-Type", "application/json");
  return {
    ...options,
    headers,
    body: options.json === undefined ? options.body : JSON.stringify(options.json),
    credentials: "omit",
  };
}

/** The answer. Raises Failure for everything that is not a success. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(new URL(path, BASE), dressed(options));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  if (response.status === 401 && await askForKey(sessionStorage.getItem(KEY) !== null)) return request(path, options);
  throw await failure(response);
}

export async function ask(path, options = {}) {
  const response = await request(path, options);
  return response.json();
}

/** `ask`, or null where the server has no such path. */
export async function askIfThere(path, options = {}) {
  try {
    return await ask(path, options);
  } catch (error) {
    if (error.status === 404 || error.status === 405 || error.status === 501) return null;
    throw error;
  }
}

async function failure(response) {
  let found = {};
  try {
    found = (await response.json()).error ?? {};
  } catch { /* not JSON: its status has to do */ }
  const after = Number(response.headers.get("retry-after")) || 0;
  return told(found, response.status, after);
}

/** A Failure of OpenAI's error object. */
export function told(error, status, after = 0) {
  const text = error.message ?? `The server answered ${status} and nothing else.`;
  const sentence = text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
  const code = error.code ?? null;
  const advice = ADVICE[code];
  return new Failure(advice ? `${sentence} ${advice}` : sentence, { status, code, after });
}

/** Until the server is ready, at most `seconds`; false if it is not. */
export async function ready(seconds, signal) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    try {
      const response = await fetch(new URL("health", BASE), { signal });
      if (response.ok) return true;
    } catch (error) {
      if (error.name === "AbortError") throw error;
    }
    await pause(500, signal);
  }
  return false;
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(new DOMException("stopped", "AbortError")); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
