// The panel at the right: documents, or the passage behind a citation. Over the page on a phone, beside the chat else.

import { byId } from "./dom.js";

export class Panel {
  #opener = null;
  #kind = null;

  constructor(onChange = () => {}) {
    this.root = byId("panel");
    this.onChange = onChange;
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        this.close();
      }
    });
  }

  get kind() {
    return this.#kind;
  }

  /** Shows `content`; focus goes to its heading and comes back to where it was on closing. */
  open(kind, content) {
    if (!this.#kind) this.#opener = document.activeElement;
    this.#kind = kind;
    this.root.replaceChildren(content);
    this.root.hidden = false;
    document.body.dataset.panel = kind;
    this.onChange();
    this.root.querySelector("[data-autofocus]")?.focus({ preventScroll: true });
  }

  close() {
    if (!this.#kind) return;
    this.#kind = null;
    this.root.hidden = true;
    this.root.replaceChildren();
    delete document.body.dataset.panel;
    this.onChange();
    if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
    this.#opener = null;
  }
}
