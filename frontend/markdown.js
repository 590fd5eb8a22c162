// Markdown of models, tools and documents to HTML that cannot run or load anything.
// Everything but `sanitise` is pure and runs without a DOM.

import { Marked } from "./vendor/marked-18.2.1.js";
import DOMPurify from "./vendor/purify-3.4.18.js";

/** Longer texts are shown as plain text: rendering them would freeze the page. */
export const MAX_CHARS = 400_000;

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeHtml(text) {
  return String(text).replace(/[&<>"']/g, (character) => ESCAPES[character]);
}

/** The address if a link may point there, else null: http, https, mailto, `#…` and this server's `/files/…`. */
export function safeHref(href) {
  const address = String(href ?? "").replace(/[\u0000-\u0020\u007f-\u009f\u200b-\u200f\u2028-\u202f\ufeff]/g, "");
  if (/^#/.test(address)) return address;
  if (/^\/files\/[\w.-]+(\/view)?(#page=\d+)?$/.test(address) && !address.includes("..")) return address;
  if (/^mailto:[^:]+$/i.test(address)) return address;
  if (!/^https?:\/\//i.test(address)) return null;
  try {
    const url = new URL(address);
    return url.hostname ? url.href : null;
  } catch {
    return null;
  }
}

/** The host of an address, for telling the reader where a link or picture would come from. */
export function hostOf(href) {
  try {
    return new URL(href).host;
  } catch {
    return "";
  }
}

const renderer = {
  html({ text }) {
    return escapeHtml(text);
  },
  link({ href, title, tokens }) {
    const inner = this.parser.parseInline(tokens);
    const address = safeHref(href);
    if (address === null) return inner;
    const hint = title ? ` title="${escapeHtml(title)}"` : "";
    return `<a href="${escapeHtml(address)}"${hint} target="_blank" rel="noopener noreferrer">${inner}</a>`;
  },
  image({ href, text }) {
    const address = safeHref(href);
    const label = escapeHtml(text || "picture");
    if (address === null || !/^https?:/.test(address)) return `<span class="image-off">${label} (not shown)</span>`;
    const host = escapeHtml(hostOf(address));
    return (
      `<a class="image-off" href="${escapeHtml(address)}" target="_blank" rel="noopener noreferrer">` +
      `${label} <span class="image-host">on ${host}</span></a>`
    );
  },
  code({ text, lang }) {
    const language = /^[\w+#.-]{1,20}/.exec(lang ?? "")?.[0] ?? "";
    const name = language ? ` class="language-${escapeHtml(language)}"` : "";
    return (
      `<div class="code"><div class="code-head"><span>${escapeHtml(language || "text")}</span>` +
      `<button type="button" class="code-copy" data-copy="code">Copy</button></div>` +
      `<pre tabindex="0"><code${name}>${escapeHtml(text)}\n</code></pre></div>`
    );
  },
  table(token) {
    const row = (cells, tag) =>
      `<tr>${cells.map((cell) => `<${tag}${align(cell)}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join("")}</tr>`;
    const body = token.rows.map((cells) => row(cells, "td")).join("");
    return `<div class="table"><table><thead>${row(token.header, "th")}</thead><tbody>${body}</tbody></table></div>`;
  },
  checkbox({ checked }) {
    return checked ? "☑ " : "☐ ";
  },
};

function align(cell) {
  return ["left", "center", "right"].includes(cell.align) ? ` align="${cell.align}"` : "";
}

/** `[3]` in an answer. A parenthesis after it, or a bracket that is no marker, makes it part of a link. */
const citation = {
  name: "citation",
  level: "inline",
  start: (source) => source.search(/\[\d{1,3}\]/),
  tokenizer(source) {
    const match = /^\[(\d{1,3})\](?!\(|\[(?!\d{1,3}\]))/.exec(source);
    return match ? { type: "citation", raw: match[0], number: Number(match[1]) } : undefined;
  },
  renderer(token) {
    const known = this.parser.options.citations;
    const n = token.number;
    if (known === "pending") return `<span class="cite cite-pending">${n}</span>`;
    if (!known?.has(n)) return escapeHtml(token.raw);
    return `<button type="button" class="cite" data-cite="${n}" aria-label="Source ${n}">${n}</button>`;
  },
};

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer,
  extensions: [citation],
  // Raw HTML is not a thing here: what looks like a tag stays text. Nor are link definitions: they would swallow
  // the list of sources that models like to write (`[1]: handbook.pdf`).
  tokenizer: { html: () => undefined, tag: () => undefined, def: () => undefined },
});

/**
 * The text as a list of HTML strings, one a top-level block, so that a growing answer redraws only its end.
 *
 * `citations`: a Set of the numbers that are real sources, `"pending"` while they are not known yet, or nothing.
 */
export function renderBlocks(text, { citations = null } = {}) {
  if (text.length > MAX_CHARS) return [plain(text)];
  try {
    const options = { ...marked.defaults, citations };
    const tokens = marked.lexer(text, options);
    return tokens.filter((token) => token.type !== "space").map((token) => marked.parser([token], options));
  } catch {
    // Thousands of nested quotes or brackets exhaust the parser's stack; the words are still worth showing.
    return [plain(text)];
  }
}

export function renderMarkdown(text, options) {
  return renderBlocks(text, options).join("");
}

function plain(text) {
  return `<p class="plain">${escapeHtml(text)}</p>`;
}

/**
 * A text cut anywhere, made presentable: half a link, an unclosed `**` or a lone `-` under a line (which would turn
 * it into a heading) do not flicker while the rest arrives.
 */
export function healTail(text) {
  const fences = text.match(/^ {0,3}(```|~~~)/gm) ?? [];
  if (fences.length % 2 === 1) return text;
  const cut = text.lastIndexOf("\n\n") + 1;
  let tail = text.slice(cut);
  tail = tail.replace(/\n[ \t]*(-{1,2}|=+|\*{1,2}|`{1,2}|\d{1,3}\.?)[ \t]*$/, "");
  tail = tail.replace(/!?\[([^[\]\n]{0,300})(\](\([^()\s]{0,2000})?)?$/, (whole, label, closed, address) => {
    if (/^\d{0,3}$/.test(label) && !address) return closed ? whole : "";
    return label;
  });
  const ticks = (tail.match(/`/g) ?? []).length;
  if (ticks % 2 === 1) return text.slice(0, cut) + (tail.endsWith("`") ? tail.slice(0, -1) : `${tail}\``);
  const stars = (tail.replace(/`[^`]*`/g, "").match(/\*\*/g) ?? []).length;
  if (stars % 2 === 1) tail = /\*\*\s*$/.test(tail) ? tail.replace(/\*\*\s*$/, "") : `${tail.trimEnd()}**`;
  return text.slice(0, cut) + tail;
}

const TEXT_ATTRIBUTES = "title target rel class align start type tabindex data-cite data-copy aria-label".split(" ");

const ALLOWED = {
  ALLOWED_TAGS: (
    "p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td a button span div"
  ).split(" "),
  ALLOWED_ATTR: ["href", ...TEXT_ATTRIBUTES],
  // Their values are no addresses, so the pattern below is not for them.
  ADD_URI_SAFE_ATTR: TEXT_ATTRIBUTES,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:|#|\/files\/)/i,
  RETURN_DOM_FRAGMENT: true,
};

/** The second wall: HTML to a DocumentFragment with allow-listed elements and attributes only. Needs a DOM. */
export function sanitise(html) {
  return DOMPurify.sanitize(html, ALLOWED);
}
