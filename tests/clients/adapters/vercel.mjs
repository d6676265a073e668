// The Vercel AI SDK, with its provider for what is like OpenAI.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  embedMany,
  generateText,
  jsonSchema,
  Output,
  stepCountIs,
  streamText,
  tool,
} from "ai";
import { refusal, serve } from "./protocol.mjs";

serve((task) => {
  const make = (apiKey) =>
    createOpenAICompatible({
      name: "here",
      baseURL: task.baseURL,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    });
  const provider = make(task.key);
  const model = provider(task.model);
  const isRefusal = (error) => APICallError.isInstance(error);

  return {
    async chat() {
      const { text, usage } = await generateText({ model, prompt: task.question });
      if (!usage.outputTokens) throw new Error("no usage");
      return { text };
    },
    async stream() {
      const pieces = [];
      for await (const piece of streamText({ model, prompt: task.question }).textStream) {
        pieces.push(piece);
      }
      return { pieces };
    },
    async tools() {
      const called = [];
      const get_weather = tool({
        description: task.tool.description,
        inputSchema: jsonSchema(task.tool.parameters),
        execute: async (input) => {
          called.push(input);
          return task.result;
        },
      });
      const { text } = await generateText({
        model,
        prompt: task.call,
        tools: { get_weather },
        stopWhen: stepCountIs(3),
      });
      return { name: "get_weather", arguments: called[0], answer: text };
    },
    async structured() {
      const output = Output.object({ schema: jsonSchema(task.schema), name: "city" });
      return { value: (await generateText({ model, prompt: task.asks, output })).output };
    },
    async embed() {
      const embedder = provider.embeddingModel(task.embedding_model);
      const { embeddings } = await embedMany({ model: embedder, values: task.texts });
      return { vectors: embeddings };
    },
    async error() {
      const ask = (asked, prompt) => () => generateText({ model: asked, prompt, maxRetries: 0 });
      return {
        refused: await refusal(ask(model, task.too_long), isRefusal),
        stranger: await refusal(ask(make("wrong")(task.model), "Hi"), isRefusal),
      };
    },
    async cancel() {
      const abort = new AbortController();
      const { textStream } = streamText({
        model,
        prompt: task.long,
        abortSignal: abort.signal,
        onError: () => {},
      });
      for await (const _ of textStream) break;
      abort.abort();
      return {};
    },
  };
});
