// Server-sent events as an async generator: bytes in, events out. Pure, no DOM.

/** Joins arbitrary pieces of a byte stream into events; characters and lines may be cut anywhere. */
export class EventParser {
  #decoder = new TextDecoder("utf-8");
  #rest = "";
  #data = [];
  #type = "";

  /** Events completed by these bytes, in order: `{type, data}`. */
  push(bytes) {
    return this.#take(this.#decoder.decode(bytes, { stream: true }), false);
  }

  /** The stream is over: what is left counts as complete. */
  end() {
    const events = this.#take(this.#decoder.decode(), true);
    this.#finish(events);
    return events;
  }

  #take(text, last) {
    this.#rest += text;
    const events = [];
    let start = 0;
    const ending = /\r\n|\n|\r/g;
    for (let match = ending.exec(this.#rest); match; match = ending.exec(this.#rest)) {
      // A CR at the very end may be half of a CRLF: wait for the next piece.
      if (!last && match[0] === "\r" && ending.lastIndex === this.#rest.length) break;
      this.#line(this.#rest.slice(start, match.index), events);
      start = ending.lastIndex;
    }
    this.#rest = this.#rest.slice(start);
    if (last && this.#rest) {
      this.#line(this.#rest, events);
      this.#rest = "";
    }
    return events;
  }

  #line(line, events) {
    if (line === "") return this.#finish(events);
    if (line.startsWith(":")) return undefined; // a comment keeps the connection alive
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    return undefined;
  }

  #finish(events) {
    if (this.#data.length) events.push({ type: this.#type || "message", data: this.#data.join("\n") });
    this.#data = [];
    this.#type = "";
  }
}

/** Events of a fetch body. Leaving the loop early cancels the request. */
export async function* readEvents(body) {
  const reader = body.getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield* parser.push(value);
    }
    yield* parser.end();
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A failure reported inside the stream, or a stream that broke off. `message` is for the reader. */
export class StreamError extends Error {
  constructor(message, code = null) {
    super(message);
    this.name = "StreamError";
    this.code = code;
  }
}

/** The chunks of one chat completion, parsed. Ends at `[DONE]`; throws StreamError when the answer is not whole. */
export async function* readChunks(body) {
  let finished = false;
  for await (const { data } of readEvents(body)) {
    if (data === "[DONE]") return;
    const chunk = parse(data);
    if (chunk.error) {
      throw new StreamError(chunk.error.message || "The answer failed. Try again.", chunk.error.code ?? null);
    }
    finished ||= Boolean(chunk.choices?.[0]?.finish_reason);
    yield chunk;
  }
  if (!finished) throw new StreamError("The connection broke off before the answer was complete. Try again.", "cut");
}

function parse(data) {
  try {
    const chunk = JSON.parse(data);
    if (chunk !== null && typeof chunk === "object") return chunk;
  } catch {
    // falls through to the same sentence
  }
  throw new StreamError("A part of the answer arrived damaged. Try again.", "damaged");
}
