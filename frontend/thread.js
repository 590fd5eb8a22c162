// The conversation in the middle: questions, answers, the empty, loading and failed states, and following the end.

import { AnswerView } from "./answer.js";
import { byId, copyText, h, icon, iconButton } from "./dom.js";
import { shownAnswer } from "./state.js";

const NEAR_END_PX = 80;

/** `actions`: `artifacts`, `onCite`, `onRegenerate(exchange)`, `onAllow(exchange, names)`, `onSuggest(text)`, `onUpload()`, `onRetryLoad()`. */
export class Thread {
  #views = new Map();
  #frame = 0;
  #cost = 0;

  constructor(state, actions) {
    this.state = state;
    this.actions = actions;
    this.root = byId("thread");
    this.scroller = byId("scroller");
    this.toLatest = byId("to-latest");
    this.following = true;
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.toLatest.addEventListener("click", () => this.toEnd(true));
    // A picture that arrives makes the answer longer.
    this.root.addEventListener("load", () => this.following && this.toEnd(false), true);
    // A banner, a growing message box or a phone's keyboard takes room: the end stays in sight.
    new ResizeObserver(() => this.following && !this.root.classList.contains("is-empty") && this.toEnd(false)).observe(this.scroller);
  }

  /** Draws the current session anew. */
  draw() {
    const { session } = this.state;
    this.#views.clear();
    const empty = !session.loading && !session.error && !session.exchanges.length;
    this.root.classList.toggle("is-empty", empty);
    if (session.loading) this.root.replaceChildren(loading());
    else if (session.error) this.root.replaceChildren(failed(session.error, this.actions.onRetryLoad));
    else if (empty) this.root.replaceChildren(this.#welcome());
    else this.root.replaceChildren(...session.exchanges.map((exchange) => this.#exchange(exchange)));
    if (empty) this.scroller.scrollTop = 0;
    else this.toEnd(true);
  }

  /** A new exchange at the end. */
  add(exchange) {
    if (this.root.classList.contains("is-empty")) return this.draw();
    this.root.append(this.#exchange(exchange));
    return this.toEnd(true);
  }

  remove(exchange) {
    this.#views.get(exchange)?.section.remove();
    this.#views.delete(exchange);
    if (!this.state.session.exchanges.length) this.draw();
  }

  /** Another answer to the same question is to be seen. */
  swap(exchange) {
    const section = this.#views.get(exchange)?.section;
    if (section) section.replaceWith(this.#exchange(exchange));
  }

  /** Redraws a growing answer with the next frame; slow drawing (a huge answer) makes the frames rarer. */
  refresh(exchange) {
    if (this.#frame || !this.#views.has(exchange)) return;
    const draw = () => {
      this.#frame = 0;
      const started = performance.now();
      this.refreshNow(exchange);
      this.#cost = performance.now() - started;
    };
    this.#frame = this.#cost > 8 ? setTimeout(draw, this.#cost * 4) : requestAnimationFrame(draw);
  }

  refreshNow(exchange) {
    this.#views.get(exchange)?.view?.update();
    if (this.following) this.toEnd(false);
  }

  toEnd(force) {
    if (force) this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.toLatest.hidden = true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.toLatest.hidden = this.following;
  }

  #exchange(exchange) {
    const answer = shownAnswer(exchange);
    const view = answer
      ? new AnswerView(answer, exchange, {
          artifacts: this.actions.artifacts,
          onCite: this.actions.onCite,
          onRegenerate: () => this.actions.onRegenerate(exchange),
          onAllow: (names) => this.actions.onAllow(exchange, names),
          onShow: (index) => {
            exchange.shown = index;
            this.swap(exchange);
          },
        })
      : null;
    const section = h("section", { class: "exchange" }, exchange.question ? question(exchange.question) : null, view?.element);
    this.#views.set(exchange, { section, view });
    return section;
  }

  #welcome() {
    const ready = this.state.documents.items.filter((each) => each.status === "ready");
    const name = ready[0]?.filename;
    const ideas = name
      ? [
          ["doc", `What is “${name}” about?`, "Ask your document"],
          ["tool", "Solve x² − 5x + 6 = 0 and check the result", "Exact mathematics"],
          ["way", `Find the key dates in “${name}”, and work out 17.5 % of 2340`, "Two things at once"],
        ]
      : [
          ["tool", "Solve x² − 5x + 6 = 0 and check the result", "Exact mathematics"],
          ["spark", 'Mean and maximum of [{"city": "Oslo", "sales": 12}, {"city": "Rome", "sales": 31}]', "Look at data"],
        ];
    const hour = new Date().getHours();
    const greeting = hour < 5 ? "Still up?" : hour < 12 ? "Good morning" : hour < 18 ? "Good afternoon" : "Good evening";
    const card = ([mark, text, label]) =>
      h("button", { type: "button", class: "idea", onclick: () => this.actions.onSuggest(text) }, icon(mark), h("span", {}, h("b", {}, label), h("span", {}, text)));
    const upload = h(
      "button",
      { type: "button", class: "idea", onclick: () => this.actions.onUpload() },
      icon("upload"),
      h("span", {}, h("b", {}, name ? "Add more documents" : "Ask your own documents"), h("span", {}, "PDF, Word, PowerPoint, Excel, e-books, e-mail, code and more; they stay on this server")),
    );
    return h(
      "div",
      { class: "welcome" },
      icon("logo", "logo welcome-logo"),
      h("h2", {}, greeting),
      h("p", {}, "What would you like to find out?"),
      h("div", { class: "ideas" }, name ? ideas.map(card) : [upload, ...ideas.map(card)], name ? upload : null),
    );
  }
}

function question(text) {
  const copy = iconButton("copy", "Copy the question", () => copyText(text, copy), { class: "icon-button copy" });
  copy.append(icon("check", "copied"));
  return h("div", { class: "question" }, copy, h("div", { class: "question-text" }, h("span", { class: "sr-only" }, "You: "), text));
}

function loading() {
  return h("div", { class: "skeleton", role: "status" }, h("span", { class: "sr-only" }, "Loading the conversation"), h("i"), h("i"), h("i"), h("i"));
}

function failed(message, retry) {
  return h("div", { class: "state-note" }, icon("warn"), h("p", {}, message), h("button", { type: "button", class: "secondary", onclick: retry }, "Try again"));
}
