// Collections of documents in the panel: make, rename, fill, share with other users, delete.

import { ask, h, icon, iconButton, openMenu, toast } from "./dom.js";
import { count, fileSize } from "./format.js";

/** `actions`: `onChanged()` when the list of collections did. */
export class Collections {
  #open = null;
  #files = null;

  constructor(state, api, actions) {
    this.state = state;
    this.api = api;
    this.actions = actions;
    this.element = h("section", { class: "collections", "aria-label": "Collections" });
  }

  async load() {
    const { collections } = this.state;
    try {
      Object.assign(collections, { items: await this.api.collections(), loaded: true, error: null });
    } catch (error) {
      collections.error = error.message;
    }
    this.#changed();
  }

  /** Back to the list, for another user or another look. */
  reset() {
    this.#open = null;
    this.#files = null;
  }

  draw() {
    const item = this.state.collections.items.find((each) => each.id === this.#open);
    // What is typed into the field for sharing outlives a redraw.
    const typed = this.element.querySelector(".reader-add input");
    const kept = typed && { value: typed.value, focused: typed === document.activeElement };
    this.element.replaceChildren(...(item ? this.#detail(item) : this.#list()));
    const field = this.element.querySelector(".reader-add input");
    if (kept && field) {
      field.value = kept.value;
      if (kept.focused) field.focus();
    }
  }

  #changed() {
    this.draw();
    this.actions.onChanged();
  }

  #list() {
    const { items, loaded, error } = this.state.collections;
    const make = h("button", { type: "button", class: "secondary", onclick: () => this.#create() }, icon("plus"), "New collection");
    const lead = h("p", { class: "library-lead" }, "Documents that belong together. A conversation can search some of them instead of everything.");
    if (error && !items.length) {
      return [h("div", { class: "side-note" }, h("p", {}, error), h("button", { type: "button", class: "text-button", onclick: () => this.load() }, "Try again"))];
    }
    const rows = items.map((item) => this.#row(item));
    return [lead, make, rows.length ? h("ul", { class: "documents" }, ...rows) : h("p", { class: "side-note" }, loaded ? "No collections yet." : "Loading…")];
  }

  #row(item) {
    return h(
      "li",
      { class: "document collection" },
      icon(item.mine ? "folder" : "users"),
      h(
        "div",
        { class: "document-text" },
        h("button", { type: "button", class: "document-name", onclick: () => this.#show(item) }, item.name || "Unnamed collection"),
        h("span", { class: "document-meta" }, aboutCollection(item)),
      ),
      item.mine ? this.#more(item) : h("span", { class: "tag" }, "Read only"),
    );
  }

  #more(item) {
    const button = iconButton("more", `Options for ${item.name}`, () =>
      openMenu(button, [
        { icon: "edit", label: "Rename", run: () => this.#rename(item) },
        { icon: "trash", label: "Delete", danger: true, run: () => this.#delete(item) },
      ]), { "aria-haspopup": "menu", "aria-expanded": "false" });
    return button;
  }

  async #show(item) {
    this.#open = item.id;
    this.#files = null;
    this.draw();
    this.element.querySelector("h3")?.focus();
    if (!item.mine) return;
    await this.#try(async () => {
      const files = new Set(await this.api.collectionFiles(item.id));
      if (this.#open === item.id) this.#files = files;
    });
    this.draw();
  }

  #detail(item) {
    const back = h("button", { type: "button", class: "text-button collection-back", onclick: () => this.#leave(item) }, icon("left"), "All collections");
    const head = h("div", { class: "collection-head" }, h("h3", { tabindex: "-1" }, item.name || "Unnamed collection"), item.mine ? this.#more(item) : h("span", { class: "tag" }, "Read only"));
    if (!item.mine) {
      return [back, head, h("p", { class: "library-lead" }, `${item.owner} shares ${count(item.files, "document")} with you here. You can search them and read what is cited.`)];
    }
    return [back, head, this.#filesOf(item), this.#readersOf(item)];
  }

  #leave(item) {
    this.#open = null;
    this.draw();
    [...this.element.querySelectorAll(".collection .document-name")].find((each) => each.textContent === item.name)?.focus();
  }

  #filesOf(item) {
    const documents = this.state.documents.items.filter((each) => each.status !== "failed");
    const rows = documents.map((document) => {
      const box = h("input", { type: "checkbox", class: "check", checked: this.#files?.has(document.file_id) ?? false, disabled: !this.#files });
      box.addEventListener("change", () => this.#put(item, document, box));
      return h("li", {}, h("label", { class: "check-row" }, box, h("span", { class: "check-name" }, document.filename), h("span", { class: "document-meta" }, fileSize(document.size))));
    });
    const none = h("p", { class: "side-note" }, "There are no documents yet. Add some under Files.");
    return h("section", { class: "collection-part" }, h("h4", {}, "Documents"), rows.length ? h("ul", { class: "checks" }, ...rows) : none);
  }

  #readersOf(item) {
    const readers = item.readers ?? [];
    const field = h("input", { placeholder: "User name", "aria-label": "User to share with", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "64" });
    const form = h("form", { class: "reader-add", novalidate: true }, field, h("button", { type: "submit", class: "secondary" }, "Share"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = field.value.trim();
      if (name) this.#share(item, [...new Set([...readers, name])], field);
    });
    const chips = readers.map((name) =>
      h("li", { class: "chip" }, h("span", { class: "chip-name" }, name), iconButton("close", `Stop sharing with ${name}`, () => this.#share(item, readers.filter((each) => each !== name)))),
    );
    return h(
      "section",
      { class: "collection-part" },
      h("h4", {}, "Shared with"),
      h("p", { class: "library-lead" }, readers.length ? "They can search this collection and read its documents, and change nothing." : "Nobody: only you can see this collection."),
      chips.length ? h("ul", { class: "chips" }, ...chips) : null,
      form,
    );
  }

  async #create() {
    const name = await ask({ title: "New collection", confirm: "Create", value: "", label: "Name" });
    if (!name) return;
    await this.#try(async () => {
      const made = await this.api.createCollection(name);
      await this.load();
      const item = this.state.collections.items.find((each) => each.id === made.id);
      if (item) await this.#show(item);
    });
  }

  async #rename(item) {
    const name = await ask({ title: "Rename collection", confirm: "Rename", value: item.name ?? "", label: "Name" });
    if (!name || name === item.name) return;
    await this.#try(async () => {
      await this.api.renameCollection(item.id, name);
      item.name = name;
      this.#changed();
    });
  }

  async #delete(item) {
    const agreed = await ask({ title: "Delete collection?", text: `“${item.name}” will be gone for you and everybody it is shared with. Its documents stay.`, confirm: "Delete", danger: true });
    if (!agreed) return;
    await this.#try(async () => {
      await this.api.deleteCollection(item.id);
      const { collections } = this.state;
      collections.items = collections.items.filter((each) => each.id !== item.id);
      this.#open = null;
      this.#changed();
      toast("Collection deleted");
    });
  }

  async #put(item, document, box) {
    const wanted = box.checked;
    try {
      await (wanted ? this.api.addToCollection(item.id, document.file_id) : this.api.removeFromCollection(item.id, document.file_id));
      if (wanted) this.#files?.add(document.file_id);
      else this.#files?.delete(document.file_id);
      item.files = this.#files?.size ?? item.files;
      this.actions.onChanged();
    } catch (error) {
      box.checked = !wanted;
      toast(error.message, { bad: true });
    }
  }

  async #share(item, users, field = null) {
    await this.#try(async () => {
      Object.assign(item, await this.api.shareCollection(item.id, users));
      if (field) field.value = "";
      this.#changed();
      this.element.querySelector(".reader-add input")?.focus();
    });
  }

  async #try(work) {
    try {
      await work();
    } catch (error) {
      toast(error.message, { bad: true });
    }
  }
}

/** "3 documents · shared with bob" or "3 documents · from alice". */
export function aboutCollection(item) {
  const readers = item.readers ?? [];
  const shared = !item.mine ? `from ${item.owner}` : readers.length > 2 ? `shared with ${readers.length} users` : readers.length ? `shared with ${readers.join(" and ")}` : "";
  return [count(Number(item.files) || 0, "document"), shared].filter(Boolean).join(" · ");
}
