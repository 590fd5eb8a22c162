// One answer on the page: way, thinking, steps as they happen, Markdown, sources, actions. Redraws only what changed.

import { fileShelf } from "./artifacts.js";
import { copyText, h, icon, iconButton } from "./dom.js";
import { filesOf } from "./files.js";
import { brief, citedPlace, duration, plainQuote } from "./format.js";
import { healTail, hostOf, renderBlocks, safeHref, sanitise } from "./markdown.js";
import { citedParts } from "./passage.js";
import { supportNote } from "./support.js";
import { runPath } from "./trace.js";
import { StepList, routeFacts, stepsTitle, toolName, unconfirmed, wayTitle } from "./steps.js";

/** `actions`: `onCite(citation)`, `onRegenerate()`, `onAllow(names)`, `onShow(index)`, and `artifacts` to fetch files. */
export class AnswerView {
  #blocks = [];

  constructor(answer, exchange, actions) {
    this.answer = answer;
    this.exchange = exchange;
    this.actions = actions;
    this.way = h("p", { class: "way", hidden: true });
    this.thinking = h("pre", { class: "thinking-text" });
    this.thinkingTitle = h("span", {}, "Thinking");
    this.thought = fold("thought", "thought", this.thinkingTitle, this.thinking);
    this.stepsTitle = h("span", {}, "Steps");
    this.stepList = new StepList(actions.artifacts);
    this.steps = fold("steps", "tool", this.stepsTitle, this.stepList.element);
    this.waiting = h("div", { class: "waiting", role: "status" }, h("span"), h("span"), h("span"), h("b", { class: "sr-only" }, "Working"));
    this.content = h("div", { class: "md", "aria-live": "polite", "aria-busy": "true" });
    this.problem = h("div", { class: "problem", hidden: true });
    this.consent = h("div", { class: "consent", role: "status", hidden: true });
    this.files = h("section", { class: "answer-files", "aria-label": "Files", hidden: true });
    this.sources = h("section", { class: "sources", "aria-label": "Sources", hidden: true });
    this.support = h("p", { class: "support", hidden: true });
    this.foot = h("div", { class: "answer-foot" });
    this.element = h(
      "article",
      { class: "answer", "aria-label": "Answer" },
      h("div", { class: "answer-mark", "aria-hidden": "true" }, icon("logo", "logo")),
      h("div", { class: "answer-body" }, this.way, this.thought, this.steps, this.content, this.waiting, this.problem, this.consent, this.files, this.support, this.sources, this.foot),
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
    this.#drawConsent();
    this.#drawFiles();
    this.#drawSupport();
    this.#drawSources();
    this.#drawFoot();
  }

  #drawWay() {
    const { route } = this.answer;
    this.way.hidden = !route;
    if (!route) return;
    const facts = routeFacts(route);
    const key = JSON.stringify(route);
    if (this.way.dataset.key === key) return;
    this.way.dataset.key = key;
    this.way.title = [route.reason, facts].filter(Boolean).join(" · ");
    this.way.replaceChildren(
      icon("way"),
      h("b", {}, wayTitle(route.agent)),
      h("span", { class: "way-reason" }, route.reason ?? ""),
      facts ? h("span", { class: "way-facts" }, facts) : "",
    );
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
    this.stepsTitle.textContent = stepsTitle(steps);
    this.steps.classList.toggle("is-busy", steps.some((step) => step.status === "running"));
    if (!this.steps.dataset.touched) this.steps.open = !this.answer.content;
    this.stepList.update(steps);
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
    this.problem.setAttribute("role", status === "failed" ? "alert" : "status");
    this.problem.classList.toggle("is-bad", status === "failed");
    const again = h("button", { type: "button", class: "text-button", onclick: () => this.actions.onRegenerate() }, "Try again");
    this.problem.replaceChildren(icon(status === "failed" ? "warn" : "stop"), h("span", {}, note), status === "failed" ? again : "");
  }

  /** A tool that runs only with the user's leave was wanted: what for, and a way to give it. */
  #drawConsent() {
    const asked = this.running ? [] : unconfirmed(this.answer.steps);
    this.consent.hidden = !asked.length;
    if (!asked.length || this.consent.childElementCount) return;
    const allow = h("button", { type: "button", class: "secondary", onclick: () => this.actions.onAllow(asked.map((each) => each.name)) }, "Allow and try again");
    const rows = asked.map((each) => h("li", {}, h("b", {}, toolName(each.name)), h("span", {}, brief(each.arguments, 200))));
    const text = asked.length > 1 ? "These tools run only if you allow them." : "This tool runs only if you allow it.";
    this.consent.append(icon("hand"), h("div", {}, h("p", {}, text), h("ul", {}, ...rows), h("p", { class: "consent-note" }, "This holds for one answer only.")), allow);
  }

  #drawFiles() {
    const files = this.running ? [] : filesOf(...this.answer.steps);
    this.files.hidden = !files.length;
    if (files.length && !this.files.childElementCount) this.files.append(fileShelf(files, this.actions.artifacts));
  }

  #drawSupport() {
    const note = this.running ? null : supportNote(this.answer.support, this.answer.citations);
    this.support.hidden = !note;
    if (!note || this.support.childElementCount) return;
    this.support.dataset.status = note.status;
    this.support.append(icon(note.status === "supported" ? "shield" : "warn"), h("span", {}, note.text));
    if (note.hint) this.support.title = note.hint;
  }

  #drawSources() {
    const { citations } = this.answer;
    this.sources.hidden = this.running || citations.length === 0;
    if (this.sources.hidden || this.sources.childElementCount) return;
    this.sources.append(
      h("h3", {}, "Sources"),
      h("ul", {}, ...citations.map((citation) => h("li", {}, sourceCard({ ...citation, quote: this.#said(citation)[0] ?? citation.quote }, () => this.#cite(citation))))),
    );
  }

  #drawFoot() {
    this.foot.hidden = this.running;
    const { exchange } = this;
    const key = `${this.answer.status} ${exchange.shown} ${exchange.answers.length} ${this.answer.runId}`;
    if (this.running || this.foot.dataset.key === key) return;
    this.foot.dataset.key = key;
    const copy = iconButton("copy", "Copy the answer", () => copyText(this.answer.content, copy), { class: "icon-button copy" });
    copy.append(icon("check", "copied"));
    const facts = [this.answer.model, this.answer.totalMs ? duration(this.answer.totalMs) : ""].filter(Boolean).join(" · ");
    this.foot.replaceChildren(
      this.answer.content ? copy : "",
      iconButton("redo", "Ask again", () => this.actions.onRegenerate(), { class: "icon-button regenerate" }),
      this.answer.runId && hasTrace(this.answer) ? traceLink(this.answer.runId) : "",
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

  /** The sentences of a passage that the answer took from it; none for one that is a quotation already. */
  #said(citation) {
    return citation.quoted || !citation.quote ? [] : citedParts(citation.quote, this.answer.content, citation.index);
  }

  #cite(citation) {
    this.actions.onCite({ ...citation, said: this.#said(citation) });
  }

  #click(event) {
    const cite = event.target.closest("[data-cite]");
    if (cite) {
      const citation = this.answer.citations.find((each) => each.index === Number(cite.dataset.cite));
      if (citation) this.#cite(citation);
      return;
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy.closest(".code").querySelector("code").textContent.replace(/\n$/, ""), copy);
  }
}

/** Plain answers leave no trace: there is nothing in them but the answer. */
function hasTrace(answer) {
  return answer.steps.length > 0 || answer.route?.task === "agentic";
}

function traceLink(runId) {
  return h("a", { class: "trace-link", href: runPath(runId), "data-run": runId, title: "How this answer came about" }, icon("runs"), "Trace");
}

/** Something that opens: `body` under a line with an icon. Hidden until there is something in it. */
export function fold(name, mark, title, body) {
  const element = h(
    "details",
    { class: `fold ${name}`, hidden: true },
    h("summary", { onclick: () => (element.dataset.touched = "true") }, icon(mark), title, icon("down", "fold-arrow")),
    h("div", { class: "fold-body" }, body),
  );
  return element;
}

/** A source as a card: a document's opens the passage, a web page's opens the page. */
export function sourceCard(citation, open) {
  const web = citation.kind === "web";
  const name = web ? citation.title || hostOf(citation.url) : citation.filename || citation.title || "Document";
  const where = web ? hostOf(citation.url) : citedPlace(citation);
  const score = web || !Number.isFinite(citation.score) ? null : strength(citation);
  const heading = web || !Array.isArray(citation.heading) ? [] : citation.heading;
  const inside = [
    h("span", { class: "source-head" }, h("b", {}, String(citation.index)), icon(web ? "web" : "doc"), h("span", { class: "source-name" }, name), score),
    where ? h("span", { class: "source-where" }, where) : null,
    heading.length ? h("span", { class: "source-trail" }, ...heading.map((each) => h("span", {}, each))) : null,
    citation.quote ? h("span", { class: "source-quote" }, plainQuote(citation.quote)) : null,
    citation.note ? h("span", { class: "source-note" }, citation.note) : null,
  ];
  if (!web) return h("button", { type: "button", class: "source", "data-source": String(citation.index), onclick: open }, ...inside);
  const href = safeHref(citation.url);
  return href ? h("a", { class: "source", href, target: "_blank", rel: "noopener noreferrer" }, ...inside) : h("div", { class: "source" }, ...inside);
}

/** How well a passage fits the question, as three bars; what it was made of as a hint. */
export function strength({ score, parts }) {
  const bars = score >= 0.66 ? 3 : score >= 0.33 ? 2 : 1;
  const made = Object.entries(parts ?? {}).filter(([, value]) => Number.isFinite(value));
  const title = [`Relevance ${score.toFixed(2)}`, ...made.map(([name, value]) => `${name} ${value.toFixed(2)}`)].join(" · ");
  return h("span", { class: "strength", "data-bars": String(bars), title, role: "img", "aria-label": `Relevance ${score.toFixed(2)} of 1` }, h("i"), h("i"), h("i"));
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
