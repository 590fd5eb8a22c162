// One answer on the page: way, thinking, steps as they happen, Markdown, sources, actions. Redraws only what changed.

import { copyText, h, icon, iconButton } from "./dom.js";
import { brief, count, duration } from "./format.js";
import { healTail, hostOf, renderBlocks, safeHref, sanitise } from "./markdown.js";

const WAYS = { chat: "Plain chat", react: "Step by step", plan_execute: "Planned" };

/** Friendlier titles for well-known tools; any other tool shows its own name. */
const TOOL_TITLES = {
  rag_retrieval: "Search your documents",
  math_calc: "Calculate",
  data_analysis: "Analyse data",
  python_code: "Run Python",
  web_search: "Search the web",
  wikipedia: "Look up Wikipedia",
  weather: "Check the weather",
  sql_query: "Query a database",
};

const STATUS = { planned: "planned", running: "running", completed: "done", failed: "failed", cancelled: "stopped" };

export function toolTitle(name) {
  const known = Object.hasOwn(TOOL_TITLES, name) ? TOOL_TITLES[name] : null;
  return known ?? (String(name ?? "tool").replace(/[_-]+/g, " ").trim() || "tool");
}

/** `actions`: `onCite(citation)`, `onRegenerate()`, `onShow(index)`. */
export class AnswerView {
  #blocks = [];
  #steps = new Map();

  constructor(answer, exchange, actions) {
    this.answer = answer;
    this.exchange = exchange;
    this.actions = actions;
    this.way = h("p", { class: "way", hidden: true });
    this.thinking = h("pre", { class: "thinking-text" });
    this.thinkingTitle = h("span", {}, "Thinking");
    this.thought = fold("thought", "thought", this.thinkingTitle, this.thinking);
    this.stepsTitle = h("span", {}, "Steps");
    this.stepList = h("ol", { class: "step-list" });
    this.steps = fold("steps", "tool", this.stepsTitle, this.stepList);
    this.waiting = h("div", { class: "waiting", role: "status" }, h("span"), h("span"), h("span"), h("b", { class: "sr-only" }, "Working"));
    this.content = h("div", { class: "md", "aria-live": "polite", "aria-busy": "true" });
    this.problem = h("div", { class: "problem", role: "alert", hidden: true });
    this.sources = h("section", { class: "sources", "aria-label": "Sources", hidden: true });
    this.foot = h("div", { class: "answer-foot" });
    this.element = h(
      "article",
      { class: "answer", "aria-label": "Answer" },
      h("div", { class: "answer-mark", "aria-hidden": "true" }, icon("logo", "logo")),
      h("div", { class: "answer-body" }, this.way, this.thought, this.steps, this.content, this.waiting, this.problem, this.sources, this.foot),
    );
    this.element.addEventListener("click", (event) => this.#click(event));
    this.update();
  }

  get running() {
    return this.answer.status === "waiting" || this.answer.status === "streaming";
  }

  /** Brings the page to the answer's present state. */
  update() {
    this.#drawWay();
    this.#drawThinking();
    this.#drawSteps();
    this.#drawContent();
    this.waiting.hidden = !this.running || Boolean(this.answer.content);
    this.content.setAttribute("aria-busy", String(this.running));
    this.element.classList.toggle("is-running", this.running);
    this.#drawProblem();
    this.#drawSources();
    this.#drawFoot();
  }

  #drawWay() {
    const { route } = this.answer;
    this.way.hidden = !route;
    if (!route) return;
    const name = Object.hasOwn(WAYS, route.agent) ? WAYS[route.agent] : route.agent;
    this.way.replaceChildren(icon("way"), h("b", {}, name), route.reason ? h("span", {}, route.reason) : "");
    const sure = Number.isFinite(route.confidence) ? `${Math.round(route.confidence * 100)} % sure` : "";
    const took = Number.isFinite(route.seconds) && route.seconds > 0 ? `decided in ${duration(route.seconds * 1000)}` : "";
    this.way.title = [route.reason, sure, took].filter(Boolean).join(" · ");
  }

  #drawThinking() {
    const { reasoning, thoughtMs, content } = this.answer;
    this.thought.hidden = !reasoning;
    if (this.thinking.textContent !== reasoning) this.thinking.textContent = reasoning;
    const thinking = this.running && !content;
    this.thinkingTitle.textContent = thinking ? "Thinking…" : thoughtMs ? `Thought for ${duration(thoughtMs)}` : "Thinking";
  }

  #drawSteps() {
    const { steps } = this.answer;
    this.steps.hidden = steps.length === 0;
    if (!steps.length) return;
    const running = steps.find((step) => step.status === "running");
    const failed = steps.filter((step) => step.status === "failed").length;
    const spent = steps.reduce((sum, step) => sum + (step.duration_ms ?? 0), 0);
    this.stepsTitle.textContent = running
      ? `${toolTitle(running.name)} …`
      : [count(steps.length, "step"), spent ? duration(spent) : "", failed ? `${failed} failed` : ""].filter(Boolean).join(" · ");
    this.steps.classList.toggle("is-busy", Boolean(running));
    if (!this.steps.dataset.touched) this.steps.open = this.running && !this.answer.content;
    steps.forEach((step, index) => {
      let view = this.#steps.get(step.id);
      if (!view) this.#steps.set(step.id, (view = new StepView()));
      if (this.stepList.children[index] !== view.element) this.stepList.insertBefore(view.element, this.stepList.children[index] ?? null);
      view.update(step);
    });
  }

  #drawContent() {
    const { content, citations, steps } = this.answer;
    const known = this.running ? (steps.length ? "pending" : null) : new Set(citations.map((each) => each.index));
    const html = renderBlocks(this.running ? healTail(content) : content, { citations: known });
    html.forEach((block, index) => {
      const old = this.#blocks[index];
      if (old?.html === block) return;
      const element = h("div", { class: "block" }, sanitise(block));
      if (old) old.element.replaceWith(element);
      else this.content.append(element);
      this.#blocks[index] = { html: block, element };
    });
    for (const extra of this.#blocks.splice(html.length)) extra.element.remove();
    if (!this.running) colourCode(this.content);
  }

  #drawProblem() {
    const { status, error, stoppedBecause, finishReason } = this.answer;
    const cut = !this.running && finishReason === "length" ? "The answer reached its length limit." : null;
    const note = status === "failed" ? error : status === "stopped" ? "Stopped before the answer was complete." : stoppedBecause ?? cut;
    this.problem.hidden = !note;
    if (!note || this.problem.dataset.note === note) return;
    this.problem.dataset.note = note;
    this.problem.classList.toggle("is-bad", status === "failed");
    const again = h("button", { type: "button", class: "text-button", onclick: () => this.actions.onRegenerate() }, "Try again");
    this.problem.replaceChildren(icon(status === "failed" ? "warn" : "stop"), h("span", {}, note), status === "failed" ? again : "");
  }

  #drawSources() {
    const { citations } = this.answer;
    this.sources.hidden = this.running || citations.length === 0;
    if (this.sources.hidden || this.sources.childElementCount) return;
    this.sources.append(
      h("h3", {}, "Sources"),
      h("ul", {}, ...citations.map((citation) => h("li", {}, sourceCard(citation, () => this.actions.onCite(citation))))),
    );
  }

  #drawFoot() {
    this.foot.hidden = this.running;
    const { exchange } = this;
    const key = `${this.answer.status} ${exchange.shown} ${exchange.answers.length}`;
    if (this.running || this.foot.dataset.key === key) return;
    this.foot.dataset.key = key;
    const copy = iconButton("copy", "Copy the answer", () => copyText(this.answer.content, copy), { class: "icon-button copy" });
    copy.append(icon("check", "copied"));
    const facts = [this.answer.model, this.answer.totalMs ? duration(this.answer.totalMs) : ""].filter(Boolean).join(" · ");
    this.foot.replaceChildren(
      this.answer.content ? copy : "",
      iconButton("redo", "Ask again", () => this.actions.onRegenerate(), { class: "icon-button regenerate" }),
      exchange.answers.length > 1 ? this.#pager() : "",
      facts ? h("span", { class: "answer-facts" }, facts) : "",
    );
  }

  #pager() {
    const { shown, answers } = this.exchange;
    const to = (index) => () => this.actions.onShow(index);
    return h(
      "span",
      { class: "pager" },
      iconButton("left", "Previous answer", to(shown - 1), { disabled: shown === 0 }),
      h("span", { "aria-label": `Answer ${shown + 1} of ${answers.length}` }, `${shown + 1}/${answers.length}`),
      iconButton("right", "Next answer", to(shown + 1), { disabled: shown === answers.length - 1 }),
    );
  }

  #click(event) {
    const cite = event.target.closest("[data-cite]");
    if (cite) {
      const citation = this.answer.citations.find((each) => each.index === Number(cite.dataset.cite));
      if (citation) this.actions.onCite(citation);
      return;
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy.closest(".code").querySelector("code").textContent.replace(/\n$/, ""), copy);
  }
}

/** One tool call: what went in, what came out. */
class StepView {
  constructor() {
    this.state = h("span", { class: "step-state" });
    this.title = h("span", { class: "step-title" });
    this.brief = h("span", { class: "step-brief" });
    this.time = h("span", { class: "step-time" });
    this.detail = h("div", { class: "step-detail" });
    this.element = h(
      "li",
      { class: "step" },
      h("details", {}, h("summary", {}, this.state, this.title, this.brief, this.time), this.detail),
    );
  }

  update(step) {
    const key = JSON.stringify(step);
    if (this.key === key) return;
    this.key = key;
    const word = STATUS[step.status] ?? step.status;
    this.element.dataset.status = step.status;
    const mark = { completed: "check", failed: "close", cancelled: "stop" }[step.status];
    this.state.replaceChildren(mark ? icon(mark) : h("span", { class: "dot" }), h("span", { class: "sr-only" }, word));
    this.title.textContent = toolTitle(step.name);
    this.brief.textContent = step.purpose && step.status === "planned" ? step.purpose : brief(step.arguments);
    this.time.textContent = step.duration_ms === null || step.duration_ms === undefined ? word : duration(step.duration_ms);
    const part = (label, text, bad) => [h("h4", {}, label), h("pre", { class: bad ? "bad" : "", tabindex: "0" }, text)];
    this.detail.replaceChildren(
      h("p", { class: "step-name" }, h("code", {}, String(step.name ?? ""))),
      ...(step.purpose ? [h("p", {}, step.purpose)] : []),
      ...part("Input", JSON.stringify(step.arguments ?? {}, null, 2)),
      ...(step.output_preview ? part("Output", step.output_preview) : []),
      ...(step.error ? part("Error", step.error, true) : []),
    );
  }
}

function fold(name, mark, title, body) {
  const element = h(
    "details",
    { class: `fold ${name}`, hidden: true },
    h("summary", { onclick: () => (element.dataset.touched = "true") }, icon(mark), title, icon("down", "fold-arrow")),
    h("div", { class: "fold-body" }, body),
  );
  return element;
}

/** A source as a card: a document's opens the passage, a web page's opens the page. */
function sourceCard(citation, open) {
  const web = citation.kind === "web";
  const name = web ? citation.title || hostOf(citation.url) : citation.filename || citation.title || "Document";
  const where = web ? hostOf(citation.url) : citation.page ? `page ${citation.page}` : "";
  const inside = [
    h("span", { class: "source-head" }, h("b", {}, String(citation.index)), icon(web ? "web" : "doc"), h("span", { class: "source-name" }, name)),
    where ? h("span", { class: "source-where" }, where) : null,
    citation.quote ? h("span", { class: "source-quote" }, citation.quote) : null,
  ];
  if (!web) return h("button", { type: "button", class: "source", "data-source": String(citation.index), onclick: open }, ...inside);
  const href = safeHref(citation.url);
  return href ? h("a", { class: "source", href, target: "_blank", rel: "noopener noreferrer" }, ...inside) : h("div", { class: "source" }, ...inside);
}

/** Colours in finished code blocks. The library is fetched when the first such block appears. */
async function colourCode(root) {
  const codes = [...root.querySelectorAll("code[class^=language-]:not([data-coloured])")];
  if (!codes.length) return;
  for (const code of codes) code.dataset.coloured = "true";
  const { default: highlighter } = await import("./vendor/highlight-11.12.0.js");
  for (const code of codes) {
    const language = code.className.replace("language-", "");
    if (code.textContent.length > 50_000 || !highlighter.getLanguage(language)) continue;
    code.replaceChildren(sanitise(highlighter.highlight(code.textContent, { language, ignoreIllegals: true }).value));
  }
}
