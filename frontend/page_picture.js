// A page of a PDF as it looks, with the cited passage marked on it.

import { h } from "./dom.js";

const WIDTHS = [480, 720, 960, 1280, 1600, 2000, 2400];
const KEPT = 24;
const SHARPEST = 2;
export const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3];

/** Rendered pages as blob addresses, each fetched once: pictures cannot send the token by themselves. */
export class PagePictures {
  #urls = new Map();

  constructor(api) {
    this.api = api;
  }

  /** The address of a page's picture, `width` pixels wide. Rejects with an ApiError. */
  url(fileId, page, width) {
    const key = `${fileId} ${page} ${width}`;
    const known = this.#urls.get(key);
    if (known) {
      this.#urls.delete(key);
      this.#urls.set(key, known);
      return known;
    }
    const coming = this.api.pageImage(fileId, page, width).then((blob) => URL.createObjectURL(new Blob([blob], { type: "image/png" })));
    coming.catch(() => this.#urls.delete(key));
    this.#urls.set(key, coming);
    if (this.#urls.size > KEPT) this.#drop(this.#urls.keys().next().value);
    return coming;
  }

  /** Forgets everything: another user signs in. */
  reset() {
    for (const key of [...this.#urls.keys()]) this.#drop(key);
  }

  #drop(key) {
    const gone = this.#urls.get(key);
    this.#urls.delete(key);
    gone?.then((url) => URL.revokeObjectURL(url), () => {});
  }
}

/** One page on the screen. `scroller` is what scrolls around it. */
export class PagePicture {
  #shown = 0;

  constructor(pictures, api, scroller) {
    this.pictures = pictures;
    this.api = api;
    this.scroller = scroller;
    this.zoom = 1;
    this.image = h("img", { alt: "", decoding: "async", draggable: "false" });
    this.marks = h("div", { class: "sheet-marks", "aria-hidden": "true" });
    this.element = h("div", { class: "sheet-frame" }, h("figure", { class: "sheet", "aria-busy": "true" }, this.image, this.marks));
    this.sheet = this.element.firstElementChild;
  }

  /**
   * Shows a page: `{fileId, page, name, quote, said}`, `quote` or null, `said` the sentences of it to be marked most. Resolves to whether the quote was marked on it, or to
   * null when another page was asked for meanwhile. Rejects when there is no picture.
   */
  async show(place, signal) {
    const mine = ++this.#shown;
    this.place = place;
    this.marks.replaceChildren();
    this.sheet.setAttribute("aria-busy", "true");
    const finding = Promise.all([place.quote, place.said?.join("\n\n")].map((text) => this.#find(text, signal)));
    finding.catch(() => {});
    await this.#load(mine);
    const [around, cited] = await finding;
    if (mine !== this.#shown) return null;
    const kind = cited.length ? "around" : "cited";
    this.marks.replaceChildren(...around.map((rect) => markBox(rect, kind)), ...cited.map((rect) => markBox(rect, "cited")));
    return around.length > 0;
  }

  async #find(text, signal) {
    if (!text) return [];
    const { fileId, page } = this.place;
    const found = await this.api.pageMarks(fileId, page, text, signal).catch(() => null);
    return found?.rects ?? [];
  }

  /** Another size: the sharper picture takes the place of the old one when it is there. */
  async resize(zoom) {
    this.zoom = zoom;
    this.sheet.style.width = zoom === 1 ? "" : `${zoom * 100}%`;
    this.element.classList.toggle("is-zoomed", zoom > 1);
    if (this.place) await this.#load(this.#shown).catch(() => {});
  }

  /** The first mark, or else the top of the page, comes into sight. */
  toMark() {
    const first = this.marks.querySelector(".cited");
    if (!first) return void this.scroller.scrollTo(0, 0);
    const view = this.scroller.getBoundingClientRect();
    const mark = first.getBoundingClientRect();
    this.scroller.scrollTop += mark.top - view.top - view.height * 0.3;
    if (this.zoom > 1) this.scroller.scrollLeft += mark.left - view.left - 40;
  }

  /** Fetches a page that will probably be turned to. */
  prefetch(fileId, page) {
    this.pictures.url(fileId, page, this.#width()).catch(() => {});
  }

  async #load(mine) {
    const { fileId, page, name } = this.place;
    const url = await this.pictures.url(fileId, page, this.#width());
    if (mine !== this.#shown) return;
    if (this.image.getAttribute("src") !== url) {
      this.image.src = url;
      await this.image.decode();
    }
    if (mine !== this.#shown) return;
    this.image.alt = name;
    this.sheet.setAttribute("aria-busy", "false");
  }

  #width() {
    const room = (this.element.clientWidth || 800) * this.zoom * Math.min(SHARPEST, window.devicePixelRatio || 1);
    return WIDTHS.find((width) => width >= room) ?? WIDTHS.at(-1);
  }
}

function markBox([x0, y0, x1, y1], kind) {
  const box = h("i", { class: `sheet-mark ${kind}` });
  const share = (value) => `${(value * 100).toFixed(3)}%`;
  Object.assign(box.style, { left: share(x0), top: share(y0), width: share(x1 - x0), height: share(y1 - y0) });
  return box;
}
