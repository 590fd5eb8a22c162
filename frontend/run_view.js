// One run's trace: figures, timeline, steps, calls of the model, answer. Followed live while the run goes on.

import { fold, sourceCard } from "./answer.js";
import { fileShelf } from "./artifacts.js";
import { CallList } from "./calls.js";
import { announce, copyText, h, icon, toast } from "./dom.js";
import { filesOf } from "./files.js";
import { duration } from "./format.js";
import { renderBlocks, sanitise } from "./markdown.js";
import { distinctCitations } from "./state.js";
import { StepList, isPlan, routeFacts, wayTitle } from "./steps.js";
import { Timeline } from "./timeline.js";
import { applyRunEvent, runsPath, statusTitle, traceFrom } from "./trace.js";

const GONE = "There is no trace of this run here. It may have been deleted with its conversation.";

const RETRY_MS = 1500;
const TICK_MS = 1000;

/** `actions`: `artifacts` to fetch files, `onCite(citation)`, `onBack()`, `onTitle(text)`. */
export class TraceView {
  #loading = null;
  #raw = null;
  #frame = 0;

  constructor(api, actions) {
    this.api = api;
    this.actions = actions;
    this.title = h("h2", { class: "runs-title trace-title", tabindex: "-1" });
    this.copy = h("button", { type: "button", class: "secondary copy", onclick: () => copyText(JSON.stringify(this.#raw, null, 2), this.copy) }, icon("copy"), icon("check", "copied"), "Copy as JSON");
    this.cancel = h("button", { type: "button", class: "secondary", onclick: () => this.#cancel() }, icon("stop"), "Cancel run");
    this.conversation = h("a", { class: "secondary" }, icon("open"), "Conversation");
    this.facts = h("dl", { class: "facts" });
    this.note = h("div", { class: "problem", role: "status", hidden: true });
    this.way = h("p", { class: "way trace-way" });
    this.thinking = h("pre", { class: "thinking-text", tabindex: "0", "aria-label": "Thinking" });
    this.thought = fold("thought", "thought", h("span", {}, "Thinking"), this.thinking);
    this.timeline = new Timeline((kind, at) => (kind === "model" ? this.calls.reveal(at) : this.steps.reveal(this.trace.steps[at]?.id)));
    this.steps = new StepList(actions.artifacts);
    this.calls = new CallList();
    this.answer = h("div", { class: "md trace-answer" });
    this.answer.addEventListener("click", (event) => this.#click(event));
    this.sources = h("ul");
    this.files = h("div", {});
    this.sections = {
      timeline: section("Timeline", this.timeline.element),
      steps: section("Steps", this.steps.element),
      calls: section("Model calls", this.calls.element),
      answer: section("Answer", this.answer),
      files: section("Files", this.files),
      sources: section("Sources", h("div", { class: "sources" }, this.sources)),
    };
    this.body = h("div", { class: "trace" }, this.facts, this.note, this.way, this.thought, ...Object.values(this.sections).map((each) => each.element));
    this.state = h("div", {});
    this.element = h(
      "div",
      { class: "runs-inner" },
      h(
        "header",
        { class: "runs-head" },
        h("button", { type: "button", class: "secondary back", onclick: () => actions.onBack(this.trace) }, icon("left"), "Back"),
        this.title,
        h("div", { class: "runs-actions" }, this.cancel, this.conversation, this.copy),
      ),
      this.state,
      this.body,
    );
  }

  /** Loads a run and shows it; follows it to its end when it is still going on. */
  async show(runId) {
    this.leave();
    this.actions.onTitle("Trace");
    const loading = (this.#loading = new AbortController());
    const known = this.trace?.runId === runId;
    if (!known) {
      this.trace = null;
      this.#waiting("Trace", h("div", { class: "skeleton", role: "status" }, h("span", { class: "sr-only" }, "Loading the trace"), h("i"), h("i"), h("i")));
    }
    try {
      this.#take(await this.api.run(runId, loading.signal));
      if (!known) this.title.focus({ preventScroll: true });
      await this.#follow(loading.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      const retry = h("button", { type: "button", class: "secondary", onclick: () => this.show(runId) }, "Try again");
      const list = h("a", { class: "secondary", href: runsPath() }, "All runs");
      const missing = error.status === 404;
      this.#waiting("Trace", h("div", { class: "state-note" }, icon("warn"), h("p", {}, missing ? GONE : error.message), missing ? list : retry));
    }
  }

  /** Takes in what happens until the run is over; when the line breaks off, asks again from where it broke. */
  async #follow(signal) {
    if (this.trace.status !== "running") return;
    const { runId } = this.trace;
    // The events tell the whole run from its start, these two piece by piece.
    Object.assign(this.trace, { answer: "", reasoning: "" });
    const ticking = setInterval(() => this.draw(), TICK_MS);
    let last = 0;
    try {
      while (this.trace.status === "running") {
        try {
          for await (const event of this.api.runEvents(runId, last, signal)) {
            last = event.n;
            applyRunEvent(this.trace, event);
            this.#frame ||= requestAnimationFrame(() => this.draw());
          }
        } catch (error) {
          if (signal.aborted || error.status === 401 || error.status === 404) throw error;
        }
        if (this.trace.status === "running") await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        if (signal.aborted) return;
      }
    } finally {
      clearInterval(ticking);
    }
    this.#take(await this.api.run(runId, signal));
    announce(`The run is over: ${statusTitle(this.trace.status)}.`);
  }

  /** Stops following. The run itself goes on. */
  leave() {
    this.#loading?.abort();
    this.#loading = null;
  }

  #waiting(title, content) {
    this.title.textContent = title;
    this.body.hidden = true;
    for (const each of [this.copy, this.cancel, this.conversation]) each.hidden = true;
    this.state.replaceChildren(content);
  }

  #take(raw) {
    this.#raw = raw;
    this.trace = traceFrom(raw);
    this.state.replaceChildren();
    this.body.hidden = false;
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { trace } = this;
    if (!trace) return;
    this.title.textContent = trace.question || "Trace";
    this.copy.hidden = false;
    this.cancel.hidden = !["running", "waiting"].includes(trace.status);
    this.conversation.hidden = !trace.sessionId;
    this.conversation.setAttribute("href", `/#/c/${encodeURIComponent(trace.sessionId ?? "")}`);
    this.#drawFacts();
    this.#drawNote();
    this.#drawWay();
    this.thought.hidden = !trace.reasoning;
    if (this.thinking.textContent !== trace.reasoning) this.thinking.textContent = trace.reasoning;
    this.timeline.update(trace, Date.now() / 1000);
    this.steps.update(trace.steps);
    this.calls.update(trace.calls);
    this.#drawAnswer();
    this.#drawFiles();
    this.sections.timeline.show(this.timeline.rows > 0);
    this.sections.steps.show(trace.steps.length > 0, isPlan(trace.steps) ? "Plan" : "Steps");
    this.sections.calls.show(trace.calls.length > 0);
    this.sections.answer.show(Boolean(trace.answer));
  }

  #drawFacts() {
    const { trace } = this;
    const { prompt, completion, total } = trace.tokens;
    const since = trace.createdAt === null ? null : Math.max(0, Date.now() / 1000 - trace.createdAt);
    const seconds = trace.status === "running" ? since : trace.seconds;
    const facts = [
      ["Status", h("span", { class: "status", "data-status": trace.status }, statusTitle(trace.status))],
      ["Way", wayTitle(trace.route?.agent) || "–"],
      ["Time", seconds === null ? "–" : duration(seconds * 1000)],
      ["Model calls", String(trace.calls.length)],
      ["Tool calls", String(trace.steps.filter((step) => step.status !== "planned").length)],
      ["Tokens", h("span", { title: `${prompt} read, ${completion} written` }, total.toLocaleString())],
      ["Model", trace.model || "–"],
    ];
    this.facts.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  #drawNote() {
    const { error, stoppedBecause, status, waitingFor } = this.trace;
    const asked = waitingFor.map((each) => each.name).join(", ");
    const text = error ?? stoppedBecause ?? (status === "waiting" && asked ? `It goes on when its caller sends the results of: ${asked}.` : null);
    this.note.hidden = !text;
    if (this.note.dataset.text === `${status} ${text}`) return;
    this.note.dataset.text = `${status} ${text}`;
    this.note.classList.toggle("is-bad", Boolean(error));
    this.note.replaceChildren(icon(error ? "warn" : "clock"), h("span", {}, text ?? ""));
  }

  #drawWay() {
    const { route } = this.trace;
    this.way.hidden = !route;
    if (!route) return;
    const facts = [route.task, routeFacts(route)].filter(Boolean).join(" · ");
    this.way.replaceChildren(icon("way"), h("b", {}, wayTitle(route.agent)), h("span", { class: "way-reason" }, route.reason ?? ""), h("span", { class: "way-facts" }, facts));
  }

  #drawAnswer() {
    const citations = distinctCitations(this.trace.citations);
    const key = `${citations.length} ${this.trace.answer}`;
    if (this.answerKey === key) return;
    this.answerKey = key;
    const blocks = renderBlocks(this.trace.answer, { citations: new Set(citations.map((each) => each.index)) });
    this.answer.replaceChildren(...blocks.map((block) => h("div", { class: "block" }, sanitise(block))));
    this.sources.replaceChildren(...citations.map((each) => h("li", {}, sourceCard(each, () => this.actions.onCite(each)))));
    this.sections.sources.show(citations.length > 0);
  }

  #drawFiles() {
    const files = filesOf(...this.trace.steps);
    const key = files.map((file) => file.id).join(" ");
    this.sections.files.show(files.length > 0);
    if (this.files.dataset.key === key) return;
    this.files.dataset.key = key;
    this.files.replaceChildren(files.length ? fileShelf(files, this.actions.artifacts) : "");
  }

  #click(event) {
    const cite = event.target.closest("[data-cite]");
    const citation = cite && this.trace.citations.find((each) => each.index === Number(cite.dataset.cite));
    if (citation) this.actions.onCite(citation);
    const copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy.closest(".code").querySelector("code").textContent.replace(/\n$/, ""), copy);
  }

  async #cancel() {
    const { runId, status } = this.trace;
    this.cancel.disabled = true;
    try {
      await this.api.cancelRun(runId);
      announce("The run is being cancelled.");
      // One that is followed tells its end by itself.
      if (status !== "running") await this.show(runId);
    } catch (error) {
      toast(error.message, { bad: true });
      if (error.status === 409) await this.show(runId);
    } finally {
      this.cancel.disabled = false;
    }
  }
}

function section(title, content) {
  const heading = h("h3", {}, title);
  const element = h("section", { class: "trace-part", hidden: true }, heading, content);
  return {
    element,
    show(visible, text = title) {
      element.hidden = !visible;
      heading.textContent = text;
    },
  };
}
