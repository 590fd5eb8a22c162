// The message box: growing text area, pickers, attachments, send and stop.

import { byId, h, icon, iconButton } from "./dom.js";
import { groupModels } from "./state.js";

const TALLEST_PX = 240;

/** `actions`: `onSend(text)`, `onStop()`, `onFiles(files)`. */
export class Composer {
  constructor(state, actions) {
    this.state = state;
    this.actions = actions;
    this.field = byId("prompt");
    this.send = byId("send");
    this.stop = byId("stop");
    this.model = byId("model");
    this.agent = byId("agent");
    this.chips = byId("chips");
    this.hint = byId("dock-hint");
    this.hintText = this.hint.textContent;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.stop.addEventListener("click", () => actions.onStop());
    this.field.addEventListener("input", () => this.draw());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) {
        event.preventDefault();
        actions.onFiles([...event.clipboardData.files]);
      }
    });
    const input = byId("file-input");
    byId("attach").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      actions.onFiles([...input.files]);
      input.value = "";
    });
    this.model.addEventListener("change", () => this.#choose("model", this.model.value));
    this.agent.addEventListener("change", () => this.#choose("agent", this.agent.value));
    this.agent.value = state.agent;
  }

  get text() {
    return this.field.value;
  }

  set text(value) {
    this.field.value = value;
    this.draw();
  }

  focus() {
    // On a phone, focus would throw the keyboard over the page unasked.
    if (matchMedia("(hover: hover)").matches) this.field.focus();
  }

  /** Brings buttons, height and attachments up to date. */
  draw() {
    const streaming = Boolean(this.state.session.stream);
    this.stop.hidden = !streaming;
    this.send.hidden = streaming;
    this.send.disabled = !this.text.trim();
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, TALLEST_PX)}px`;
    this.hint.textContent = streaming ? "Answering. Esc stops; you can already write the next message." : this.hintText;
  }

  drawModels() {
    const { models, model } = this.state;
    const known = models.some((each) => each.id === model);
    const groups = groupModels(models).map((group) =>
      h("optgroup", { label: group.label }, ...group.models.map((each) => h("option", { value: each.id }, each.id))),
    );
    this.model.replaceChildren(...(groups.length ? groups : [h("option", { value: model }, model)]));
    if (!known && models.length) this.state.model = models[0].id;
    this.model.value = this.state.model;
  }

  /** Uploads of this visit as chips above the text. */
  drawChips(onRemove) {
    const word = { uploading: "uploading", uploaded: "waiting", processing: "reading", ready: "ready", failed: "failed" };
    this.chips.replaceChildren(
      ...this.state.uploads.map((upload) =>
        h(
          "span",
          { class: "chip", "data-status": upload.status, title: upload.error ?? upload.filename },
          icon(upload.status === "failed" ? "warn" : upload.status === "ready" ? "check" : "doc"),
          h("span", { class: "chip-name" }, upload.filename),
          h("span", { class: "chip-state" }, upload.error ?? word[upload.status] ?? upload.status),
          iconButton("close", `Hide ${upload.filename}`, () => onRemove(upload)),
        ),
      ),
    );
  }

  #choose(name, value) {
    this.state[name] = value;
    try {
      localStorage.setItem(`hearth.${name}`, value);
    } catch {
      // storage switched off: the choice lasts as long as the page
    }
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.state.session.stream) {
      event.stopPropagation();
      this.actions.onStop();
    }
  }

  #submit() {
    const text = this.text.trim();
    if (!text || this.state.session.stream) return;
    this.text = "";
    this.actions.onSend(text);
  }
}
