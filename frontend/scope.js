// What a conversation searches: all documents, or the collections chosen for it.

import { byId, openMenu, toast } from "./dom.js";
import { count } from "./format.js";

export class Scope {
  constructor(state, api) {
    this.state = state;
    this.api = api;
    this.button = byId("scope-open");
    this.label = byId("scope-label");
    this.button.addEventListener("click", () => this.#menu());
  }

  /** Hidden while there is nothing to choose from. */
  draw() {
    const chosen = chosenCollections(this.state);
    const { items } = this.state.collections;
    this.button.hidden = !items.length;
    const text = !chosen.length ? "All documents" : chosen.length === 1 ? chosen[0].name : count(chosen.length, "collection");
    this.label.textContent = text;
    this.button.classList.toggle("is-chosen", chosen.length > 0);
    const told = `Searches: ${chosen.length ? chosen.map((each) => each.name).join(", ") : "all documents"}`;
    this.button.setAttribute("aria-label", told);
    this.button.title = told;
  }

  #menu() {
    const { session, collections } = this.state;
    const all = { icon: "doc", label: "All documents", checked: () => !chosenCollections(this.state).length, run: () => this.#choose(session, []) };
    openMenu(this.button, [
      all,
      ...collections.items.map((item) => ({
        icon: item.mine ? "folder" : "users",
        label: item.name || "Unnamed collection",
        hint: item.mine ? count(Number(item.files) || 0, "document") : `from ${item.owner}`,
        checked: () => session.collections.includes(item.id),
        run: () => this.#choose(session, toggled(session.collections, item.id)),
      })),
    ]);
  }

  async #choose(session, ids) {
    session.collections = ids;
    session.choosing = true;
    this.draw();
    if (!session.id) return;
    try {
      await this.api.chooseCollections(session.id, ids);
    } catch (error) {
      toast(error.message, { bad: true });
    }
  }
}

function toggled(ids, id) {
  return ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id];
}

/** The collections of a conversation that are still there. */
export function chosenCollections({ collections, session: present }, session = present) {
  return collections.items.filter((item) => session.collections.includes(item.id));
}
