// Attached files: stored on the server, split, and searched for what a question is about.

import { Failure, ask, askIfThere, pause } from "./api.js";
import { identity } from "./dom.js";
import { embeddings, model } from "./state.js";

const PICTURE_SIDE = 1024; // pixels
const CHUNK = 200; // tokens
const SPLIT = { max_chunk_size_tokens: CHUNK, chunk_overlap_tokens: CHUNK / 4 };
const BEST = 4; // excerpts of a question
const SHARE = 3; // excerpts take one part of so many of the context
const CHARACTERS = 4; // of a token, about
const MARKDOWN = /\.(md|markdown)$/i;

/** What a picture becomes: {name, url}. Raises Failure with the reason. */
export async function readPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Failure(`${file.name} is no picture that this browser can read. Send a PNG or a JPEG.`);
  }
  const scale = Math.min(1, PICTURE_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return { name: file.name, url: canvas.toDataURL("image/jpeg", 0.85) };
}

/** A file on the server, split: {name, size, id, store, chunks}. Raises Failure. */
export async function readText(file, signal) {
  const form = new FormData();
  form.append("purpose", "assistants");
  form.append("file", isPdf(file) ? file : await asText(file));
  const { id, filename } = await ask("v1/files", { method: "POST", body: form, signal });
  const found = { name: file.name, size: file.size, id, store: null, chunks: null };
  try {
    if (embeddings()) found.store = await storeOf(id, file.name, signal);
    if (!found.store) found.chunks = await chunksOf(id, filename, signal);
  } catch (error) {
    await forget(found);
    throw error;
  }
  if (found.chunks?.length === 0) throw new Failure(`${file.name} holds no text.`);
  return found;
}

const isPdf = (file) => /\.pdf$/i.test(file.name) || file.type === "application/pdf";

/** The file in UTF-8, under a name that says whether it is Markdown. */
async function asText(file) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Failure(`${file.name} is not a text. Text, Markdown, PDF and pictures can be attached.`);
  }
  if (!text.trim()) throw new Failure(`${file.name} holds no text.`);
  const named = MARKDOWN.test(file.name) ? file.name.replace(MARKDOWN, ".md") : file.name.replace(/(\.txt)?$/i, ".txt");
  return new File([text], named, { type: "text/plain" });
}

async function chunksOf(id, filename, signal) {
  const json = { id, filename, chunk_capacity: CHUNK };
  return (await ask("v1/chunks", { method: "POST", json, signal })).chunks;
}

async function storeOf(id, name, signal) {
  const json = { name, file_ids: [id], chunking_strategy: { type: "static", static: SPLIT } };
  const made = await askIfThere("v1/vector_stores", { method: "POST", json, signal });
  if (!made) return null;
  for (;;) {
    const found = await ask(`v1/vector_stores/${made.id}`, { signal });
    if (found.file_counts.failed) throw new Failure(await whyNot(made.id, id, name));
    if (found.status === "completed") return made.id;
    await pause(300, signal);
  }
}

async function whyNot(store, id, name) {
  const { last_error: error } = await ask(`v1/vector_stores/${store}/files/${id}`);
  return `${name} cannot be searched: ${error?.message ?? "the server does not say why"}.`;
}

export async function forget(file) {
  if (file.store) await askIfThere(`v1/vector_stores/${file.store}`, { method: "DELETE" });
  await askIfThere(`v1/files/${file.id}`, { method: "DELETE" });
}

/** The parts of all files on the path that are about the question: {how, excerpts}, or null. */
export async function excerpts(path, question, signal) {
  const files = path.flatMap((message) => message.files ?? []);
  if (files.length === 0) return null;
  const room = ((model()?.context ?? 4096) / SHARE) * CHARACTERS;
  const whole = files.flatMap((file) => (file.chunks ?? []).map((text, at) => ({ file: file.name, part: `part ${at + 1}`, text })));
  const stores = files.filter((file) => file.store);
  const length = whole.reduce((sum, each) => sum + each.text.length, 0);
  if (stores.length === 0 && length <= room) {
    return { how: "The whole text goes to the model.", excerpts: whole };
  }
  const found = (await Promise.all(stores.map((file) => searched(file, question.content, signal)))).flat();
  const byWords = ranked(whole, question.content);
  const best = [...found.sort((a, b) => b.score - a.score), ...byWords].slice(0, BEST);
  const how = stores.length
    ? "Found by meaning, with the server's embedding model."
    : "Found by their words: the server has no embedding model. One started with --embeddings finds by meaning.";
  return { how, excerpts: fitting(best, room).map(({ file, part, text }) => ({ file, part, text })) };
}

async function searched(file, query, signal) {
  const json = { query: query.slice(0, 2000), max_num_results: BEST };
  const { data } = await ask(`v1/vector_stores/${file.store}/search`, { method: "POST", json, signal });
  return data.map((each) => ({
    file: file.name,
    part: `likeness ${each.score.toFixed(2)}`,
    text: each.content.map((part) => part.text).join("\n"),
    score: each.score,
  }));
}

const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];

/** By the words that they share with the query, rare ones counting more. */
export function ranked(chunks, query) {
  const bags = chunks.map((chunk) => new Set(wordsOf(chunk.text)));
  const wanted = [...new Set(wordsOf(query))];
  const weight = new Map(wanted.map((word) => {
    const having = bags.filter((bag) => bag.has(word)).length;
    return [word, Math.log(1 + chunks.length / (1 + having))];
  }));
  return chunks
    .map((chunk, at) => ({ ...chunk, score: wanted.reduce((sum, word) => sum + (bags[at].has(word) ? weight.get(word) : 0), 0) }))
    .sort((a, b) => b.score - a.score);
}

function fitting(best, room) {
  let left = room;
  return best.filter((each, at) => (left -= each.text.length) >= 0 || at === 0);
}

export const isPicture = (file) => file.type.startsWith("image/") && file.type !== "image/svg+xml";

export const temporary = (name) => ({ key: identity(), name });
