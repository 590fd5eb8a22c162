import assert from "node:assert/strict";
import test from "node:test";

import { EventParser, StreamError, readChunks, readEvents } from "../../frontend/sse.js";

const bytes = (text) => new TextEncoder().encode(text);

/** The text as a byte stream cut into pieces of `size` bytes. */
function streamOf(text, size = Infinity, onCancel = () => {}) {
  const all = bytes(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= all.length) return controller.close();
      controller.enqueue(all.slice(at, Math.min(at + size, all.length)));
      at += size;
      return undefined;
    },
    cancel: onCancel,
  });
}

async function collect(iterable) {
  const found = [];
  for await (const each of iterable) found.push(each);
  return found;
}

const chunk = (content, finish = null) => `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: finish }] })}\n\n`;
const contents = (chunks) => chunks.map((each) => each.choices[0].delta.content).join("");

for (const size of [1, 2, 3, 7, 1000]) {
  test(`characters and frames cut every ${size} bytes arrive whole`, async () => {
    const text = "Grüße, 世界 🔥 e\u0301";
    const stream = streamOf(chunk(text) + ": ping\n\n" + chunk(" end", "stop") + "data: [DONE]\n\n", size);
    assert.equal(contents(await collect(readChunks(stream))), `${text} end`);
  });
}

for (const [name, ending] of [["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]]) {
  for (const size of [1, 1000]) {
    test(`lines may end with ${name}, in pieces of ${size}`, async () => {
      const text = ["data: one", "", ": comment", "data: two", "data: lines", "", ""].join(ending);
      const events = await collect(readEvents(streamOf(text, size)));
      assert.deepEqual(events.map((each) => each.data), ["one", "two\nlines"]);
    });
  }
}

test("comments and blank lines make no events", () => {
  const parser = new EventParser();
  assert.deepEqual(parser.push(bytes(": ping\n\n\n: again\n\n")), []);
});

test("two adjacent frames in one piece are two events", () => {
  const events = new EventParser().push(bytes("data: a\n\ndata: b\n\n"));
  assert.deepEqual(events.map((each) => each.data), ["a", "b"]);
});

test("fields: type, data without a space, unknown ones ignored", () => {
  const events = new EventParser().push(bytes("event: note\nid: 4\nretry: 1\ndata:x\n\n"));
  assert.deepEqual(events, [{ type: "note", data: "x" }]);
});

test("a last frame without its blank line still counts", async () => {
  const events = await collect(readEvents(streamOf("data: a\n\ndata: b")));
  assert.deepEqual(events.map((each) => each.data), ["a", "b"]);
});

test("an error frame in mid-stream is thrown with its message, after what came before", async () => {
  const stream = streamOf(chunk("half") + 'data: {"error": {"message": "The model stopped.", "code": "upstream_cut"}}\n\n');
  const seen = [];
  await assert.rejects(
    async () => {
      for await (const each of readChunks(stream)) seen.push(each);
    },
    (error) => error instanceof StreamError && error.message === "The model stopped." && error.code === "upstream_cut",
  );
  assert.equal(contents(seen), "half");
});

test("a stream cut before its end is an error, not an answer", async () => {
  await assert.rejects(collect(readChunks(streamOf(chunk("half")))), /broke off/);
});

test("a finished answer without [DONE] is accepted", async () => {
  assert.equal(contents(await collect(readChunks(streamOf(chunk("whole", "stop"))))), "whole");
});

test("nothing after [DONE] is read, and the request is released", async () => {
  let cancelled = false;
  const stream = streamOf("data: [DONE]\n\ndata: {broken\n\n" + chunk("late").repeat(50), 20, () => (cancelled = true));
  assert.deepEqual(await collect(readChunks(stream)), []);
  assert.equal(cancelled, true);
});

test("leaving the loop cancels the request", async () => {
  let cancelled = false;
  for await (const each of readChunks(streamOf(chunk("a").repeat(20), 30, () => (cancelled = true)))) {
    assert.ok(each);
    break;
  }
  assert.equal(cancelled, true);
});

for (const damaged of ["{half", "42", "null"]) {
  test(`a frame that is ${damaged} is reported as damage`, async () => {
    await assert.rejects(collect(readChunks(streamOf(`data: ${damaged}\n\n`))), /damaged/);
  });
}
