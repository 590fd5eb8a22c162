// The timeline of a run: a bar for each call of the model and of a tool, side by side when they ran side by side.

import { h, icon } from "./dom.js";
import { duration } from "./format.js";
import { toolTitle } from "./steps.js";
import { callTitle, statusTitle, ticks, timeline } from "./trace.js";

export class Timeline {
  #rows = new Map();

  /** `onPick(kind, at)`: a bar was chosen, see `timeline` for what they mean. */
  constructor(onPick) {
    this.onPick = onPick;
    this.axis = h("div", { class: "bar-axis", "aria-hidden": "true" });
    this.lines = h("div", { class: "bar-lines", "aria-hidden": "true" });
    this.list = h("ol", { class: "bars" });
    const legend = h(
      "p",
      { class: "bar-legend" },
      h("span", { "data-kind": "model" }, "Model"),
      h("span", { "data-kind": "wait" }, "before its first word"),
      h("span", { "data-kind": "tool" }, "Tool"),
    );
    const inner = h("div", { class: "timeline-inner" }, this.lines, this.axis, this.list);
    this.element = h("div", {}, h("div", { class: "timeline", tabindex: "0", role: "group", "aria-label": "Timeline" }, inner), legend);
    this.rows = 0;
  }

  update(trace, now) {
    const { rows, totalMs } = timeline(trace, now);
    this.rows = rows.length;
    const share = (ms) => `${((100 * ms) / totalMs).toFixed(3)}%`;
    const marks = ticks(totalMs);
    this.axis.replaceChildren(...marks.map((ms) => at(h("span", {}, ms ? duration(ms) : "0"), share(ms))));
    this.lines.replaceChildren(...marks.map((ms) => at(h("i"), share(ms))));
    const seen = new Set();
    rows.forEach((row, index) => {
      const key = `${row.kind} ${row.at}`;
      seen.add(key);
      let view = this.#rows.get(key);
      if (!view) this.#rows.set(key, (view = new Row(row, () => this.onPick(row.kind, row.at))));
      const before = this.list.children[index] ?? null;
      if (before !== view.element) this.list.insertBefore(view.element, before);
      view.update(row, rowTitle(row, trace), share);
    });
    for (const [key, view] of this.#rows) {
      if (seen.has(key)) continue;
      view.element.remove();
      this.#rows.delete(key);
    }
  }
}

function rowTitle(row, trace) {
  if (row.kind === "model") return callTitle(trace.calls[row.at].step);
  const step = trace.steps[row.at];
  return `${row.at + 1}. ${step.purpose || toolTitle(step.name)}`;
}

class Row {
  constructor(row, onclick) {
    this.label = h("span", { class: "bar-name" });
    this.wait = h("span", { class: "bar-wait" });
    this.bar = h("span", { class: "bar" }, this.wait);
    this.time = h("span", { class: "bar-time" });
    this.button = h(
      "button",
      { type: "button", onclick },
      h("span", { class: "bar-label" }, icon(row.kind === "model" ? "spark" : "tool"), this.label),
      h("span", { class: "bar-track" }, this.bar),
      this.time,
    );
    this.element = h("li", { "data-kind": row.kind }, this.button);
  }

  update(row, title, share) {
    this.element.dataset.status = row.status;
    this.label.textContent = title;
    this.time.textContent = duration(row.ms);
    // Set on the element: the page's content policy refuses style attributes.
    this.bar.style.left = share(row.fromMs);
    this.bar.style.width = share(row.ms);
    this.wait.style.width = row.ms ? `${((100 * row.waitMs) / row.ms).toFixed(1)}%` : "0";
    const what = row.kind === "model" ? "Model call" : "Tool call";
    const from = row.fromMs < 1 ? "from the start" : `${duration(row.fromMs)} after the start`;
    const text = `${what}: ${title}, ${statusTitle(row.status).toLowerCase()}, ${from}, ${duration(row.ms)}`;
    this.button.setAttribute("aria-label", text);
    this.button.title = text;
  }
}

function at(element, left) {
  element.style.left = left;
  return element;
}
