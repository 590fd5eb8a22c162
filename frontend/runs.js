// The runs at the place of the chat: the list of all, newest first, or the trace of one.

import { byId, h, icon } from "./dom.js";
import { count, duration, moment } from "./format.js";
import { TraceView } from "./run_view.js";
import { wayTitle } from "./steps.js";
import { runPath, runsPath, statusTitle } from "./trace.js";

const PAGE = 25;
const AGAIN_MS = 4000;
const MARKS = { completed: "check", failed: "close", interrupted: "close", cancelled: "stop", waiting: "clock", cut: "clock" };

/** `actions`: `onCite(citation)`, `onBack(trace)`, `onTitle(text)`. */
export class Runs {
  constructor(api, actions) {
    this.api = api;
    this.actions = actions;
    this.root = byId("runs");
    this.reset();
  }

  /** The run whose trace was shown last, or null. */
  get runId() {
    return this.trace.trace?.runId ?? null;
  }

  /** Shows `{runId}` or `{page}`, see parseRunHash. */
  show(place) {
    this.leave();
    const view = place.runId ? this.trace : this.list;
    if (this.root.firstElementChild !== view.element) {
      this.root.replaceChildren(view.element);
      this.root.scrollTop = 0;
    }
    if (view === this.list) this.actions.onTitle("Runs");
    return place.runId ? this.trace.show(place.runId) : this.list.show(place.page);
  }

  /** Another view comes: nothing is asked for any more. */
  leave() {
    this.trace.leave();
    this.list.leave();
  }

  /** Forgets everything: another user signs in. */
  reset() {
    this.trace?.leave();
    this.list?.leave();
    this.trace = new TraceView(this.api, this.actions);
    this.list = new RunList(this.api);
    this.root.replaceChildren();
  }
}

class RunList {
  #loading = null;
  #timer = 0;

  constructor(api) {
    this.api = api;
    this.title = h("h2", { class: "runs-title", tabindex: "-1" }, "Runs");
    this.rows = h("ul", { class: "run-list" });
    this.pager = h("nav", { class: "run-pager", "aria-label": "Pages of runs", hidden: true });
    this.state = h("div", {});
    const lead = h("p", { class: "runs-lead" }, "Every answer an agent worked out, and how it came about.");
    this.element = h("div", { class: "runs-inner" }, h("header", { class: "runs-head" }, this.title), lead, this.state, this.rows, this.pager);
  }

  async show(page, { quietly = false } = {}) {
    this.leave();
    const loading = (this.#loading = new AbortController());
    if (!this.rows.childElementCount) this.#say(h("div", { class: "skeleton", role: "status" }, h("span", { class: "sr-only" }, "Loading the runs"), h("i"), h("i"), h("i")));
    try {
      const found = await this.api.runs({ page, limit: PAGE }, loading.signal);
      this.#draw(found, page);
      if (!quietly) this.title.focus({ preventScroll: true });
      if (found.runs.some((run) => run.status === "running")) this.#timer = setTimeout(() => this.show(page, { quietly: true }), AGAIN_MS);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.rows.replaceChildren();
      this.pager.hidden = true;
      this.#say(h("div", { class: "state-note" }, icon("warn"), h("p", {}, error.message), h("button", { type: "button", class: "secondary", onclick: () => this.show(page) }, "Try again")));
    }
  }

  leave() {
    clearTimeout(this.#timer);
    this.#loading?.abort();
  }

  #say(...content) {
    this.state.replaceChildren(...content);
  }

  #draw({ runs, total }, page) {
    this.#say(runs.length ? "" : h("p", { class: "runs-empty" }, page > 1 ? "There are no runs this far back." : "No runs yet. Ask something that needs a tool, and how the answer came about will stand here."));
    // The same rows again, of which one is focused: focus stays where it is.
    const focused = document.activeElement?.dataset?.run;
    this.rows.replaceChildren(...runs.map((run) => row(run)));
    if (focused) this.rows.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    this.pager.hidden = page === 1 && total <= PAGE;
    const first = (page - 1) * PAGE + 1;
    const turn = (to, text, mark) => (to ? h("a", { class: "secondary", href: runsPath(to) }, mark === "left" ? icon(mark) : "", text, mark === "right" ? icon(mark) : "") : h("span"));
    this.pager.replaceChildren(
      turn(page > 1 ? page - 1 : 0, "Newer", "left"),
      h("span", {}, runs.length ? `${first}–${first + runs.length - 1} of ${total}` : ""),
      turn(first - 1 + runs.length < total && runs.length ? page + 1 : 0, "Older", "right"),
    );
  }
}

function row(run) {
  const cut = run.status === "completed" && Boolean(run.stopped_because);
  const status = cut ? "cut" : String(run.status ?? "");
  const word = cut ? "Completed, cut short" : statusTitle(status);
  const mark = Object.hasOwn(MARKS, status) ? icon(MARKS[status]) : h("span", { class: "dot" });
  const took = Number.isFinite(run.seconds) && status !== "running" ? duration(run.seconds * 1000) : "";
  return h(
    "li",
    { class: "run", "data-status": status },
    h(
      "a",
      { href: runPath(String(run.run_id)), "data-run": String(run.run_id) },
      h("span", { class: "step-state", title: word }, mark, h("span", { class: "sr-only" }, `${word}: `)),
      h("span", { class: "run-query" }, run.query || "(no text)"),
      h("span", { class: "run-way" }, [wayTitle(run.agent), count(run.step_count ?? 0, "step")].filter(Boolean).join(" · ")),
      h("span", { class: "run-tokens" }, Number.isFinite(run.tokens) ? `${run.tokens.toLocaleString()} tokens` : ""),
      h("span", { class: "run-took" }, took),
      h("time", { class: "run-when", title: Number.isFinite(run.created_at) ? new Date(run.created_at * 1000).toLocaleString() : "" }, moment(run.created_at, Date.now() / 1000)),
    ),
  );
}
