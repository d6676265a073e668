// Conversations, messages and presets in this browser's IndexedDB.

const NAME = "llamaedge";
const STORES = {
  conversations: { key: "id" },
  messages: { key: "id", index: "conversation" },
  presets: { key: "name" },
};

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      for (const [name, { key, index }] of Object.entries(STORES)) {
        const store = asked.result.createObjectStore(name, { keyPath: key });
        if (index) store.createIndex(index, index);
      }
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opening;
}

async function run(names, mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, mode);
    const asked = work(transaction);
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

const all = (name) => run([name], "readonly", (each) => each.objectStore(name).getAll());
const put = (name, value) => run([name], "readwrite", (each) => each.objectStore(name).put(value));

export const conversations = () => all("conversations");
export const putConversation = (conversation) => put("conversations", conversation);
export const putMessage = (message) => put("messages", message);
export const allMessages = () => all("messages");
export const presets = () => all("presets");
export const putPreset = (preset) => put("presets", preset);
export const deletePreset = (name) =>
  run(["presets"], "readwrite", (each) => each.objectStore("presets").delete(name));

export const messagesOf = (conversation) => run(["messages"], "readonly", (each) =>
  each.objectStore("messages").index("conversation").getAll(conversation));

/** All at once, or nothing. */
export const putAll = (conversation, messages) => run(["conversations", "messages"], "readwrite", (each) => {
  each.objectStore("conversations").put(conversation);
  for (const message of messages) each.objectStore("messages").put(message);
});

export const deleteConversation = (id) => run(["conversations", "messages"], "readwrite", (each) => {
  each.objectStore("conversations").delete(id);
  const asked = each.objectStore("messages").index("conversation").openKeyCursor(id);
  asked.onsuccess = () => {
    if (!asked.result) return;
    each.objectStore("messages").delete(asked.result.primaryKey);
    asked.result.continue();
  };
});
