// The official OpenAI SDK for Node.
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as my from "./checks.mjs";

const { all, has, joined, ok, plain, throws } = my;
const client = new OpenAI({ baseURL: my.BASE_URL, apiKey: my.KEY, maxRetries: 0 });
const Person = z.object({ name: z.string(), age: z.number().int() });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = {
  type: "function",
  function: { name: "get_weather", description: "The weather in a city", parameters },
};
const user = (content) => [{ role: "user", content }];
const ask = (content, more = {}, through = client) =>
  through.chat.completions.create({ model: my.CHAT_MODEL, messages: user(content), ...more });
const file = (name, text = my.DOCUMENT) => toFile(Buffer.from(text), name);

async function answerAfterCall(message) {
  const [call] = message.tool_calls;
  ok(JSON.parse(call.function.arguments).city === "Paris", "the city");
  const messages = [
    ...user(my.WEATHER_QUESTION),
    message,
    { role: "tool", tool_call_id: call.id, content: my.WEATHER_REPORT },
  ];
  const done = await ask(null, { messages, tools: [weather] });
  has(done.choices[0].message.content, my.WEATHER_REPORT);
}

const checks = {
  async models() {
    const ids = (await all(client.models.list())).map((model) => model.id);
    ok(ids.includes(my.AGENT_MODEL) && ids.includes(my.CHAT_MODEL), ids);
    ok((await client.models.retrieve(my.CHAT_MODEL)).id === my.CHAT_MODEL);
  },

  async chat() {
    const done = await ask(my.GREETING);
    has(done.choices[0].message.content, my.GREETING);
    ok(done.usage.total_tokens > 0, "usage");
  },

  async stream() {
    const chunks = await all(await ask(my.SLOW_GREETING, { stream: true, stream_options: { include_usage: true } }));
    has(joined(chunks.map((chunk) => chunk.choices[0]?.delta.content)), my.SLOW_GREETING);
    ok(chunks.at(-1).usage, "usage in the last chunk");
    const helper = client.chat.completions.stream({ model: my.CHAT_MODEL, messages: user(my.SLOW_GREETING) });
    has(await helper.finalContent(), my.SLOW_GREETING);
  },

  async tools() {
    const done = await ask(my.WEATHER_QUESTION, { tools: [weather] });
    ok(done.choices[0].finish_reason === "tool_calls");
    await answerAfterCall(done.choices[0].message);
    const request = { model: my.CHAT_MODEL, messages: user(my.WEATHER_QUESTION), tools: [weather] };
    await answerAfterCall(await client.chat.completions.stream(request).finalMessage());
    const runnable = { ...weather.function, parse: JSON.parse, function: () => my.WEATHER_REPORT };
    const runner = client.chat.completions.runTools({ ...request, tools: [{ type: "function", function: runnable }] });
    has(await runner.finalContent(), my.WEATHER_REPORT);
  },

  async structured() {
    const response_format = zodResponseFormat(Person, "person");
    const messages = user(my.PERSON_QUESTION);
    const done = await client.chat.completions.parse({ model: my.CHAT_MODEL, messages, response_format });
    ok(done.choices[0].message.parsed.age === 36, "the age");
  },

  async images() {
    const parts = [
      { type: "text", text: my.GREETING },
      { type: "image_url", image_url: { url: my.RED_DOT } },
    ];
    has((await ask(parts, { model: my.VISION_MODEL })).choices[0].message.content, my.GREETING);
  },

  async embeddings() {
    const made = await client.embeddings.create({ model: my.EMBEDDING_MODEL, input: ["a cat", "a dog"] });
    ok(made.data.every((item) => item.embedding.length === my.EMBEDDING_SIZE) && made.data.length === 2);
  },

  async files() {
    const made = await client.files.create({ file: await file("cat.txt"), purpose: "assistants" });
    ok((await client.files.waitForProcessing(made.id, { pollInterval: 50 })).status === "processed");
    const ids = (await all(client.files.list({ limit: 1 }))).map((item) => item.id);
    ok(ids.includes(made.id), ids);
    ok((await (await client.files.content(made.id)).text()) === my.DOCUMENT, "the same content");
    ok((await client.files.delete(made.id)).deleted);
    await throws(NotFoundError, () => client.files.retrieve(made.id));
  },

  async vector_stores() {
    const store = await client.vectorStores.create({ name: "office" });
    const added = await client.vectorStores.files.uploadAndPoll(store.id, await file("cat.txt"));
    ok(added.status === "completed", JSON.stringify(added));
    const batch = await client.vectorStores.fileBatches.uploadAndPoll(store.id, { files: [await file("dog.txt", my.OTHER_DOCUMENT)] });
    ok(batch.file_counts.completed === 1, JSON.stringify(batch));
    const found = await client.vectorStores.search(store.id, { query: my.DOCUMENT_QUESTION });
    has(found.data[0].content[0].text, my.DOCUMENT_FACT);
    const tools = [{ type: "file_search", vector_store_ids: [store.id] }];
    const asked = await client.responses.create({ model: my.AGENT_MODEL, input: my.DOCUMENT_QUESTION, tools });
    ok(asked.output.some((item) => item.type === "file_search_call"), JSON.stringify(asked.output));
    for (const item of await all(client.vectorStores.files.list(store.id))) await client.files.delete(item.id);
    ok((await client.vectorStores.delete(store.id)).deleted);
  },

  async responses() {
    const model = my.CHAT_MODEL;
    const first = await client.responses.create({ model, input: my.GREETING });
    has(first.output_text, my.GREETING);
    const again = { model, input: "And again", previous_response_id: first.id };
    const second = await client.responses.create(again);
    ok((await client.responses.retrieve(second.id)).output_text === second.output_text);
    const stream = client.responses.stream({ model, input: my.SLOW_GREETING });
    const events = await all(stream);
    ok(events[0].type === "response.created" && events.at(-1).type === "response.completed");
    has((await stream.finalResponse()).output_text, my.SLOW_GREETING);
    const text = { format: zodTextFormat(Person, "person") };
    ok((await client.responses.parse({ model, input: my.PERSON_QUESTION, text })).output_parsed.age === 36);
    const tools = [{ type: "function", name: "get_weather", parameters, strict: true }];
    const asked = await client.responses.create({ model, input: my.WEATHER_QUESTION, tools });
    const call = asked.output.find((item) => item.type === "function_call");
    const input = [{ type: "function_call_output", call_id: call.call_id, output: my.WEATHER_REPORT }];
    has((await client.responses.create({ model, input, tools, previous_response_id: asked.id })).output_text, my.WEATHER_REPORT);
    await client.responses.delete(first.id);
    await throws(NotFoundError, () => client.responses.retrieve(first.id));
  },

  async completions() {
    const request = { model: my.CHAT_MODEL, prompt: my.GREETING, max_tokens: 200 };
    has((await client.completions.create(request)).choices[0].text, my.GREETING);
    const pieces = await all(await client.completions.create({ ...request, stream: true }));
    has(pieces.map((piece) => piece.choices[0]?.text ?? "").join(""), my.GREETING);
  },

  async agent() {
    const { message } = (await ask(my.PRODUCT_QUESTION, { model: my.AGENT_MODEL })).choices[0];
    ok(plain(message.content).includes(my.PRODUCT) && !message.tool_calls, JSON.stringify(message));
    const request = { model: my.AGENT_MODEL, messages: user(my.PRODUCT_QUESTION) };
    has(plain(await client.chat.completions.stream(request).finalContent()), my.PRODUCT);
  },

  async builtin() {
    const offline = new OpenAI({ baseURL: my.OFFLINE_BASE_URL, apiKey: my.OFFLINE_KEY, maxRetries: 0 });
    const done = await ask(my.PRODUCT_QUESTION, { model: my.AGENT_MODEL }, offline);
    has(plain(done.choices[0].message.content), my.PRODUCT);
  },

  async errors() {
    const stranger = new OpenAI({ baseURL: my.BASE_URL, apiKey: my.WRONG_KEY, maxRetries: 0 });
    ok((await throws(AuthenticationError, () => stranger.models.list())).code === "invalid_api_key");
    ok((await throws(NotFoundError, () => ask("Hi", { model: my.NO_MODEL }))).code === "model_not_found");
    ok((await throws(BadRequestError, () => ask("Hi", { temperature: 9 }))).param === "temperature");
    await throws(APIError, async () => all(await ask(my.BROKEN_QUESTION, { stream: true })));
  },
};

await my.run({ id: "openai-node", name: "OpenAI SDK for Node", packageName: "openai", checks });
