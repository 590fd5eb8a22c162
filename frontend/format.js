// Numbers, times and texts as people read them. Pure.

export function fileSize(bytes) {
  if (!Number.isFinite(bytes) || bytes < 0) return "";
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function duration(milliseconds) {
  if (!Number.isFinite(milliseconds) || milliseconds < 0) return "";
  if (milliseconds < 1) return "<1 ms";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function count(number, noun, plural = `${noun}s`) {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** A moment as short as its distance from `now` allows: the time today, the day this year, else the date. */
export function moment(seconds, now, locale = []) {
  if (!Number.isFinite(seconds)) return "";
  const [then, today] = [new Date(seconds * 1000), new Date(now * 1000)];
  if (then.toDateString() === today.toDateString()) return then.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  const year = then.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
  return then.toLocaleDateString(locale, { day: "numeric", month: "short", ...year });
}

/** Conversations under the headings of their age. `now` and `updated_at` are seconds since the epoch. */
export function groupByAge(conversations, now) {
  const midnight = new Date(now * 1000);
  midnight.setHours(0, 0, 0, 0);
  const today = midnight.getTime() / 1000;
  const day = 86_400;
  const bounds = [
    ["Today", today],
    ["Yesterday", today - day],
    ["Last 7 days", today - 7 * day],
    ["Last 30 days", today - 30 * day],
    ["Earlier", -Infinity],
  ];
  const groups = bounds.map(([label]) => ({ label, items: [] }));
  for (const item of conversations) {
    groups[bounds.findIndex(([, from]) => (item.updated_at ?? 0) >= from)].items.push(item);
  }
  return groups.filter((group) => group.items.length);
}

/** A step's arguments in one short line: the value alone when there is just one. */
export function brief(args, limit = 80) {
  const entries = Object.entries(args ?? {});
  const show = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const text = entries.length === 1 ? show(entries[0][1]) : entries.map(([k, v]) => `${k}: ${show(v)}`).join(", ");
  const line = String(text ?? "").replace(/\s+/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}

const LONG_SENTENCE = 100;

/** The first sentence of a text; of a long one what stands before its colon, and at most `limit` characters. */
export function firstSentence(text, limit = 240) {
  const line = String(text ?? "").replace(/\s+/g, " ").trim();
  // "e.g. Sums" goes on.
  const end = /(?<!\b(?:e\.g|i\.e|etc|vs))[.!?](?= \p{Lu}|$)/u.exec(line);
  const sentence = end ? line.slice(0, end.index + 1) : line;
  const before = sentence.length > LONG_SENTENCE ? /^[^:;]{20,}(?=[:;] )/.exec(sentence)?.[0] : null;
  const first = before ? `${before}.` : sentence;
  return first.length > limit ? `${first.slice(0, limit - 1).trimEnd()}…` : first;
}

const SHORTEST_MATCH = 24;

/**
 * Where `quote` stands in `text`, as `[start, end]` offsets, or null. Case, white space and hyphens at line ends may
 * differ; when only the beginning or the end of the quote is on this page, that part is found.
 */
export function findPassage(text, quote) {
  const page = fold(text);
  const wanted = fold(quote ?? "").letters;
  if (!wanted) return null;
  let from = page.letters.indexOf(wanted);
  let length = wanted.length;
  if (from < 0) [from, length] = longestEdge(page.letters, wanted);
  if (from < 0) return null;
  return [page.offsets[from], page.offsets[from + length - 1] + 1];
}

/** Letters and digits only, lower case, with the offset each came from. */
function fold(text) {
  const letters = [];
  const offsets = [];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (!/[\s\u00ad\u200b-]/.test(character)) {
      letters.push(character.toLowerCase()[0]);
      offsets.push(index);
    }
  }
  return { letters: letters.join(""), offsets };
}

function longestEdge(page, wanted) {
  const shortest = Math.min(SHORTEST_MATCH, wanted.length);
  const head = page.indexOf(wanted.slice(0, shortest));
  if (head >= 0) {
    let length = shortest;
    while (length < wanted.length && page[head + length] === wanted[length]) length += 1;
    return [head, length];
  }
  const tail = page.indexOf(wanted.slice(-shortest));
  if (tail < 0) return [-1, 0];
  let back = 0;
  while (tail - back > 0 && page[tail - back - 1] === wanted[wanted.length - shortest - back - 1]) back += 1;
  return [tail - back, shortest + back];
}
