// The steps of a run as a checklist: purpose, tool, what it waits for, how it stands, and what went in and came out.

import { fileShelf } from "./artifacts.js";
import { h, icon } from "./dom.js";
import { filesOf } from "./files.js";
import { brief, count, duration } from "./format.js";

/** Friendlier titles for well-known tools; any other tool shows its own name. */
const TOOL_TITLES = {
  rag_retrieval: "Search your documents",
  document_text: "Read a document",
  math_calc: "Calculate",
  data_analysis: "Analyse data",
  python_code: "Run Python",
  web_search: "Search the web",
  fetch_url: "Read a web page",
  wikipedia: "Look up Wikipedia",
  weather: "Check the weather",
  sql_query: "Query a database",
};

const WAYS = { chat: "Plain chat", react: "Step by step", plan_execute: "Planned", documents: "Whole documents" };

const STATUS = { planned: "planned", running: "running", completed: "done", failed: "failed", cancelled: "stopped" };
const MARKS = { completed: "check", failed: "close", cancelled: "stop" };

export function toolTitle(name) {
  const known = Object.hasOwn(TOOL_TITLES, name) ? TOOL_TITLES[name] : null;
  return known ?? (String(name ?? "tool").replace(/[_-]+/g, " ").trim() || "tool");
}

/** A tool's title where it stands by itself: "my own tool" is "My own tool". */
export function toolName(name) {
  const title = toolTitle(name);
  return title[0].toUpperCase() + title.slice(1);
}

/** The calls that were refused because the user has not agreed to them: `{name, arguments}`, each tool once. */
export function unconfirmed(steps) {
  const asked = steps.filter((step) => step.error?.startsWith?.(`${step.name} needs the user's confirmation`));
  return [...new Map(asked.map(({ name, arguments: given }) => [name, { name, arguments: given ?? {} }])).values()];
}

/** What an agent is called on the page. */
export function wayTitle(agent) {
  return Object.hasOwn(WAYS, agent) ? WAYS[agent] : String(agent ?? "");
}

/** How sure the decision was and what it took: "93 % sure · 4 ms". */
export function routeFacts(route) {
  const sure = Number.isFinite(route.confidence) ? `${Math.round(route.confidence * 100)} % sure` : "";
  const took = Number.isFinite(route.seconds) && route.seconds > 0 ? duration(route.seconds * 1000) : "";
  return [sure, took].filter(Boolean).join(" · ");
}

/** Whether the steps were laid out before they ran. */
export function isPlan(steps) {
  return steps.some((step) => step.purpose || step.depends_on?.length || step.status === "planned");
}

/** Milliseconds from the first start to the last end: steps side by side count once. Without starts, the sum. */
export function wallMs(steps) {
  const timed = steps.filter((step) => Number.isFinite(step.started_at) && Number.isFinite(step.duration_ms));
  if (!timed.length) return steps.reduce((sum, step) => sum + (step.duration_ms ?? 0), 0);
  const from = Math.min(...timed.map((step) => step.started_at * 1000));
  return Math.max(...timed.map((step) => step.started_at * 1000 + step.duration_ms)) - from;
}

/** One line about all steps: how far they are, or, when they are over, how many there were and what they took. */
export function stepsTitle(steps) {
  const of = (status) => steps.filter((step) => step.status === status);
  const running = of("running");
  const failed = of("failed").length;
  const ended = steps.length - running.length - of("planned").length;
  if (ended < steps.length) {
    const names = [...new Set(running.map((step) => toolTitle(step.name)))].join(", ");
    if (!isPlan(steps)) return `${names} …`;
    return ["Plan", `${ended} of ${steps.length} done`, names ? `${names} …` : ""].filter(Boolean).join(" · ");
  }
  const spent = wallMs(steps);
  return [count(steps.length, "step"), spent ? duration(spent) : "", failed ? `${failed} failed` : ""].filter(Boolean).join(" · ");
}

/** "after step 1", "after steps 1 and 3"; numbers are places in the list. Empty when the step waits for none. */
export function waitsFor(step, steps) {
  const numbers = (step.depends_on ?? [])
    .map((id) => steps.findIndex((other) => other.id === id) + 1)
    .filter((number) => number > 0)
    .sort((a, b) => a - b);
  if (!numbers.length) return "";
  if (numbers.length === 1) return `after step ${numbers[0]}`;
  return `after steps ${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`;
}

/** A growing list of steps; rows keep their place, and stay open when they were opened. */
export class StepList {
  #views = new Map();

  /** `artifacts` fetches the files of steps. */
  constructor(artifacts) {
    this.artifacts = artifacts;
    this.element = h("ol", { class: "step-list" });
  }

  update(steps) {
    const planned = isPlan(steps);
    this.element.classList.toggle("is-plan", planned);
    const ids = new Set(steps.map((step) => step.id));
    for (const [id, view] of this.#views) {
      if (ids.has(id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    steps.forEach((step, index) => {
      let view = this.#views.get(step.id);
      if (!view) this.#views.set(step.id, (view = new StepView(this.artifacts)));
      const before = this.element.children[index] ?? null;
      if (before !== view.element) this.element.insertBefore(view.element, before);
      view.update(step, index + 1, waitsFor(step, steps), planned);
    });
  }

  /** Opens one step and brings it into view. */
  reveal(id) {
    this.#views.get(id)?.reveal();
  }
}

/** One tool call: what went in, what came out. */
class StepView {
  #key = null;

  constructor(artifacts) {
    this.artifacts = artifacts;
    this.state = h("span", { class: "step-state" });
    this.title = h("span", { class: "step-title" });
    this.brief = h("span", { class: "step-brief" });
    this.time = h("span", { class: "step-time" });
    this.detail = h("div", { class: "step-detail" });
    this.fold = h("details", {}, h("summary", {}, this.state, this.title, this.brief, this.time), this.detail);
    this.element = h("li", { class: "step" }, this.fold);
  }

  update(step, number, after, numbered) {
    this.#clock(step);
    const key = JSON.stringify([step, number, after, numbered]);
    if (this.#key === key) return;
    this.#key = key;
    const word = STATUS[step.status] ?? String(step.status ?? "");
    this.element.dataset.status = step.status;
    const mark = Object.hasOwn(MARKS, step.status) ? icon(MARKS[step.status]) : h("span", { class: "dot" });
    this.state.replaceChildren(mark, h("span", { class: "sr-only" }, numbered ? `${word}: ` : `Step ${number}, ${word}: `));
    this.title.textContent = `${numbered ? `${number}. ` : ""}${step.purpose || toolTitle(step.name)}`;
    const given = brief(step.arguments);
    const made = filesOf(step).length;
    const parts = [step.purpose ? toolTitle(step.name) : "", given, after, made ? count(made, "file") : ""];
    this.brief.textContent = parts.filter(Boolean).join(" · ");
    this.#drawDetail(step);
  }

  reveal() {
    this.fold.open = true;
    this.fold.querySelector("summary").focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** A running step shows how long it has been running, by this page's clock where it saw the start. */
  #clock(step) {
    const since = step.seenAt ?? step.started_at * 1000;
    const running = step.status === "running" && Number.isFinite(since) ? Date.now() - since : null;
    const shown = running === null ? step.duration_ms : Math.max(0, Math.floor(running / 1000) * 1000);
    const known = Number.isFinite(shown) && (running === null || shown > 0);
    this.time.textContent = known ? (running === null ? duration(shown) : `${shown / 1000} s …`) : STATUS[step.status] ?? "";
  }

  #drawDetail(step) {
    const output = step.output ?? step.output_preview;
    const files = filesOf(step);
    const facts = [h("code", {}, String(step.name ?? "")), Number.isFinite(step.started_at) ? h("span", {}, `started ${clock(step.started_at)}`) : ""];
    this.detail.replaceChildren(
      h("p", { class: "step-name" }, ...facts),
      ...part("Input", JSON.stringify(step.arguments ?? {}, null, 2)),
      ...(output ? part("Output", output) : []),
      ...(step.error ? part("Error", step.error, "bad") : []),
      ...(files.length ? [h("h4", {}, "Files"), fileShelf(files, this.artifacts)] : []),
    );
  }
}

/** A labelled block of text as it is. */
export function part(label, text, extra = "") {
  return [h("h4", {}, label), h("pre", { class: extra, tabindex: "0", "aria-label": label }, String(text))];
}

/** A moment (seconds since the epoch) as the reader's time of day. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
