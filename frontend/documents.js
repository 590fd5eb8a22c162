// The user's documents: upload with progress, ingestion as it goes on, list, delete.

import { Collections } from "./collections.js";
import { DocumentSearch } from "./document_search.js";
import { ask, byId, h, icon, iconButton, segmented, toast } from "./dom.js";
import { count, fileSize } from "./format.js";

const POLL_MS = 2000;
const PARALLEL_UPLOADS = 2;
const KINDS = "PDF, Word, PowerPoint, Excel, OpenDocument, RTF, EPUB, HTML, Markdown, text, code, e-mail, CSV, JSON, SQLite";

/** `actions`: `onOpen(document)`, `onFound(hit)`, `onChanged()` (list or uploads moved), `onCollections()`. */
export class Documents {
  #watched = new Map();
  #queue = [];
  #active = 0;

  constructor(state, api, panel, actions) {
    this.state = state;
    this.api = api;
    this.panel = panel;
    this.actions = actions;
    this.list = h("ul", { class: "documents" });
    this.collections = new Collections(state, api, { onChanged: () => actions.onCollections() });
    this.search = new DocumentSearch(api, { onFound: (hit) => actions.onFound(hit), onQuery: () => this.#arrange() });
    this.parts = segmented("Show", [["Files", () => this.#turn("files")], ["Collections", () => this.#turn("collections")]]);
    this.part = "files";
    this.dropzone = h(
      "div",
      { class: "dropzone" },
      h("p", {}, "Drop files anywhere on the page, or"),
      h("button", { type: "button", class: "secondary", onclick: () => byId("file-input").click() }, icon("upload"), "Choose files"),
      h("small", {}, KINDS),
    );
  }

  async load() {
    const documents = this.state.documents;
    try {
      const before = new Set(documents.items.map((each) => each.file_id));
      const found = await this.api.documents();
      // An upload that ended while the list was on its way is not in it, and must not vanish.
      const known = new Set([...before, ...found.documents.map((each) => each.file_id)]);
      const meanwhile = documents.items.filter((each) => !known.has(each.file_id));
      const total = (found.total ?? found.documents.length) + meanwhile.length;
      Object.assign(documents, { items: [...meanwhile, ...found.documents], total, loaded: true, error: null });
      for (const item of documents.items) if (unfinished(item)) this.#watch(item.file_id);
    } catch (error) {
      documents.error = error.message;
    }
    this.#changed();
  }

  /** Forgets everything: another user signs in. */
  reset() {
    for (const controller of this.#watched.values()) controller.abort();
    this.#watched.clear();
    this.#queue = [];
    this.collections.reset();
    this.search.clear();
  }

  open() {
    const content = h(
      "div",
      { class: "panel-inner" },
      h(
        "header",
        { class: "panel-head" },
        h("h2", { tabindex: "-1", "data-autofocus": "" }, "Documents"),
        iconButton("close", "Close documents", () => this.panel.close()),
      ),
      h("div", { class: "library-bar" }, this.search.element, this.parts.element),
      h("div", { class: "panel-scroll library" }, this.search.results, this.dropzone, this.list, this.collections.element),
    );
    this.panel.open("documents", content);
    this.#arrange();
    this.draw();
    this.collections.load();
  }

  #turn(part) {
    this.part = part;
    this.#arrange();
    if (part === "collections") this.collections.load();
  }

  /** What was found takes the place of the list as long as something is searched for. */
  #arrange() {
    const searching = Boolean(this.search.query);
    this.parts.element.hidden = searching;
    this.parts.choose(this.part === "files" ? 0 : 1);
    this.dropzone.hidden = this.list.hidden = searching || this.part !== "files";
    this.collections.element.hidden = searching || this.part !== "collections";
  }

  /** Uploads several files, two at a time. */
  add(files) {
    for (const file of files) {
      const upload = { filename: file.name, size: file.size, status: "uploading", progress: 0, error: null, file };
      this.state.uploads.push(upload);
      this.#queue.push(upload);
    }
    this.#changed();
    this.#next();
  }

  dismiss(upload) {
    this.state.uploads = this.state.uploads.filter((each) => each !== upload);
    this.#changed();
  }

  draw() {
    const { items, total, loaded, error } = this.state.documents;
    const pending = this.state.uploads.filter((each) => !each.fileId);
    const rows = [...pending.map((upload) => this.#uploadRow(upload)), ...items.map((item) => this.#row(item))];
    if (error && !items.length) {
      rows.push(h("li", { class: "side-note" }, h("p", {}, error), h("button", { type: "button", class: "text-button", onclick: () => this.load() }, "Try again")));
    } else if (!rows.length) {
      rows.push(h("li", { class: "side-note" }, loaded ? "No documents yet. Add some, and answers can quote them." : "Loading…"));
    }
    if (total > items.length) rows.push(h("li", { class: "side-note" }, `The newest ${items.length} of ${total} are shown.`));
    this.list.replaceChildren(...rows);
    this.search.element.hidden = !items.some((item) => item.chunks > 0 || item.status === "ready");
    this.collections.draw();
  }

  #changed() {
    const ready = this.state.documents.total;
    const badge = byId("documents-count");
    badge.hidden = !ready;
    badge.textContent = String(ready);
    if (this.panel.kind === "documents") this.draw();
    this.actions.onChanged();
  }

  #next() {
    while (this.#active < PARALLEL_UPLOADS && this.#queue.length) {
      this.#active += 1;
      this.#send(this.#queue.shift()).finally(() => {
        this.#active -= 1;
        this.#next();
      });
    }
  }

  async #send(upload) {
    try {
      const stored = await this.api.upload(upload.file, (share) => {
        upload.progress = share;
        this.#changed();
      });
      upload.file = null;
      upload.fileId = stored.file_id;
      upload.status = stored.status;
      const { documents } = this.state;
      if (!documents.items.some((each) => each.file_id === stored.file_id)) {
        documents.items.unshift({ created_at: Date.now() / 1000, progress: 0, ...stored });
        documents.total += 1;
      }
      if (unfinished(stored)) this.#watch(stored.file_id);
    } catch (error) {
      upload.file = null;
      Object.assign(upload, { status: "failed", error: error.message });
    }
    this.#changed();
  }

  /** Follows one ingestion by its events; when they break off, asks again until it is over. */
  async #watch(id) {
    if (this.#watched.has(id)) return;
    const controller = new AbortController();
    this.#watched.set(id, controller);
    while (!controller.signal.aborted && this.#isUnfinished(id)) {
      try {
        for await (const event of this.api.documentEvents(id, controller.signal)) this.#merge(id, event);
      } catch (error) {
        if (error.status === 401 || error.status === 404 || controller.signal.aborted) break;
      }
      if (this.#isUnfinished(id)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.#watched.delete(id);
  }

  #isUnfinished(id) {
    const item = this.state.documents.items.find((each) => each.file_id === id);
    return Boolean(item && unfinished(item));
  }

  #merge(id, event) {
    const item = this.state.documents.items.find((each) => each.file_id === id);
    if (item) Object.assign(item, event);
    const upload = this.state.uploads.find((each) => each.fileId === id);
    if (upload) Object.assign(upload, { status: event.status, error: event.error ?? null, progress: event.progress ?? 0 });
    this.#changed();
  }

  #uploadRow(upload) {
    const failed = upload.status === "failed";
    return h(
      "li",
      { class: "document", "data-status": upload.status },
      icon(failed ? "warn" : "doc"),
      h(
        "div",
        { class: "document-text" },
        h("span", { class: "document-name" }, upload.filename),
        failed ? h("span", { class: "document-error" }, upload.error) : h("span", { class: "document-meta" }, `Uploading · ${fileSize(upload.size)}`),
        failed ? null : h("progress", { max: 1, value: upload.progress, "aria-label": `Uploading ${upload.filename}` }),
      ),
      failed ? iconButton("close", `Hide ${upload.filename}`, () => this.dismiss(upload)) : null,
    );
  }

  #row(item) {
    const busy = unfinished(item);
    const failed = item.status === "failed";
    const meta = busy ? progressOf(item) : aboutDocument(item);
    const name = item.status === "ready"
      ? h("button", { type: "button", class: "document-name", onclick: () => this.actions.onOpen(item) }, item.filename)
      : h("span", { class: "document-name" }, item.filename);
    const progress = item.progress > 0 ? { max: 1, value: item.progress } : {};
    return h(
      "li",
      { class: "document", "data-status": item.status },
      icon(failed ? "warn" : "doc"),
      h(
        "div",
        { class: "document-text" },
        name,
        failed ? h("span", { class: "document-error" }, item.error ?? "It could not be read.") : h("span", { class: "document-meta" }, meta),
        item.note && !failed && !busy ? h("span", { class: "document-note" }, item.note) : null,
        busy ? h("progress", { ...progress, "aria-label": `Reading ${item.filename}` }) : null,
      ),
      iconButton("trash", `Delete ${item.filename}`, () => this.#delete(item)),
    );
  }

  async #delete(item) {
    const agreed = await ask({
      title: "Delete document?",
      text: `“${item.filename}” and everything remembered from it will be gone for good. Answers that quote it stay.`,
      confirm: "Delete",
      danger: true,
    });
    if (!agreed) return;
    try {
      await this.api.deleteDocument(item.file_id);
    } catch (error) {
      if (error.status !== 404) return void toast(error.message, { bad: true });
    }
    this.#watched.get(item.file_id)?.abort();
    const { documents } = this.state;
    documents.items = documents.items.filter((each) => each.file_id !== item.file_id);
    documents.total = Math.max(0, documents.total - 1);
    this.state.uploads = this.state.uploads.filter((each) => each.fileId !== item.file_id);
    this.#changed();
    toast("Document deleted");
  }
}

/** "Reading 45 % · 120 passages searchable so far". */
export function progressOf(item) {
  const share = item.progress > 0 ? ` ${Math.round(item.progress * 100)} %` : "";
  const doing = `${item.status === "processing" ? "Reading" : "Waiting to be read"}${share}`;
  return item.chunks > 0 ? `${doing} · ${count(item.chunks, "passage")} searchable so far` : doing;
}

/** "1.2 MB · 34 pages · 87 passages". */
export function aboutDocument(item) {
  const unit = item.unit ?? "page";
  return [fileSize(item.size), item.pages ? count(item.pages, unit) : "", item.chunks ? count(item.chunks, "passage") : ""].filter(Boolean).join(" · ");
}

function unfinished(item) {
  return item.status === "uploaded" || item.status === "processing";
}
