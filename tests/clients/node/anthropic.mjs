// The official Anthropic SDK for Node, at the Messages door.
import Anthropic, { AuthenticationError, NotFoundError, toFile } from "@anthropic-ai/sdk";
import * as my from "./checks.mjs";

const { has, joined, ok, plain, throws } = my;
const client = new Anthropic({ baseURL: my.URL, apiKey: my.KEY, maxRetries: 0 });
const weather = {
  name: "get_weather",
  description: "The weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const user = (content) => [{ role: "user", content }];
const request = (content, more = {}) => ({
  model: my.CHAT_MODEL,
  max_tokens: 500,
  messages: user(content),
  ...more,
});
const ask = (content, more = {}, through = client) => through.messages.create(request(content, more));
const textOf = (message) => message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");

const checks = {
  embeddings: null,
  vector_stores: null,
  responses: null,
  completions: null,

  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    ok(ids.includes(my.CHAT_MODEL), ids);
  },

  async chat() {
    const done = await ask(my.GREETING, { system: "Be brief." });
    has(textOf(done), my.GREETING);
    ok(done.stop_reason === "end_turn" && done.usage.output_tokens > 0);
    const counted = await client.messages.countTokens({ model: my.CHAT_MODEL, messages: user(my.GREETING) });
    ok(counted.input_tokens > 0, "a count");
  },

  async stream() {
    const pieces = [];
    const helper = client.messages.stream(request(my.SLOW_GREETING)).on("text", (text) => pieces.push(text));
    has(textOf(await helper.finalMessage()), my.SLOW_GREETING);
    has(joined(pieces), my.SLOW_GREETING);
  },

  async tools() {
    const more = { tools: [weather] };
    const streamed = await client.messages.stream(request(my.WEATHER_QUESTION, more)).finalMessage();
    for (const asked of [await ask(my.WEATHER_QUESTION, more), streamed]) {
      const call = asked.content.find((block) => block.type === "tool_use");
      ok(asked.stop_reason === "tool_use" && call.input.city === "Paris", JSON.stringify(asked));
      const result = { type: "tool_result", tool_use_id: call.id, content: my.WEATHER_REPORT };
      const messages = [...user(my.WEATHER_QUESTION), { role: "assistant", content: asked.content }, ...user([result])];
      has(textOf(await ask(null, { ...more, messages })), my.WEATHER_REPORT);
    }
  },

  async structured() {
    const schema = {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const done = await ask(my.PERSON_QUESTION, { output_config: { format: { type: "json_schema", schema } } });
    ok(JSON.parse(textOf(done)).age === 36, "the age");
  },

  async images() {
    const source = { type: "base64", media_type: "image/png", data: my.RED_DOT.split(",")[1] };
    const parts = [
      { type: "image", source },
      { type: "text", text: my.GREETING },
    ];
    has(textOf(await ask(parts, { model: my.VISION_MODEL })), my.GREETING);
  },

  async files() {
    const made = await client.files.upload({ file: await toFile(Buffer.from(my.DOCUMENT), "cat.txt") });
    ok((await (await client.files.download(made.id)).text()) === my.DOCUMENT, "the same content");
    await client.files.delete(made.id);
  },

  async agent() {
    has(plain(textOf(await ask(my.PRODUCT_QUESTION, { model: my.AGENT_MODEL }))), my.PRODUCT);
    const helper = client.messages.stream(request(my.PRODUCT_QUESTION, { model: my.AGENT_MODEL }));
    has(plain(textOf(await helper.finalMessage())), my.PRODUCT);
  },

  async builtin() {
    const offline = new Anthropic({ baseURL: my.OFFLINE_URL, apiKey: my.OFFLINE_KEY, maxRetries: 0 });
    has(plain(textOf(await ask(my.PRODUCT_QUESTION, { model: my.AGENT_MODEL }, offline))), my.PRODUCT);
  },

  async errors() {
    const stranger = new Anthropic({ baseURL: my.URL, apiKey: my.WRONG_KEY, maxRetries: 0 });
    await throws(AuthenticationError, () => ask("Hi", {}, stranger));
    await throws(NotFoundError, () => ask("Hi", { model: my.NO_MODEL }));
  },
};

await my.run({ id: "anthropic-node", name: "Anthropic SDK for Node", packageName: "@anthropic-ai/sdk", checks });
