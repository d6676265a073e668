// What the parts of the page share, and how they hear of its changes.

export const state = {
  conversation: null, // the one that is shown
  records: [], // of all conversations
  live: new Map(), // answers under way, by conversation: {conversation, message, controller}
  models: [],
};

const bus = new EventTarget();

export const on = (name, heard) => bus.addEventListener(name, (event) => heard(event.detail));
export const tell = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));

/** The model that the shown conversation asks: its own choice if it is there, else the server's. */
export function model() {
  const wanted = state.conversation?.record.model;
  const chats = state.models.filter((each) => each.capabilities.includes("chat"));
  return chats.find((each) => each.name === wanted && each.status === "ready") ??
    chats.find((each) => each.default && each.status === "ready") ??
    chats.find((each) => each.status === "ready") ?? null;
}

export const embeddings = () =>
  state.models.find((each) => each.status === "ready" && each.capabilities.includes("embeddings")) ?? null;
