// The calls of the model in a trace: what was put to it, what it said, what it cost.

import { h, icon } from "./dom.js";
import { brief, count, duration } from "./format.js";
import { clock, part } from "./steps.js";
import { callTitle, promptOf } from "./trace.js";

const LINE_CHARS = 120;
const ROLES = ["system", "user", "assistant", "tool"];

/** A growing list: calls are only ever added, and do not change. */
export class CallList {
  #views = [];

  constructor() {
    this.element = h("ol", { class: "step-list calls" });
  }

  update(calls) {
    for (const extra of this.#views.splice(calls.length)) extra.element.remove();
    calls.forEach((call, index) => {
      const key = JSON.stringify([call.started_at, call.messages.length, call.text.length]);
      const old = this.#views[index];
      if (old?.key === key) return;
      const view = new CallView(calls, index, key);
      if (old) old.element.replaceWith(view.element);
      else this.element.append(view.element);
      this.#views[index] = view;
    });
  }

  /** Opens one call and brings it into view. */
  reveal(index) {
    const view = this.#views[index];
    if (!view) return;
    view.fold.open = true;
    view.fold.querySelector("summary").focus({ preventScroll: true });
    view.element.scrollIntoView({ block: "nearest" });
  }
}

/** One call. Its prompt may be long: it is put on the page when the call is opened first. */
class CallView {
  constructor(calls, index, key) {
    const call = calls[index];
    this.key = key;
    this.detail = h("div", { class: "step-detail" });
    const tokens = `${call.prompt_tokens.toLocaleString()} → ${call.completion_tokens.toLocaleString()} tokens`;
    const said = call.error || line(call.text) || call.tool_calls.map((each) => each.name).join(", ") || line(call.reasoning);
    this.fold = h(
      "details",
      {},
      h(
        "summary",
        {},
        h("span", { class: "step-state" }, icon(call.error ? "close" : "spark")),
        h("span", { class: "step-title" }, callTitle(call.step)),
        h("span", { class: "step-brief" }, said),
        h("span", { class: "call-tokens", title: "read → written" }, tokens),
        h("span", { class: "step-time" }, call.seconds === null ? "" : duration(call.seconds * 1000)),
      ),
      this.detail,
    );
    this.fold.addEventListener("toggle", () => this.detail.childElementCount || this.detail.append(...detail(calls, index)));
    this.element = h("li", { class: "step call", "data-status": call.error ? "failed" : "completed" }, this.fold);
  }
}

function detail(calls, index) {
  const call = calls[index];
  const facts = [
    call.started_at === null ? "" : `started ${clock(call.started_at)}`,
    call.first_token_s === null ? "" : `first word after ${duration(call.first_token_s * 1000)}`,
    call.finish ? `ended with ${call.finish}` : "",
    call.format ? `asked for JSON of the form ${call.format}` : "",
  ];
  const words = call.format ? pretty(call.text) : call.text;
  return [
    h("p", { class: "call-facts" }, facts.filter(Boolean).join(" · ")),
    ...(call.error ? part("Error", call.error, "bad") : []),
    ...prompt(promptOf(calls, index)),
    ...(call.tools.length ? [h("h4", {}, "Tools offered"), h("p", { class: "call-tools" }, ...call.tools.map((name) => h("code", {}, String(name))))] : []),
    ...(call.reasoning ? [h("h4", {}, "Thinking"), unfolding("role", "thinking", call.reasoning)] : []),
    ...(words ? part("Text", words) : []),
    ...call.tool_calls.flatMap((each) => part(`Calls ${each.name}`, pretty(each.arguments))),
  ];
}

/** Each message folded; those that an earlier call had in front of it already are folded together. */
function prompt({ earlier, from, added }) {
  const all = earlier.length + added.length;
  if (!all) return [];
  const before = h("details", { class: "earlier" }, h("summary", {}, `${count(earlier.length, "message")} as in model call ${from + 1}`), h("ul", {}, ...earlier.map(messageRow)));
  return [
    h("h4", {}, `Prompt · ${count(all, "message")}`),
    h("div", { class: "prompt" }, earlier.length ? before : null, h("ul", {}, ...added.map(messageRow))),
  ];
}

function messageRow(message) {
  const role = ROLES.includes(message.role) ? message.role : "user";
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  const asked = calls.map((call) => `${call.name}(${call.arguments})`).join("\n");
  const pictures = message.images ? `(${count(message.images, "picture")})` : "";
  const words = [message.content, asked, pictures].filter(Boolean).join("\n\n");
  const who = message.name ? `${message.role} · ${message.name}` : String(message.role ?? "");
  return h("li", { class: "message", "data-role": role }, unfolding("role", who, words));
}

/** A name and the first line of a text, which opens to the whole of it. */
function unfolding(kind, name, words) {
  return h(
    "details",
    { class: "unfolding" },
    h("summary", {}, h("span", { class: kind }, name), h("span", { class: "step-brief" }, line(words) || "(empty)"), h("span", { class: "step-time" }, count(words.length, "character"))),
    h("pre", { tabindex: "0", "aria-label": name }, words),
  );
}

function line(text) {
  return brief({ text: String(text ?? "").slice(0, 4 * LINE_CHARS) }, LINE_CHARS);
}

/** JSON set out in lines; any other text as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return String(text ?? "");
  }
}
