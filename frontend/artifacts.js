// Files that tools made: pictures shown where they belong, everything as a download. Fetched with the token, kept as blobs.

import { download, h, icon } from "./dom.js";
import { fileSize } from "./format.js";
import { isPicture } from "./files.js";

const KEPT = 40;
const GONE = "This file is not there any more: it was deleted, or newer files took its room.";

/** Blobs already fetched, as addresses for <img>. One instance a page; `reset` when another user signs in. */
export class Artifacts {
  #kept = new Map();

  constructor(api) {
    this.api = api;
  }

  /** Resolves to `{blob, url}`; `url` is a picture's address for an <img>. */
  get(file) {
    let fetched = this.#kept.get(file.id);
    if (fetched) return fetched;
    fetched = this.#fetch(file);
    this.#kept.set(file.id, fetched);
    fetched.catch(() => this.#kept.get(file.id) === fetched && this.#kept.delete(file.id));
    if (this.#kept.size > KEPT) this.#drop(this.#kept.keys().next().value);
    return fetched;
  }

  reset() {
    for (const id of [...this.#kept.keys()]) this.#drop(id);
  }

  async #fetch(file) {
    const data = await this.api.artifact(file.id);
    // The type decides what a browser does with the data: a picture's as announced, nothing else is ever more than bytes.
    const blob = new Blob([data], { type: isPicture(file) ? file.type : "application/octet-stream" });
    if (!isPicture(file)) return { blob, url: null };
    // A blob's address belongs to this site: an SVG opened by it in a tab of its own would run with the site's rights.
    const url = file.type === "image/svg+xml" ? await dataUrl(blob) : URL.createObjectURL(blob);
    return { blob, url };
  }

  #drop(id) {
    // What an <img> has loaded stays in it.
    this.#kept.get(id)?.then(({ url }) => url && URL.revokeObjectURL(url), () => {});
    this.#kept.delete(id);
  }
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** The files of a step or an answer: pictures, then chips. `artifacts` is an Artifacts. */
export function fileShelf(files, artifacts) {
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  return h(
    "div",
    { class: "files" },
    ...pictures.map((file) => picture(file, artifacts)),
    others.length ? h("ul", { class: "file-chips", "aria-label": "Files" }, ...others.map((file) => h("li", {}, chip(file, artifacts)))) : null,
  );
}

function picture(file, artifacts) {
  const frame = h("div", { class: "file-frame", "aria-busy": "true" });
  const save = h("button", { type: "button", class: "file-save", "aria-label": `Download ${file.name}` }, icon("download"), "Download");
  const element = h(
    "figure",
    { class: "file-picture" },
    frame,
    h("figcaption", {}, h("span", { class: "file-name", title: file.name }, file.name), h("span", { class: "file-size" }, fileSize(file.size)), save),
  );
  const failed = (error) => {
    const gone = error.status === 404;
    save.hidden = gone;
    frame.replaceChildren(note(gone ? GONE : error.message, gone ? null : show));
  };
  const show = async () => {
    frame.replaceChildren();
    frame.setAttribute("aria-busy", "true");
    try {
      const { url } = await artifacts.get(file);
      const image = h("img", { src: url, alt: file.name, decoding: "async" });
      image.addEventListener("error", () => frame.replaceChildren(note("This picture cannot be shown. It can still be downloaded.")));
      frame.replaceChildren(image);
    } catch (error) {
      failed(error);
    }
    frame.setAttribute("aria-busy", "false");
  };
  save.addEventListener("click", () => keep(file, artifacts, failed));
  whenSeen(element, show);
  return element;
}

function chip(file, artifacts) {
  const size = fileSize(file.size);
  const label = ["Download", file.name, size].filter(Boolean).join(" ");
  const button = h("button", { type: "button", class: "file-chip", title: file.name, "aria-label": label }, icon("doc"), h("span", { class: "file-name" }, file.name), h("span", { class: "file-size" }, size), icon("download"));
  const holder = h("div", {}, button);
  button.addEventListener("click", () =>
    keep(file, artifacts, (error) => {
      const gone = error.status === 404;
      button.disabled = gone;
      holder.replaceChildren(button, note(gone ? GONE : error.message));
    }),
  );
  return holder;
}

async function keep(file, artifacts, failed) {
  try {
    download((await artifacts.get(file)).blob, file.name);
  } catch (error) {
    failed(error);
  }
}

function note(text, retry = null) {
  const again = retry && h("button", { type: "button", class: "text-button", onclick: retry }, "Try again");
  return h("p", { class: "file-note", role: "status" }, icon("warn"), h("span", {}, text), again);
}

/** Runs `action` once, as soon as `element` comes near the visible part of the page. */
function whenSeen(element, action) {
  const watch = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      action();
    },
    { rootMargin: "600px", scrollMargin: "600px" },
  );
  watch.observe(element);
}
