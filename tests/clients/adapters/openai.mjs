// openai (npm), with chat completions.

import OpenAI from "openai";
import { refusal, serve, user } from "./protocol.mjs";

serve((task) => {
  const make = (apiKey) => new OpenAI({ baseURL: task.baseURL, apiKey, maxRetries: 0 });
  const client = make(task.key);
  const tools = [{ type: "function", function: task.tool }];

  async function ask(messages, more = {}, asked = client) {
    const body = { model: task.model, messages, ...more };
    return (await asked.chat.completions.create(body)).choices[0].message;
  }

  return {
    async list() {
      const models = [];
      for await (const model of client.models.list()) models.push(model.id);
      return { models };
    },
    async chat() {
      return { text: (await ask([user(task.question)])).content };
    },
    async stream() {
      const pieces = [];
      const stream = client.chat.completions.stream({
        model: task.model,
        messages: [user(task.question)],
        stream_options: { include_usage: true },
      });
      stream.on("content.delta", ({ delta }) => pieces.push(delta));
      const usage = await stream.totalUsage();
      if (!usage.completion_tokens) throw new Error("no usage");
      return { pieces };
    },
    async tools() {
      const said = await ask([user(task.call)], { tools, tool_choice: "required" });
      const [call] = said.tool_calls;
      const result = { role: "tool", tool_call_id: call.id, content: task.result };
      const last = await ask([user(task.call), said, result], { tools });
      return { ...call.function, answer: last.content };
    },
    async structured() {
      const json_schema = { name: "city", schema: task.schema, strict: true };
      const response_format = { type: "json_schema", json_schema };
      return { value: (await ask([user(task.asks)], { response_format })).content };
    },
    async embed() {
      const asked = { model: task.embedding_model, input: task.texts };
      const answer = await client.embeddings.create(asked);
      return { vectors: answer.data.map((each) => each.embedding) };
    },
    async error() {
      return {
        refused: await refusal(
          () => ask([user(task.too_long)]),
          (error) => error instanceof OpenAI.BadRequestError,
        ),
        stranger: await refusal(
          () => ask([user("Hi")], {}, make("wrong")),
          (error) => error instanceof OpenAI.AuthenticationError,
        ),
      };
    },
    async cancel() {
      const body = { model: task.model, messages: [user(task.long)], stream: true };
      const stream = await client.chat.completions.create(body);
      for await (const _ of stream) break;
      return {};
    },
  };
});
