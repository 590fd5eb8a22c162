// Which tools may run for this user: a panel of switches, kept by the server.

import { announce, byId, h, icon, iconButton, toast } from "./dom.js";
import { firstSentence } from "./format.js";
import { toolName } from "./steps.js";

export class Tools {
  #saving = null;
  #saved = new Set();
  #turns = 0;

  constructor(state, api, panel) {
    this.state = state;
    this.api = api;
    this.panel = panel;
    this.button = byId("tools-open");
    this.body = h("div", { class: "panel-scroll" });
    this.button.addEventListener("click", () => (panel.kind === "tools" ? panel.close() : this.open()));
  }

  open() {
    this.panel.open(
      "tools",
      h(
        "div",
        { class: "panel-inner" },
        h("header", { class: "panel-head" }, h("h2", { tabindex: "-1", "data-autofocus": "" }, "Tools"), iconButton("close", "Close tools", () => this.panel.close())),
        this.body,
      ),
    );
    this.draw();
    return this.load();
  }

  async load() {
    const { tools } = this.state;
    const turns = this.#turns;
    try {
      const items = await this.api.tools();
      // A switch turned while the list was on its way is not undone by it.
      if (this.#saving || turns !== this.#turns) return;
      Object.assign(tools, { items, loaded: true, error: null });
      this.#saved = off(items);
    } catch (error) {
      tools.error = error.message;
    }
    this.draw();
  }

  draw() {
    const { items, loaded, error } = this.state.tools;
    this.#drawButton();
    if (this.panel.kind !== "tools") return;
    if (!loaded) {
      const retry = h("button", { type: "button", class: "text-button", onclick: () => this.load() }, "Try again");
      this.body.replaceChildren(h("div", { class: "side-note", role: "status" }, error ? h("p", {}, error) : "Loading…", error ? retry : null));
      return;
    }
    const focused = document.activeElement?.dataset?.tool;
    const here = items.filter((tool) => tool.available);
    const missing = items.filter((tool) => !tool.available);
    this.body.replaceChildren(
      h("p", { class: "tools-lead" }, "What answers may use. A tool that is off never runs for you, in any conversation."),
      h("ul", { class: "tools" }, ...here.map((tool) => this.#row(tool))),
      missing.length ? h("h3", { class: "tools-missing" }, "Not available on this server") : "",
      missing.length ? h("ul", { class: "tools" }, ...missing.map((tool) => this.#row(tool))) : "",
    );
    if (focused) this.body.querySelector(`[data-tool="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  #drawButton() {
    const number = this.state.tools.items.filter((tool) => tool.available && !tool.enabled).length;
    const badge = byId("tools-off");
    badge.hidden = !number;
    badge.replaceChildren(String(number), h("span", { class: "tools-word" }, " off"));
    const label = number ? `Tools, ${number} off` : "Tools";
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
  }

  #row(tool) {
    const name = toolName(tool.name);
    const about = firstSentence(tool.description);
    const id = `tool-${this.state.tools.items.indexOf(tool)}`;
    const input = h("input", {
      type: "checkbox",
      role: "switch",
      class: "switch",
      id,
      "data-tool": tool.name,
      "aria-describedby": `${id}-about`,
      checked: tool.available && tool.enabled,
      disabled: !tool.available,
      onchange: (event) => this.#turn(tool, event.currentTarget.checked),
    });
    const reason = String(tool.reason || "it cannot work here");
    return h(
      "li",
      { class: "tool", "data-available": String(Boolean(tool.available)) },
      h(
        "div",
        { class: "tool-text" },
        h("div", { class: "tool-name" }, h("label", { for: id }, name), h("code", {}, tool.name)),
        h(
          "div",
          { id: `${id}-about` },
          about ? h("p", { class: "tool-about", title: about }, about) : null,
          tool.available ? null : h("p", { class: "tool-reason" }, icon("warn"), h("span", {}, sentence(reason))),
          tool.outbound || tool.needs_confirmation
            ? h("p", { class: "tool-marks" }, tool.outbound ? mark("web", "Sends something off this machine") : null, tool.needs_confirmation ? mark("hand", "Asks you first") : null)
            : null,
        ),
      ),
      input,
    );
  }

  #turn(tool, enabled) {
    tool.enabled = enabled;
    this.#turns += 1;
    this.#drawButton();
    announce(`${toolName(tool.name)}: ${enabled ? "on" : "off"}`);
    this.#saving ??= this.#save().finally(() => (this.#saving = null));
  }

  /** One request at a time, each with all that is wanted by then: the last choice wins, whatever arrives when. */
  async #save() {
    for (;;) {
      const { items } = this.state.tools;
      const wanted = off(items);
      if (equal(wanted, this.#saved)) return;
      try {
        await this.api.saveTools([...wanted]);
        this.#saved = wanted;
      } catch (error) {
        for (const tool of items) tool.enabled = !this.#saved.has(tool.name);
        this.draw();
        if (error.status !== 401) toast(`The switch was not kept. ${error.message}`, { bad: true });
        return;
      }
    }
  }
}

const off = (items) => new Set(items.filter((tool) => !tool.enabled).map((tool) => tool.name));
const equal = (one, other) => one.size === other.size && [...one].every((name) => other.has(name));

function mark(name, text) {
  return h("span", { class: "tool-mark" }, icon(name), text);
}

/** A reason as the server tells it, with a capital and a full stop. */
function sentence(text) {
  const plain = text.trim();
  return `${plain[0]?.toUpperCase() ?? ""}${plain.slice(1)}${/[.!?]$/.test(plain) ? "" : "."}`;
}
