// Reading a document where a passage was cited: a PDF's page as it looks, everything else as text.
// In the panel, or as a view of its own.

import { copyText, download, h, icon, iconButton, segmented, toast } from "./dom.js";
import { unitName, unitPlace } from "./format.js";
import { PagePicture, ZOOMS } from "./page_picture.js";
import { drawText } from "./text_view.js";

const PDF = "application/pdf";

/** The address of a place in a document: its page, or else its line. */
export function viewerPath(fileId, page, line = null) {
  const place = page ? `#page=${page}` : line ? `#line=${line}` : "";
  return `/files/${encodeURIComponent(fileId)}/view${place}`;
}

/** `{fileId, page, line}` of a viewer address, or null. `line` is null where none is named. */
export function parseViewerPath(pathname, hash) {
  const match = /^\/files\/([^/]+)\/view\/?$/.exec(pathname);
  if (!match) return null;
  const page = Number(/(?:^#|&)page=(\d{1,6})/.exec(hash)?.[1] ?? 1);
  const line = /(?:^#|&)line=(\d{1,9})/.exec(hash)?.[1];
  try {
    return { fileId: decodeURIComponent(match[1]), page: Math.max(1, page), line: line ? Math.max(1, Number(line)) : null };
  } catch {
    return null;
  }
}

/** A citation or a search hit as a place to show. */
export function placeOf(found) {
  const { file_id: fileId, filename = null, page, start, end, line = null, heading = [], said = [] } = found;
  return { fileId, filename, page: page || 1, quote: found.quote ?? found.text ?? null, start, end, line, heading: heading ?? [], said };
}

/** `actions`: `onClose()`, `onShown(place)`, `onPage(place)` after turning a page; in the panel `onExpand(place)`, `onBack()`. */
export class DocumentReader {
  #loading = null;

  constructor(api, pictures, actions) {
    this.api = api;
    this.actions = actions;
    this.asText = false;
    this.name = h("h2", { class: "reader-name", tabindex: "-1", "data-autofocus": "" });
    this.heading = h("p", { class: "reader-heading", hidden: true });
    this.previous = iconButton("left", "Previous page", () => this.turn(-1));
    this.next = iconButton("right", "Next page", () => this.turn(1));
    this.unit = h("span", { class: "page-unit" });
    this.number = h("input", { type: "number", class: "page-number", min: "1", inputmode: "numeric", "aria-label": "Page" });
    this.number.addEventListener("change", () => this.goTo(Number(this.number.value) || 1));
    this.of = h("span", { class: "page-of" });
    this.pages = h("div", { class: "page-nav", role: "group", "aria-label": "Pages" }, this.previous, this.unit, this.number, this.of, this.next);
    this.smaller = iconButton("minus", "Smaller", () => this.#zoom(-1));
    this.larger = iconButton("plus", "Larger", () => this.#zoom(1));
    this.fit = h("button", { type: "button", class: "zoom-fit", title: "Fit the width", onclick: () => this.#zoom(0) }, "Fit");
    this.zooms = h("div", { class: "zoom", role: "group", "aria-label": "Size", hidden: true }, this.smaller, this.fit, this.larger);
    this.ways = segmented("Shown as", [["Page", () => this.#show(false)], ["Text", () => this.#show(true)]]);
    this.original = h("button", { type: "button", class: "secondary original", "aria-label": "Open original", title: "Open original", onclick: () => this.#open() }, icon("open"), h("span", {}, "Open original"));
    this.bar = h("div", { class: "reader-bar" }, this.pages, this.zooms, h("span", { class: "spacer" }), this.ways.element);
    this.passage = h("figure", { class: "passage-note", hidden: true });
    this.status = h("p", { class: "sr-only", role: "status" });
    this.text = h("div", { class: "page-text", tabindex: "0" });
    this.scroller = h("div", { class: "panel-scroll reader-scroll", tabindex: "-1" });
    this.picture = new PagePicture(pictures, api, this.scroller);
    this.picture.element.hidden = true;
    this.scroller.append(this.passage, this.text);
    this.element = h(
      "div",
      { class: "panel-inner reader" },
      h("header", { class: "panel-head" }, this.#head()),
      this.bar,
      this.status,
      this.scroller,
    );
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.text.addEventListener("click", (event) => {
      const copy = event.target.closest("[data-copy]");
      if (copy) copyText(copy.closest(".code").querySelector("code").textContent.replace(/\n$/, ""), copy);
    });
  }

  #head() {
    const title = h("div", { class: "reader-title" }, this.name, this.heading);
    if (!this.actions.onExpand) {
      return [h("button", { type: "button", class: "secondary back", onclick: () => this.actions.onClose() }, icon("left"), h("span", {}, "Back")), title, this.original];
    }
    return [
      this.actions.onBack ? iconButton("left", "Back to the documents", () => this.actions.onBack(), { class: "icon-button back" }) : null,
      title,
      this.original,
      iconButton("expand", "Open in the reader", () => this.actions.onExpand(this.place)),
      iconButton("close", "Close the source", () => this.actions.onClose()),
    ];
  }

  turn(by) {
    this.goTo(this.place.page + by);
  }

  goTo(page) {
    const wanted = Math.max(1, Math.min(page, this.total ?? 1));
    this.number.value = String(wanted);
    if (wanted === this.place.page) return;
    this.show({ ...this.place, page: wanted, line: null });
    this.actions.onPage?.(this.place);
  }

  /**
   * Shows a place: `{fileId, page, line, quote, said, start, end, filename, heading}`. The passage is marked on
   * `quotePage`, which is the page it is first shown with; `said` are the sentences of it that matter most.
   */
  async show(place) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    if (place.fileId !== this.place?.fileId) Object.assign(this, { total: undefined, found: null });
    const page = Math.max(1, Math.min(place.page || 1, this.total ?? Infinity));
    this.place = { quotePage: place.quote ? page : null, ...place, page };
    this.#drawNames();
    this.#setBusy(true);
    this.passage.hidden = true;
    try {
      const found = await this.api.documentPage(place.fileId, page, loading.signal);
      this.total = Number(found.pages) || 1;
      this.found = { numbered: found.pages === null || found.pages === undefined, ...found, text: found.text ?? "", form: found.form ?? "plain" };
      this.place.filename = found.filename ?? place.filename;
      this.#drawNames();
      this.actions.onShown?.(this.place);
      await this.#draw(loading.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.found = null;
      this.#drawNames();
      this.#say(error.status === 404 ? "This document is no longer there, or no longer shared with you." : error.message);
    }
    if (this.#loading === loading) this.#setBusy(false);
  }

  #setBusy(busy) {
    this.text.setAttribute("aria-busy", String(busy));
    if (busy) this.picture.sheet.setAttribute("aria-busy", "true");
  }

  #drawNames() {
    const { total, found, place } = this;
    const unit = unitName(found?.unit);
    const label = found?.label ?? "";
    this.name.textContent = place.filename ?? "Document";
    const above = place.page === place.quotePage ? place.heading ?? [] : [];
    const trail = [label, ...above].filter((each, index, all) => each && each !== all[index - 1]);
    this.heading.hidden = !trail.length;
    this.heading.replaceChildren(...trail.map((each) => h("span", {}, each)));
    this.unit.textContent = unit;
    this.number.setAttribute("aria-label", unit);
    this.previous.setAttribute("aria-label", `Previous ${unit.toLowerCase()}`);
    this.next.setAttribute("aria-label", `Next ${unit.toLowerCase()}`);
    for (const button of [this.previous, this.next]) button.title = button.getAttribute("aria-label");
    this.number.value = String(place.page);
    this.number.max = String(total ?? "");
    this.of.textContent = total ? `of ${total}` : "";
    this.previous.disabled = place.page <= 1;
    this.next.disabled = !total || place.page >= total;
    this.pages.hidden = !found || found.numbered || (total === 1 && !found.label && found.unit !== "slide");
    this.ways.element.hidden = found?.content_type !== PDF;
    this.bar.hidden = Boolean(found) && this.pages.hidden && this.ways.element.hidden;
  }

  /** What is cited on the page that is shown. */
  get #cited() {
    const { quote, quotePage, page, start, end, line, said } = this.place;
    return quotePage === null || quotePage === page ? { quote, start, end, line, said } : { quote: null, line };
  }

  async #draw(signal) {
    const { found, place } = this;
    const cited = this.#cited;
    const pictured = found.content_type === PDF && !this.asText;
    const looked = found.text.trim() ? drawText(this.text, found, cited) : null;
    if (!found.text.trim()) this.#say(found.scanned ? "This page is a picture without text." : "This page has no text. Open the original to see it.");
    this.ways.choose(this.asText ? 1 : 0);
    this.#frame(pictured);
    this.text.setAttribute("aria-label", `Text of ${unitPlace(found.unit, place.page, this.total, found.label)}`);
    if (!pictured) return this.#placed(cited, Boolean(looked), looked);
    const name = `${unitPlace(found.unit, place.page, this.total, found.label)} of ${place.filename}`;
    try {
      const marked = await this.picture.show({ fileId: place.fileId, page: place.page, name, quote: cited.quote, said: cited.said }, signal);
      if (marked === null) return undefined;
      this.#placed(cited, marked, null);
      this.picture.toMark();
      for (const near of [place.page + 1, place.page - 1]) if (near >= 1 && near <= this.total) this.picture.prefetch(place.fileId, near);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return undefined;
      this.#frame(false);
      this.#placed(cited, Boolean(looked), looked, error.message ?? "");
    }
    return undefined;
  }

  /** The text stays for screen readers and for copying where the page is a picture. */
  #frame(pictured) {
    this.element.classList.toggle("is-picture", pictured);
    if (pictured && !this.picture.element.isConnected) this.text.before(this.picture.element);
    this.picture.element.hidden = !pictured;
    this.zooms.hidden = !pictured;
    this.text.classList.toggle("sr-only", pictured);
    this.text.tabIndex = pictured ? -1 : 0;
  }

  /** Says where the passage is, and shows it by itself where it could not be marked. */
  #placed({ quote }, marked, element, problem = "") {
    this.passage.hidden = !problem && (!quote || marked);
    if (!this.passage.hidden) {
      const why = problem || "The passage could not be marked here. It reads:";
      this.passage.replaceChildren(h("figcaption", {}, why), quote && !marked ? h("blockquote", { class: "passage" }, quote) : "");
    }
    this.status.textContent = `${unitPlace(this.found.unit, this.place.page, this.total, this.found.label)}${quote && marked ? ", the passage is marked" : ""}`;
    if (this.picture.element.hidden) this.#toElement(element);
  }

  #toElement(element) {
    if (!element) return void this.scroller.scrollTo(0, 0);
    const view = this.scroller.getBoundingClientRect();
    this.scroller.scrollTop += element.getBoundingClientRect().top - view.top - Math.min(view.height * 0.3, 160);
  }

  #say(text) {
    this.text.className = "page-text";
    this.text.replaceChildren(h("p", { class: "side-note" }, text));
    if (!this.found) this.#frame(false);
  }

  async #show(asText) {
    this.asText = asText;
    this.ways.choose(asText ? 1 : 0);
    if (this.found) await this.#draw(this.#loading.signal);
  }

  #zoom(by) {
    const at = ZOOMS.indexOf(this.picture.zoom);
    const zoom = by === 0 ? 1 : ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, at + by))];
    this.fit.textContent = zoom === 1 ? "Fit" : `${zoom * 100} %`;
    this.smaller.disabled = zoom === ZOOMS[0];
    this.larger.disabled = zoom === ZOOMS.at(-1);
    this.picture.resize(zoom);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
    const sideways = this.scroller.scrollWidth > this.scroller.clientWidth + 1;
    const pictured = !this.picture.element.hidden;
    if (event.key === "ArrowLeft" && !sideways) this.turn(-1);
    else if (event.key === "ArrowRight" && !sideways) this.turn(1);
    else if (pictured && (event.key === "+" || event.key === "=")) this.#zoom(1);
    else if (pictured && event.key === "-") this.#zoom(-1);
    else if (pictured && event.key === "0") this.#zoom(0);
    else return;
    event.preventDefault();
  }

  /** PDFs and plain text open in a tab; anything that could run (HTML) is shown as text, the rest is saved. */
  async #open() {
    const { fileId, filename, page } = this.place;
    this.original.disabled = true;
    try {
      const blob = await this.api.documentContent(fileId);
      const type = safeType(blob.type, filename ?? "");
      if (type === null) return void download(blob, filename || "document");
      const url = URL.createObjectURL(new Blob([blob], { type }));
      const tab = h("a", { href: type === PDF ? `${url}#page=${page}` : url, target: "_blank", rel: "noopener noreferrer" });
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
  if (plain === PDF) return plain;
  if (plain.startsWith("text/") || plain === "application/json") return "text/plain;charset=utf-8";
  if (/\.(txt|md|markdown|csv|json|html?)$/i.test(filename)) return "text/plain;charset=utf-8";
  return null;
}
