// A chat request out of a conversation.

import { excerpts } from "./files.js";
import { model } from "./state.js";

const NUMBERS = ["temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty"];

/** The request whose answer is `message`; with some of it there already, the request to go on. */
export async function asMessages(conversation, message, signal) {
  const { settings } = conversation.record;
  const path = conversation.path(message).slice(0, -1);
  const question = path.findLast((each) => each.role === "user");
  if (question && question.sources === undefined) {
    question.sources = await excerpts(path, question, signal);
    await conversation.keep(question);
  }
  const messages = path.map((each) => asMessage(each, each === question));
  if (settings.system) messages.unshift({ role: "system", content: settings.system });
  const body = { model: model()?.id ?? "default", messages };
  if (message.content) {
    messages.push({ role: "assistant", content: message.content, reasoning_content: message.reasoning || undefined });
    body.continue_final_message = true;
    body.add_generation_prompt = false;
  } else {
    message.reasoning = "";
    message.calls = [];
  }
  for (const name of NUMBERS) {
    if (typeof settings[name] === "number") body[name] = settings[name];
  }
  if (settings.tools) body.tools = JSON.parse(settings.tools);
  return body;
}

function asMessage(message, asked) {
  if (message.role === "tool") return { role: "tool", tool_call_id: message.call, content: message.content };
  if (message.role === "assistant") {
    const found = { role: "assistant", content: message.content };
    if (message.calls?.length) {
      found.tool_calls = message.calls.map((call) => ({
        id: call.id, type: "function", function: { name: call.name, arguments: call.arguments },
      }));
    }
    return found;
  }
  const text = asked && message.sources ? withSources(message) : message.content;
  if (!message.pictures?.length) return { role: "user", content: text };
  return {
    role: "user",
    content: [
      ...message.pictures.map((picture) => ({ type: "image_url", image_url: { url: picture.url } })),
      { type: "text", text },
    ],
  };
}

function withSources(message) {
  const parts = message.sources.excerpts.map((each) => `From ${each.file}, ${each.part}:\n${each.text}`);
  return `${parts.join("\n\n")}\n\nAnswer from the excerpts above. ${message.content}`;
}
