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

const UNITS = { page: "Page", slide: "Slide", sheet: "Sheet", chapter: "Chapter" };

/** What the numbered parts of a document are called. */
export function unitName(unit) {
  return UNITS[unit] ?? UNITS.page;
}

/** A place as people name it: "Page 3 of 12", "Slide 4 of 12", "Sheet Q3", "Chapter 2, The harbour". */
export function unitPlace(unit, number, total = null, label = "") {
  const name = unitName(unit);
  if (name === "Sheet" && label) return `${name} ${label}`;
  const place = number ? `${name} ${number}${total ? ` of ${total}` : ""}` : name;
  return label ? `${place}, ${label}` : place;
}

/** A passage in one line: without the marks of headings and tables. */
export function plainQuote(quote) {
  const lines = String(quote ?? "")
    .split("\n")
    .filter((line) => !/^[\s:|-]*$/.test(line))
    .map((line) => line.trim().replace(/^#{1,6} +|^\||\|$/g, "").trim().replace(/ *\| */g, " · "));
  return lines.join(" ").replace(/\*\*|__|`/g, "").replace(/\s+/g, " ").trim();
}

/** Lines of what was taken out of these are not lines that anybody knows. */
const WITHOUT_LINES = /\.(docx?|od[tps]|rtf|html?|xhtml|eml|epub|xlsx|pptx|sqlite3?|db)$/i;

/** Where a cited passage stands, in a few words; "" where the document has neither pages nor lines. */
export function citedPlace({ page = null, unit = "page", label = "", line = null, filename = "" }) {
  if (page) return unitPlace(unit, page, null, label);
  return line && !WITHOUT_LINES.test(filename ?? "") ? `Line ${line}` : label ?? "";
}
