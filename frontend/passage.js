// Where a quoted passage stands in a text that is laid out differently. Letters and digits alone are compared: spaces,
// hyphens at line ends, Markdown's marks and the order of table cells may differ. Pure, but for `markRanges`.

const SEED = 7;
/** Letters of a stretch that is no chance likeness. */
const SURE = 18;
/** Letters between a sure stretch and a shorter one that belongs to it. */
const NEAR = 60;
/** Letters between two stretches that are marked as well. */
const GAP = 14;
const FOUND_SHARE = 0.4;
const FOUND_LETTERS = 60;
const MAX_CANDIDATES = 200;
const CLOSING = /^\p{Mn}*[.,;:!?)\]}'"’”»]*/u;

/** The stretches of `quote` in `text` as `[start, end]` offsets in order; none where too little of it stands there. */
export function findStretches(text, quote) {
  const page = fold(text);
  const wanted = fold(quote ?? "");
  if (!wanted.letters) return [];
  const whole = findWhole(page, wanted.letters);
  if (whole >= 0) return [place(text, page, whole, whole + wanted.letters.length)];
  if (wanted.letters.length < SEED) return [];
  const found = trusted([...matches(page, wanted)]);
  const covered = found.reduce((sum, [begin, end]) => sum + end - begin, 0);
  if (covered < Math.min(FOUND_SHARE * wanted.letters.length, FOUND_LETTERS)) return [];
  return joined(found).map(([begin, end]) => place(text, page, begin, end));
}

function place(text, page, begin, end) {
  const until = page.ends[end - 1];
  return [page.starts[begin], until + (CLOSING.exec(text.slice(until, until + 4))?.[0].length ?? 0)];
}

/** Letters and digits in lower case; `starts` and `ends` are the offsets each came from, `words` where words begin. */
function fold(text) {
  const letters = [];
  const starts = [];
  const ends = [];
  const words = [];
  let offset = 0;
  let inside = false;
  for (const character of text) {
    const plain = letterOf(character);
    if (plain) {
      if (!inside || plain >= "\u2e80") words.push(starts.length);
      inside = true;
      letters.push(plain);
      for (let unit = 0; unit < plain.length; unit += 1) {
        starts.push(offset);
        ends.push(offset + character.length);
      }
    } else if (!/[\u00ad\u200b\p{Mn}]/u.test(character)) inside = false;
    offset += character.length;
  }
  return { letters: letters.join(""), starts, ends, words };
}

function letterOf(character) {
  if (/^[a-z0-9]$/.test(character)) return character;
  if (character < "\u0080") return /[A-Z]/.test(character) ? character.toLowerCase() : "";
  return character.normalize("NFKD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** Where all of it stands; a place at which a word begins comes before others. */
function findWhole(page, wanted) {
  const words = new Set(page.words);
  const first = page.letters.indexOf(wanted);
  for (let at = first; at >= 0; at = page.letters.indexOf(wanted, at + 1)) if (words.has(at)) return at;
  return first;
}

function* matches(page, { letters: wanted, words }) {
  const text = page.letters;
  const ends = new Set([...words.slice(1), wanted.length]);
  let done = 0;
  let expected = 0;
  for (const begin of words) {
    if (begin < done || wanted.length - begin < SEED) continue;
    const seed = wanted.slice(begin, begin + SEED);
    let best = -1;
    let length = 0;
    let at = text.indexOf(seed);
    for (let tries = 0; at >= 0 && tries < MAX_CANDIDATES; tries += 1) {
      const reach = common(text, at, wanted, begin);
      if (reach > length || (reach === length && Math.abs(at - expected) < Math.abs(best - expected))) [best, length] = [at, reach];
      at = text.indexOf(seed, at + 1);
    }
    while (length && !ends.has(begin + length) && best + length < text.length) length -= 1;
    if (length < SEED) continue;
    yield [best, best + length];
    done = begin + length;
    expected = best + length;
  }
}

function common(text, at, wanted, begin) {
  let length = 0;
  while (begin + length < wanted.length && text[at + length] === wanted[begin + length]) length += 1;
  return length;
}

/** Without short stretches far from any long one. */
function trusted(found) {
  const sorted = found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const sure = sorted.filter(([begin, end]) => end - begin >= SURE);
  return sorted.filter(([begin, end]) => end - begin >= SURE || sure.some(([from, to]) => begin <= to + NEAR && end >= from - NEAR));
}

function joined(found) {
  const all = [];
  for (const [begin, end] of found) {
    const last = all.at(-1);
    if (last && begin - last[1] <= GAP) last[1] = Math.max(last[1], end);
    else all.push([begin, end]);
  }
  return all;
}

/** The offset in a JavaScript string of the server's offset, which counts a character beyond U+FFFF as one. */
export function offsetOf(text, characters) {
  if (!/[\ud800-\udbff]/.test(text)) return Math.min(characters, text.length);
  let offset = 0;
  for (let left = characters; left > 0 && offset < text.length; left -= 1) offset += text.codePointAt(offset) > 0xffff ? 2 : 1;
  return offset;
}

const SENTENCE_END = /[.!?]["'”’)\]]*\s|\n\s*\n|\n(?=[#|*-])/g;

/**
 * The sentences of a passage that an answer repeats where it cites it as `[number]`; none where it says it in other
 * words.
 */
export function citedParts(passage, answer, number) {
  const said = [...answer.matchAll(new RegExp(`\\[[\\d,;\\s–-]*\\b${number}\\b[\\d,;\\s–-]*\\]`, "g"))].map(({ index }) => sentenceBefore(answer, index));
  const found = said.filter((each) => each.length >= SEED).flatMap((each) => findStretches(passage, each));
  const parts = found.map((range) => passage.slice(...wholeSentences(passage, range)).trim());
  const distinct = [...new Set(parts)];
  return distinct.join("").length < passage.length * 0.85 ? distinct : [];
}

/** The sentence that a marker stands at the end of, without other markers. */
function sentenceBefore(answer, index) {
  const before = answer.slice(Math.max(0, index - 600), index).replace(/(?:\[[\d,;\s–-]*\]\s*)+$/, "").replace(/[.!?]\s*$/, "");
  return before.slice(lastEnd(before)).replace(/\[[\d,;\s–-]*\]/g, " ").trim();
}

function lastEnd(text) {
  let end = 0;
  for (const found of text.matchAll(/[.!?:]["'”’)\]]*\s|\n/g)) end = found.index + found[0].length;
  return end;
}

function wholeSentences(text, [start, end]) {
  let from = 0;
  for (const found of text.matchAll(SENTENCE_END)) {
    const after = found.index + found[0].length;
    if (after <= start) from = after;
    else if (after >= end) return [from, after];
  }
  return [from, text.length];
}

/** Wraps those ranges of an element's text in `<mark>`; the first one, or null. Needs a DOM. */
export function markRanges(root, ranges, kind = "") {
  let at = 0;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push([node, at]);
    at += node.length;
  }
  for (const [node, from] of nodes) {
    const inside = ranges
      .map(([start, end]) => [Math.max(0, start - from), Math.min(node.length, end - from)])
      .filter(([start, end]) => end > start && node.data.slice(start, end).trim());
    // From the end, so that the offsets before it stay true.
    for (const [start, end] of inside.reverse()) {
      const mark = document.createElement("mark");
      if (kind) mark.className = kind;
      const part = node.splitText(start);
      part.splitText(end - start);
      part.replaceWith(mark);
      mark.append(part);
    }
  }
  return root.querySelector(kind ? `mark.${kind}` : "mark");
}
