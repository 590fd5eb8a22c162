// The extracted text of a page, slide, sheet or file: Markdown as it is meant, code and plain text with line numbers.

import { h } from "./dom.js";
import { renderBlocks, sanitise } from "./markdown.js";
import { findStretches, markRanges, offsetOf } from "./passage.js";

/** Of a text shown at once; the rest is a button away. */
const MAX_CHARS = 300_000;
const MAX_LINES = 5_000;
const MAX_COLOURED = 200_000;

/** The place of a citation in a page's text as `[[start, end]…]`; none where it does not stand there. */
export function rangesOf(text, { quote, start, end }) {
  if (Number.isInteger(start) && Number.isInteger(end) && end > start) {
    const range = [offsetOf(text, start), offsetOf(text, end)];
    const inside = text.slice(...range);
    if (inside.trim() && (!quote || findStretches(inside, quote).length)) return tight(text, quote, range);
  }
  return quote ? findStretches(text, quote) : [];
}

/** A shorter quote is marked alone, not the whole of the passage around it. */
function tight(text, quote, [from, to]) {
  if (!quote || quote.length > (to - from) * 0.8) return [[from, to]];
  return findStretches(text.slice(from, to), quote).map(([start, end]) => [start + from, end + from]);
}

/**
 * Draws a page's text into `root` and marks the passage in it; the element to look at, or null.
 *
 * `page`: `{text, form, filename, numbered}`; `numbered` texts get line numbers. `place`: `{quote, said, start, end, line}`.
 */
export function drawText(root, page, place) {
  const marked = Boolean(place.quote || Number.isInteger(place.start));
  const ranges = marked ? rangesOf(page.text, place) : [];
  const parts = ranges.length ? (place.said ?? []) : [];
  root.className = `page-text is-${page.form}`;
  if (page.form === "markdown") return drawMarkdown(root, page.text, ranges, parts);
  if (page.form === "code" || page.numbered) return drawLines(root, page, ranges, parts, place.line ?? null);
  root.replaceChildren(page.text.slice(0, MAX_CHARS));
  return markBoth(root, ranges, parts);
}

/** The passage, and in it the sentences that the answer repeats; the first of these. */
function markBoth(root, ranges, parts) {
  const inside = ranges.flatMap(([start, end]) => {
    const passage = root.textContent.slice(Math.max(0, start), Math.max(0, end));
    const from = Math.max(0, start);
    return parts.flatMap((part) => findStretches(passage, part)).map(([first, last]) => [first + from, last + from]);
  });
  const around = markRanges(root, ranges);
  if (!inside.length) return around;
  for (const mark of root.querySelectorAll("mark")) mark.className = "around";
  return markRanges(root, inside, "cited");
}

function drawMarkdown(root, text, ranges, parts) {
  root.classList.add("md");
  root.replaceChildren(...renderBlocks(text).map((block) => h("div", { class: "block" }, sanitise(block))));
  const shown = ranges.flatMap(([start, end]) => findStretches(root.textContent, text.slice(start, end)));
  return markBoth(root, shown, parts);
}

function drawLines(root, page, ranges, parts, line) {
  const starts = lineStarts(page.text);
  const target = ranges.length ? lineAt(starts, ranges[0][0]) : Math.min(Math.max(1, line ?? 1), starts.length);
  const draw = (from) => {
    const shown = windowOf(page.text, starts, from);
    const lines = page.text.slice(shown.start, shown.end).split("\n");
    const body = h("div", { class: "lines" }, ...lines.map((text, index) => lineElement(shown.first + index, text, index < lines.length - 1)));
    const inside = ranges.map(([start, end]) => [start - shown.start, end - shown.start]);
    const mark = markBoth(body, inside, parts);
    shade(body, inside);
    const looked = ranges.length ? null : body.querySelector(`[data-line="${target}"]`);
    if (line !== null) looked?.classList.add("is-target");
    root.replaceChildren(
      shown.first > 1 ? more("Show earlier lines", () => draw(Math.max(1, shown.first - MAX_LINES / 2))) : "",
      body,
      shown.end < page.text.length ? more("Show later lines", () => draw(shown.first + MAX_LINES / 2)) : "",
    );
    body.style.setProperty("--digits", String(starts.length).length);
    if (page.form === "code" && shown.end - shown.start < MAX_COLOURED) colourLines(body, page, () => markBoth(body, inside, parts));
    return mark ?? (line !== null ? looked : null);
  };
  return draw(Math.max(1, target - MAX_LINES / 4));
}

/** The lines from the beginning of a passage to its end, empty ones among them. */
function shade(body, ranges) {
  let at = 0;
  for (const line of body.children) {
    const end = at + line.textContent.length;
    line.classList.toggle("is-marked", ranges.some(([from, to]) => from < end && to > at));
    at = end;
  }
}

function lineElement(number, text, broken) {
  return h("div", { class: "line", "data-line": String(number) }, broken ? `${text}\n` : text);
}

function more(label, onclick) {
  return h("button", { type: "button", class: "text-button lines-more", onclick }, label);
}

function lineStarts(text) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** The line, counted from 1, in which an offset lies. */
function lineAt(starts, offset) {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}

function windowOf(text, starts, from) {
  const first = Math.min(Math.floor(from), starts.length);
  const start = starts[first - 1];
  let last = Math.min(first + MAX_LINES, starts.length + 1);
  while (last > first + 1 && (starts[last - 1] ?? text.length) - start > MAX_CHARS) last -= 1;
  const end = Math.min(last > starts.length ? text.length : starts[last - 1] - 1, start + MAX_CHARS);
  return { first, start, end };
}

/** Colours the lines in place. Strings and comments may go over several lines, so the whole is coloured at once. */
async function colourLines(body, page, remark) {
  const { default: highlighter } = await import("./vendor/highlight-11.12.0.js");
  const language = /\.(\w+)$/.exec(page.filename ?? "")?.[1] ?? "";
  if (!highlighter.getLanguage(language)) return;
  const elements = [...body.children];
  const source = elements.map((element) => element.textContent).join("");
  const coloured = sanitise(highlighter.highlight(source, { language, ignoreIllegals: true }).value);
  const lines = splitLines(coloured);
  if (lines.length !== elements.length) return;
  elements.forEach((element, index) => element.replaceChildren(...lines[index]));
  remark();
}

/** The nodes of each line, its line break included; what spans several lines is opened again on each. */
function splitLines(fragment) {
  const lines = [[]];
  const visit = (node, kind) => {
    if (node.nodeType !== Node.TEXT_NODE) return node.childNodes.forEach((child) => visit(child, node.className || kind));
    node.data.split(/(?<=\n)/).forEach((piece) => {
      lines.at(-1).push(kind ? h("span", { class: kind }, piece) : piece);
      if (piece.endsWith("\n")) lines.push([]);
    });
    return undefined;
  };
  visit(fragment, "");
  return lines;
}
