// Vercel's AI SDK, with its OpenAI-compatible provider and with its OpenAI provider (which speaks Responses).
import { setTimeout } from "node:timers/promises";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, isStepCount, streamText, tool, uploadFile } from "ai";
import { z } from "zod";
import * as my from "./checks.mjs";

const { all, has, joined, ok, plain, throws } = my;
const Person = z.object({ name: z.string(), age: z.number().int() });
const tools = {
  get_weather: tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `18 degrees and sunny in ${city}`,
  }),
};
const stopWhen = isStepCount(3);
const quiet = { maxRetries: 0 };

function checksOf(make, chat, embedding) {
  const provider = make(my.BASE_URL, my.KEY);
  const model = (name = my.CHAT_MODEL) => chat(provider, name);

  async function streamed(request) {
    const failures = [];
    const result = streamText({ ...quiet, ...request, onError: ({ error }) => failures.push(error) });
    const pieces = await all(result.textStream);
    if (failures.length) throw failures[0];
    return pieces;
  }

  return {
    models: null,

    async chat() {
      const done = await generateText({ ...quiet, model: model(), instructions: "Be brief.", prompt: my.GREETING });
      has(done.text, my.GREETING);
      ok(done.usage.totalTokens > 0, "usage");
    },

    async stream() {
      has(joined(await streamed({ model: model(), prompt: my.SLOW_GREETING })), my.SLOW_GREETING);
    },

    async tools() {
      const request = { ...quiet, model: model(), tools, stopWhen, prompt: my.WEATHER_QUESTION };
      has((await generateText(request)).text, my.WEATHER_REPORT);
      has((await streamed(request)).join(""), my.WEATHER_REPORT);
    },

    async structured() {
      const output = Output.object({ schema: Person });
      const done = await generateText({ ...quiet, model: model(), output, prompt: my.PERSON_QUESTION });
      ok(done.output.age === 36, "the age");
    },

    async images() {
      const image = { type: "file", mediaType: "image/png", data: my.RED_DOT };
      const messages = [{ role: "user", content: [{ type: "text", text: my.GREETING }, image] }];
      has((await generateText({ ...quiet, model: model(my.VISION_MODEL), messages })).text, my.GREETING);
    },

    async embeddings() {
      const made = await embedMany({ ...quiet, model: embedding(provider), values: ["a cat", "a dog"] });
      ok(made.embeddings.length === 2 && made.embeddings.every((row) => row.length === my.EMBEDDING_SIZE));
    },

    async agent() {
      const done = await generateText({ ...quiet, model: model(my.AGENT_MODEL), prompt: my.PRODUCT_QUESTION });
      has(plain(done.text), my.PRODUCT);
      const pieces = await streamed({ model: model(my.AGENT_MODEL), prompt: my.PRODUCT_QUESTION });
      has(plain(pieces.join("")), my.PRODUCT);
    },

    async builtin() {
      const offline = chat(make(my.OFFLINE_BASE_URL, my.OFFLINE_KEY), my.AGENT_MODEL);
      has(plain((await generateText({ ...quiet, model: offline, prompt: my.PRODUCT_QUESTION })).text), my.PRODUCT);
    },

    async errors() {
      const status = (code) => (error) => APICallError.isInstance(error) && error.statusCode === code;
      const stranger = chat(make(my.BASE_URL, my.WRONG_KEY), my.CHAT_MODEL);
      await throws(status(401), () => generateText({ ...quiet, model: stranger, prompt: "Hi" }));
      await throws(status(404), () => generateText({ ...quiet, model: model(my.NO_MODEL), prompt: "Hi" }));
      await throws(() => true, () => streamed({ model: model(), prompt: my.BROKEN_QUESTION }));
    },
  };
}

const compatible = (baseURL, apiKey) =>
  createOpenAICompatible({ name: "hearth", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const compatibleProvider = compatible(my.BASE_URL, my.KEY);

await my.run({
  id: "ai-sdk-compatible",
  name: "Vercel AI SDK, openai-compatible",
  packageName: "@ai-sdk/openai-compatible",
  checks: {
    ...checksOf(compatible, (provider, name) => provider(name), (provider) => provider.embeddingModel(my.EMBEDDING_MODEL)),
    files: null,
    vector_stores: null,
    responses: null,

    async completions() {
      const model = compatibleProvider.completionModel(my.CHAT_MODEL);
      has((await generateText({ ...quiet, model, prompt: my.GREETING, maxOutputTokens: 200 })).text, my.GREETING);
    },
  },
});

const openai = (baseURL, apiKey) => createOpenAI({ baseURL, apiKey });
const openaiProvider = openai(my.BASE_URL, my.KEY);

await my.run({
  id: "ai-sdk-openai",
  name: "Vercel AI SDK, OpenAI provider",
  packageName: "@ai-sdk/openai",
  checks: {
    ...checksOf(openai, (provider, name) => provider(name), (provider) => provider.embedding(my.EMBEDDING_MODEL)),

    async files() {
      const data = new TextEncoder().encode(my.DOCUMENT);
      const made = await uploadFile({ api: openaiProvider, data, mediaType: "text/plain", filename: "cat.txt" });
      const file = { type: "file", mediaType: "text/plain", data: { type: "reference", reference: made.providerReference } };
      const messages = [{ role: "user", content: [{ type: "text", text: "Read this." }, file] }];
      const model = openaiProvider(my.CHAT_MODEL);
      has((await generateText({ ...quiet, model, messages })).text, my.DOCUMENT_FACT);
    },

    async vector_stores() {
      const headers = { authorization: `Bearer ${my.KEY}` };
      const call = async (path, init) => (await fetch(`${my.BASE_URL}${path}`, { headers, ...init })).json();
      const form = new FormData();
      form.set("purpose", "assistants");
      form.set("file", new Blob([my.DOCUMENT]), "cat.txt");
      const file = await call("/files", { method: "POST", body: form });
      const body = JSON.stringify({ name: "office", file_ids: [file.id] });
      const json = { ...headers, "content-type": "application/json" };
      const store = await call("/vector_stores", { method: "POST", body, headers: json });
      while ((await call(`/vector_stores/${store.id}`)).status === "in_progress") await setTimeout(50);
      const search = openaiProvider.tools.fileSearch({ vectorStoreIds: [store.id] });
      const model = openaiProvider(my.AGENT_MODEL);
      const request = { ...quiet, model, tools: { file_search: search }, prompt: my.DOCUMENT_QUESTION };
      const done = await generateText(request);
      has(done.text, my.DOCUMENT_FACT);
      ok(done.toolCalls.some((item) => item.toolName === "file_search"), JSON.stringify(done.toolCalls));
      await call(`/vector_stores/${store.id}`, { method: "DELETE" });
      await call(`/files/${file.id}`, { method: "DELETE" });
    },

    async responses() {
      const model = openaiProvider.responses(my.CHAT_MODEL);
      const first = await generateText({ ...quiet, model, prompt: my.GREETING });
      has(first.text, my.GREETING);
      const previousResponseId = first.finalStep.providerMetadata.openai.responseId;
      const again = { ...quiet, model, prompt: "And again", providerOptions: { openai: { previousResponseId } } };
      has((await generateText(again)).text, "And again");
      const chat = openaiProvider.chat(my.CHAT_MODEL);
      has((await generateText({ ...quiet, model: chat, prompt: my.GREETING })).text, my.GREETING);
    },

    async completions() {
      const model = openaiProvider.completion(my.CHAT_MODEL);
      has((await generateText({ ...quiet, model, prompt: my.GREETING, maxOutputTokens: 200 })).text, my.GREETING);
    },
  },
});
