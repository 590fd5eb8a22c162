// Is the server there, and what does it say about itself? One timer; more often while it is away.

import { byId, h, icon, iconButton } from "./dom.js";

const EVERY_MS = 60_000;
const WHEN_AWAY_MS = 4_000;
const AWAY = "Hearth’s server does not answer. Start it (make run); this page goes on by itself.";

export class HealthWatch {
  #timer = 0;
  #closed = null;

  /** `onBack()` runs when the server answers again after being away. */
  constructor(state, api, onBack) {
    this.state = state;
    this.api = api;
    this.onBack = onBack;
    addEventListener("online", () => this.check());
  }

  async check() {
    clearTimeout(this.#timer);
    const wasOnline = this.state.online;
    try {
      this.state.health = await this.api.health();
      this.state.online = true;
    } catch (error) {
      this.state.online = error.status !== 0;
    }
    this.draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(), this.state.online ? EVERY_MS : WHEN_AWAY_MS);
    if (!wasOnline && this.state.online) this.onBack();
  }

  draw() {
    const { online, health } = this.state;
    const banner = byId("banner");
    const text = online ? health?.message ?? null : AWAY;
    banner.hidden = !text || text === this.#closed;
    banner.classList.toggle("is-bad", !online);
    if (banner.hidden || banner.dataset.text === text) return;
    banner.dataset.text = text;
    const close = iconButton("close", "Hide this note", () => {
      this.#closed = text;
      this.draw();
    });
    banner.replaceChildren(icon(online ? "spark" : "warn"), h("p", {}, text), online ? close : "");
  }
}
