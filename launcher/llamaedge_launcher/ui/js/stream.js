// Event streams: frames out of bytes, and a chat's answer out of frames.

import { Failure, request, told } from "./api.js";

/** The data of each event of a response, as JSON. Ends at [DONE]; raises Failure if cut off before. */
export async function* events(response, { done = true } = {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let ended = !done;
  try {
    for (;;) {
      let part;
      try {
        part = await reader.read();
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Failure("The connection was lost.");
      }
      if (part.done) break;
      const lines = (rest + part.value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") ended = true;
        else if (data) yield frame(data);
      }
      if (done && ended) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!ended) throw new Failure("The connection was lost before the answer was complete.");
}

function frame(data) {
  const value = JSON.parse(data);
  if (value.error) throw told(value.error, value.error.code === "guest_ended" ? 502 : 500);
  return value;
}

/** What an answer's pieces add up to goes to `take`, piece by piece: {content, reasoning, calls, finish, usage}. */
export async function chat(body, signal, take) {
  const options = { method: "POST", json: { ...body, stream: true, stream_options: { include_usage: true } }, signal };
  const response = await request("v1/chat/completions", options);
  if (!(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
    const whole = await response.json();
    take({ ...piece(whole.choices[0].message), finish: whole.choices[0].finish_reason, usage: whole.usage });
    return;
  }
  for await (const chunk of events(response)) {
    const [choice] = chunk.choices ?? [];
    const part = choice ? piece(choice.delta ?? {}) : {};
    if (choice?.finish_reason) part.finish = choice.finish_reason;
    if (chunk.usage) part.usage = chunk.usage;
    if (chunk.model) part.model = chunk.model;
    take(part);
  }
}

function piece(delta) {
  return {
    content: delta.content || "",
    reasoning: delta.reasoning_content || delta.reasoning || "",
    calls: delta.tool_calls ?? [],
  };
}

/** Adds the pieces of calls to the `calls` that there are. */
export function addCalls(calls, pieces) {
  pieces.forEach((part, position) => {
    const index = part.index ?? position;
    const call = calls[index] ??= { id: "", name: "", arguments: "" };
    call.id = part.id || call.id;
    call.name += part.function?.name ?? "";
    call.arguments += part.function?.arguments ?? "";
  });
}
