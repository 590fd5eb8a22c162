// Searching inside the documents: passages as they are found, opened where they stand.

import { strength } from "./answer.js";
import { h, icon } from "./dom.js";
import { citedPlace, plainQuote } from "./format.js";

const DELAY_MS = 250;
const FOUND = 12;
const SNIPPET = 260;

/** `actions`: `onFound(hit)`, `onQuery(query)` when the field is filled or emptied. */
export class DocumentSearch {
  #asking = null;
  #timer = 0;

  constructor(api, actions) {
    this.api = api;
    this.actions = actions;
    this.field = h("input", { type: "search", placeholder: "Search inside your documents", "aria-label": "Search inside your documents", autocomplete: "off", maxlength: "500" });
    this.element = h("div", { class: "search document-search", role: "search" }, icon("search"), this.field);
    this.results = h("div", { class: "found", "aria-live": "polite", hidden: true });
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#ask();
      else if (event.key === "Escape" && this.field.value) {
        event.stopPropagation();
        this.clear();
      }
    });
  }

  get query() {
    return this.field.value.trim();
  }

  clear() {
    this.field.value = "";
    this.#changed();
  }

  #changed() {
    clearTimeout(this.#timer);
    this.results.hidden = !this.query;
    this.actions.onQuery(this.query);
    if (this.query) this.#timer = setTimeout(() => this.#ask(), DELAY_MS);
    else this.#asking?.abort();
  }

  async #ask() {
    clearTimeout(this.#timer);
    const { query } = this;
    if (!query) return;
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    this.results.setAttribute("aria-busy", "true");
    try {
      this.#draw(query, await this.api.search({ query, top_k: FOUND }, asking.signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.results.replaceChildren(h("p", { class: "side-note" }, error.message));
    }
    this.results.setAttribute("aria-busy", "false");
  }

  #draw(query, hits) {
    if (!hits.length) return void this.results.replaceChildren(h("p", { class: "side-note" }, "No passage found. Try other words."));
    this.results.replaceChildren(h("ul", {}, ...hits.map((hit) => h("li", {}, this.#card(query, hit)))));
  }

  #card(query, hit) {
    const heading = Array.isArray(hit.heading) ? hit.heading : [];
    return h(
      "button",
      { type: "button", class: "source", onclick: () => this.actions.onFound(hit) },
      h("span", { class: "source-head" }, icon("doc"), h("span", { class: "source-name" }, hit.filename ?? "Document"), Number.isFinite(hit.score) ? strength(hit) : null),
      citedPlace(hit) ? h("span", { class: "source-where" }, citedPlace(hit)) : null,
      heading.length ? h("span", { class: "source-trail" }, ...heading.map((each) => h("span", {}, each))) : null,
      h("span", { class: "source-quote" }, ...snippet(plainQuote(hit.text ?? ""), query)),
    );
  }
}

/** The part of a passage around the words that were searched for, these marked. */
export function snippet(text, query) {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [])];
  const pattern = words.length ? new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})`, "giu") : null;
  const first = pattern ? Math.max(0, text.search(pattern)) : 0;
  const from = first > SNIPPET / 2 ? text.indexOf(" ", first - SNIPPET / 3) + 1 : 0;
  const part = text.slice(from, from + SNIPPET);
  const pieces = [from ? "…" : ""];
  let at = 0;
  for (const found of pattern ? part.matchAll(pattern) : []) {
    pieces.push(part.slice(at, found.index), h("mark", {}, found[0]));
    at = found.index + found[0].length;
  }
  return [...pieces, part.slice(at), from + SNIPPET < text.length ? "…" : ""];
}
