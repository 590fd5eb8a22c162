// What every Node client's script shares: where the servers are, and how an outcome is written down.
import { appendFileSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const CAPABILITIES = [
  "models",
  "chat",
  "stream",
  "tools",
  "structured",
  "images",
  "embeddings",
  "files",
  "vector_stores",
  "responses",
  "completions",
  "agent",
  "builtin",
  "errors",
];

export const CHAT_MODEL = "llama3.2:3b";
export const VISION_MODEL = "llava:7b";
export const EMBEDDING_MODEL = "all-MiniLM-L6-v2";
export const EMBEDDING_SIZE = 384;
export const AGENT_MODEL = "hearth";

export const GREETING = "Good morning, Grüße 👋 to everyone here";
export const SLOW_GREETING = `${GREETING} [[delay:10]]`;
export const WEATHER_QUESTION = "What is the weather in Paris?";
export const WEATHER_REPORT = "18 degrees and sunny in Paris";
export const PERSON_QUESTION = "Who was Ada Lovelace? Give her name and age.";
export const PRODUCT_QUESTION = "What is 1234 * 5678?";
export const PRODUCT = "7006652";
export const BROKEN_QUESTION = "Please break in the middle of the answer.";
// Their own for each process: one content is one file to the server, and the scripts run side by side.
export const DOCUMENT = `The office cat is called Biscuit.\n\nThe server room is cold. Note ${process.pid}.\n`;
export const OTHER_DOCUMENT = `The office dog is called Crumpet. Note ${process.pid}.\n`;
export const DOCUMENT_QUESTION = "What is the office cat called?";
export const DOCUMENT_FACT = "Biscuit";
export const RED_DOT =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4" +
  "//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==";

export const URL = process.env.HEARTH_URL ?? "";
export const KEY = process.env.HEARTH_KEY ?? "";
export const OFFLINE_URL = process.env.HEARTH_OFFLINE_URL ?? "";
export const OFFLINE_KEY = process.env.HEARTH_OFFLINE_KEY ?? "";
export const BASE_URL = `${URL}/v1`;
export const OFFLINE_BASE_URL = `${OFFLINE_URL}/v1`;
export const WRONG_KEY = "sk-wrong";
export const NO_MODEL = "nope:1b";

export function ok(holds, what) {
  if (!holds) throw new Error(`expected ${what ?? "something else"}`);
}

export function has(text, wanted) {
  ok(typeof text === "string" && text.includes(wanted), `${JSON.stringify(wanted)} in ${JSON.stringify(text)}`);
}

/** A text without the separators of thousands. */
export function plain(text) {
  return String(text).replace(/[,\s]/g, "");
}

/** A streamed text; fails when it came in one lump: then nothing was streamed. */
export function joined(pieces) {
  const arrived = pieces.filter(Boolean);
  ok(arrived.length > 3, `several pieces, got ${JSON.stringify(arrived)}`);
  return arrived.join("");
}

/** All that an asynchronous iterable yields. */
export async function all(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}

/** The error of this kind that the call throws. `kind` is a class or a predicate. */
export async function throws(kind, call) {
  try {
    await call();
  } catch (error) {
    const right = kind.prototype instanceof Error ? error instanceof kind : kind(error);
    if (right) return error;
    throw error;
  }
  throw new Error("expected an error, and nothing was thrown");
}

function version(name) {
  const here = dirname(fileURLToPath(import.meta.url));
  return JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8")).version;
}

/** Run every check of one row and append one JSON line for each capability. `checks[x]` null: the client lacks it. */
export async function run({ id, name, packageName, checks }) {
  const only = process.argv.slice(2);
  for (const capability of CAPABILITIES) {
    if (only.length && !only.includes(capability)) continue;
    const began = performance.now();
    let outcome = "missing";
    let note = "";
    if (checks[capability] === null) outcome = "absent";
    else if (checks[capability]) {
      try {
        await checks[capability]();
        outcome = "pass";
      } catch (error) {
        if (process.env.HEARTH_TRACE) console.error(error);
        outcome = "fail";
        note = `${error?.name ?? "Error"}: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 400)}`;
      }
    }
    const seconds = Math.round(performance.now() - began) / 1000;
    const line = JSON.stringify({ client: id, name, version: version(packageName), capability, outcome, seconds, note });
    if (process.env.HEARTH_RESULTS) appendFileSync(process.env.HEARTH_RESULTS, `${line}\n`);
    else console.log(line);
  }
}
