// The list of conversations: search, rename, export, delete.

import { ask, byId, download, h, icon, iconButton, openMenu, toast } from "./dom.js";
import { groupByAge } from "./format.js";

const SEARCH_DELAY_MS = 200;
const PAGE = 50;

/** `actions`: `onOpen(id)`, `onDeleted(id)`, `onRenamed(id, title)`. */
export class Sidebar {
  #asked = 0;

  constructor(state, api, actions) {
    this.state = state;
    this.api = api;
    this.actions = actions;
    this.root = byId("conversations");
    this.search = byId("conversation-search");
    let timer = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), SEARCH_DELAY_MS);
    });
    this.root.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-session]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      actions.onOpen(link.dataset.session);
    });
  }

  /** Fetches the first page anew, or the next one behind it. Only the newest question's answer counts. */
  async load({ more = false } = {}) {
    const list = this.state.conversations;
    const mine = ++this.#asked;
    const query = this.search.value.trim();
    const page = more ? list.page + 1 : 1;
    try {
      const found = await this.api.conversations({ page, limit: PAGE, query });
      if (mine !== this.#asked) return;
      const items = more ? [...list.items, ...found.conversations] : found.conversations;
      Object.assign(list, { items, total: found.total ?? items.length, page, query, loaded: true, error: null });
    } catch (error) {
      if (mine !== this.#asked) return;
      list.error = error.message;
    }
    this.draw();
  }

  /** Shows a conversation at the top before the server has it in its list. */
  put(session, now) {
    const list = this.state.conversations;
    const old = list.items.find((each) => each.session_id === session.id);
    list.items = list.items.filter((each) => each !== old);
    list.items.unshift({ ...(old ?? { title: session.title }), session_id: session.id, updated_at: now });
    if (!old) list.total += 1;
    this.draw();
  }

  draw() {
    const list = this.state.conversations;
    if (list.error && !list.items.length) {
      return this.root.replaceChildren(
        h("div", { class: "side-note" }, h("p", {}, list.error), h("button", { type: "button", class: "text-button", onclick: () => this.load() }, "Try again")),
      );
    }
    if (!list.items.length) {
      const text = !list.loaded ? "Loading…" : list.query ? "Nothing found. Try other words." : "Your conversations will appear here.";
      return this.root.replaceChildren(h("p", { class: "side-note" }, text));
    }
    const groups = groupByAge(list.items, Date.now() / 1000);
    const more = list.total > list.items.length;
    return this.root.replaceChildren(
      ...groups.map((group) => h("section", {}, h("h2", {}, group.label), h("ul", {}, ...group.items.map((item) => this.#row(item))))),
      more ? h("button", { type: "button", class: "text-button more", onclick: () => this.load({ more: true }) }, "Show more") : "",
    );
  }

  #row(item) {
    const current = item.session_id === this.state.session.id;
    const title = item.title || "New conversation";
    const button = iconButton("more", `Options for ${title}`, () => this.#menu(button, item), { "aria-haspopup": "menu", "aria-expanded": "false" });
    return h(
      "li",
      { class: current ? "row is-current" : "row" },
      h("a", { href: `/#/c/${encodeURIComponent(item.session_id)}`, "data-session": item.session_id, title, "aria-current": current ? "page" : null }, title),
      button,
    );
  }

  #menu(button, item) {
    openMenu(button, [
      { icon: "edit", label: "Rename", run: () => this.#rename(item) },
      { icon: "download", label: "Export as Markdown", run: () => this.#export(item, "markdown", "md") },
      { icon: "download", label: "Export as JSON", run: () => this.#export(item, "json", "json") },
      { icon: "trash", label: "Delete", danger: true, run: () => this.#delete(item) },
    ]);
  }

  async #rename(item) {
    const title = await ask({ title: "Rename conversation", confirm: "Rename", value: item.title ?? "", label: "Title" });
    if (!title || title === item.title) return;
    await this.#try(async () => {
      await this.api.renameConversation(item.session_id, title);
      item.title = title;
      this.actions.onRenamed(item.session_id, title);
      this.draw();
    });
  }

  async #export(item, format, ending) {
    const name = (item.title || "conversation").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
    await this.#try(async () => download(await this.api.exportConversation(item.session_id, format), `${name || "conversation"}.${ending}`));
  }

  async #delete(item) {
    const agreed = await ask({
      title: "Delete conversation?",
      text: `“${item.title || "New conversation"}” and all its messages will be gone for good.`,
      confirm: "Delete",
      danger: true,
    });
    if (!agreed) return;
    await this.#try(async () => {
      await this.api.deleteConversation(item.session_id);
      const list = this.state.conversations;
      list.items = list.items.filter((each) => each !== item);
      list.total -= 1;
      this.draw();
      this.actions.onDeleted(item.session_id);
      toast("Conversation deleted");
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
