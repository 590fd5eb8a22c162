// Reading a document page by page, with the cited passage marked: in the panel, or as a view of its own.

import { download, h, icon, iconButton, toast } from "./dom.js";
import { findPassage } from "./format.js";

/** The address of a document's page in this app. */
export function viewerPath(fileId, page) {
  return `/files/${encodeURIComponent(fileId)}/view${page ? `#page=${page}` : ""}`;
}

/** `{fileId, page}` of a viewer address, or null. */
export function parseViewerPath(pathname, hash) {
  const match = /^\/files\/([^/]+)\/view\/?$/.exec(pathname);
  if (!match) return null;
  const page = Number(/(?:^#|&)page=(\d{1,6})/.exec(hash)?.[1] ?? 1);
  try {
    return { fileId: decodeURIComponent(match[1]), page: Math.max(1, page) };
  } catch {
    return null;
  }
}

/** `actions`: `onClose()`, `onPage(fileId, page)` after turning a page, `onExpand(place)` in the panel only. */
export class DocumentReader {
  #loading = null;

  constructor(api, actions) {
    this.api = api;
    this.actions = actions;
    this.name = h("h2", { class: "reader-name", tabindex: "-1", "data-autofocus": "" });
    this.previous = iconButton("left", "Previous page", () => this.turn(-1));
    this.next = iconButton("right", "Next page", () => this.turn(1));
    this.number = h("input", { type: "number", class: "page-number", min: "1", inputmode: "numeric", "aria-label": "Page" });
    this.number.addEventListener("change", () => this.show({ ...this.place, page: Number(this.number.value) || 1 }));
    this.of = h("span", { class: "page-of" });
    this.pages = h("div", { class: "page-nav", role: "group", "aria-label": "Pages" }, this.previous, this.number, this.of, this.next);
    this.passage = h("blockquote", { class: "passage", hidden: true });
    this.text = h("div", { class: "page-text", tabindex: "0", "aria-live": "polite" });
    this.original = h("button", { type: "button", class: "secondary", onclick: () => this.#open() }, icon("open"), "Open original");
    const head = actions.onExpand
      ? [
          this.name,
          iconButton("expand", "Open in the reader", () => actions.onExpand(this.place)),
          iconButton("close", "Close the source", () => actions.onClose()),
        ]
      : [h("button", { type: "button", class: "secondary back", onclick: () => actions.onClose() }, icon("left"), "Back"), this.name];
    this.element = h(
      "div",
      { class: "panel-inner reader" },
      h("header", { class: "panel-head" }, ...head),
      h("div", { class: "reader-bar" }, this.pages, h("span", { class: "spacer" }), this.original),
      h("div", { class: "panel-scroll" }, this.passage, this.text),
    );
    this.element.addEventListener("keydown", (event) => {
      if (event.target === this.number || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") this.turn(-1);
      else if (event.key === "ArrowRight") this.turn(1);
    });
  }

  turn(by) {
    const page = this.place.page + by;
    if (page < 1 || page > (this.total ?? 1)) return;
    this.show({ ...this.place, page });
    this.actions.onPage?.(this.place.fileId, page);
  }

  /** Shows a page. `quote` (with `quotePage`) is marked on its page; `filename` until the server has told it. */
  async show(place) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    const page = Math.max(1, Math.min(place.page || 1, this.total ?? Infinity));
    this.place = { quotePage: place.quote ? page : null, ...place, page };
    this.name.textContent = place.filename ?? "Document";
    this.#pageNumbers();
    this.text.setAttribute("aria-busy", "true");
    this.passage.hidden = true;
    try {
      const found = await this.api.documentPage(place.fileId, page, loading.signal);
      this.total = Number(found.pages) || 1;
      this.place.filename = found.filename ?? place.filename;
      this.name.textContent = this.place.filename ?? "Document";
      this.#draw(found.text ?? "");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#draw("", error.message);
    }
    this.text.setAttribute("aria-busy", "false");
    this.#pageNumbers();
  }

  #pageNumbers() {
    const total = this.total ?? null;
    this.number.value = String(this.place.page);
    this.number.max = String(total ?? "");
    this.of.textContent = total ? `of ${total}` : "";
    this.previous.disabled = this.place.page <= 1;
    this.next.disabled = total === null || this.place.page >= total;
    this.pages.hidden = total === 1;
  }

  #draw(text, problem = null) {
    const { quote, quotePage, page } = this.place;
    const wanted = quote && quotePage === page ? quote : null;
    const found = wanted ? findPassage(text, wanted) : null;
    this.passage.hidden = !wanted || Boolean(found);
    this.passage.textContent = wanted ?? "";
    if (problem || !text.trim()) {
      this.text.replaceChildren(h("p", { class: "side-note" }, problem ?? "This page has no text. Open the original to see it."));
      return;
    }
    const [from, to] = found ?? [0, 0];
    const mark = found ? h("mark", {}, text.slice(from, to)) : "";
    this.text.replaceChildren(text.slice(0, from), mark, text.slice(to));
    const scroller = this.text.parentElement;
    scroller.scrollTop = found ? mark.offsetTop - scroller.offsetTop - 72 : 0;
  }

  /** PDFs and plain text open in a tab; anything that could run (HTML) is shown as text, the rest is saved. */
  async #open() {
    const { fileId, filename } = this.place;
    this.original.disabled = true;
    try {
      const blob = await this.api.documentContent(fileId);
      const type = safeType(blob.type, filename ?? "");
      if (type === null) return void download(blob, filename || "document");
      const url = URL.createObjectURL(new Blob([blob], { type }));
      const tab = h("a", { href: url, target: "_blank", rel: "noopener noreferrer" });
      tab.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      toast(error.message, { bad: true });
    } finally {
      this.original.disabled = false;
    }
  }
}

/** The type a blob may open with in this origin, or null when it may only be saved. */
export function safeType(type, filename) {
  const plain = type.split(";")[0].trim().toLowerCase();
  if (plain === "application/pdf") return plain;
  if (plain.startsWith("text/") || plain === "application/json") return "text/plain;charset=utf-8";
  if (/\.(txt|md|markdown|csv|json|html?)$/i.test(filename)) return "text/plain;charset=utf-8";
  return null;
}
