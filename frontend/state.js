// What the page knows, and how an answer grows. Pure: no DOM, no network.

/** The one state object. */
export function createState() {
  return {
    user: null,
    health: null,
    online: true,
    models: [],
    model: "hearth",
    agent: "auto",
    conversations: { items: [], total: 0, page: 1, query: "", loaded: false, error: null },
    documents: { items: [], total: 0, loaded: false, error: null },
    collections: { items: [], loaded: false, error: null },
    uploads: [],
    tools: { items: [], loaded: false, error: null },
    session: newSession(),
  };
}

/** A conversation on the page. `collections` are what it searches, `choosing` while the server may not know. `stream` is the running request, kept when the reader looks elsewhere meanwhile. */
export function newSession(id = null, title = "") {
  return { id, title, exchanges: [], collections: [], choosing: false, stream: null, loading: false, error: null };
}

/** A question with its answers: the first, and one more each time it was asked again. `shown` is an index. */
export function newExchange(question, timestamp = null) {
  return { question, timestamp, answers: [], shown: -1 };
}

/** `status`: `waiting` (no byte yet), `streaming`, `complete`, `stopped` or `failed`. */
export function newAnswer() {
  return {
    status: "waiting",
    content: "",
    reasoning: "",
    route: null,
    steps: [],
    citations: [],
    support: null,
    model: null,
    runId: null,
    finishReason: null,
    stoppedBecause: null,
    error: null,
    startedAt: null,
    thoughtMs: null,
    totalMs: null,
  };
}

export function addAnswer(exchange) {
  exchange.answers.push(newAnswer());
  exchange.shown = exchange.answers.length - 1;
  return exchange.answers[exchange.shown];
}

export function shownAnswer(exchange) {
  return exchange.answers[exchange.shown] ?? null;
}

/** Takes one parsed chunk into the answer. `now` in milliseconds. */
export function applyChunk(answer, chunk, now) {
  answer.status = "streaming";
  if (chunk.model) answer.model = chunk.model;
  if (chunk.hearth_event) applyEvent(answer, chunk.hearth_event, now);
  const choice = chunk.choices?.[0];
  const delta = choice?.delta ?? {};
  const thinking = delta.reasoning_content ?? delta.reasoning;
  if (thinking) answer.reasoning += thinking;
  if (delta.content) {
    if (answer.reasoning && answer.thoughtMs === null) answer.thoughtMs = now - (answer.startedAt ?? now);
    answer.content += delta.content;
  }
  if (delta.hearth) applySummary(answer, delta.hearth);
  if (choice?.finish_reason) answer.finishReason = choice.finish_reason;
}

function applyEvent(answer, event, now) {
  if (event.type === "route") answer.route = event;
  else if (event.type === "step_planned") mergeStep(answer, event, { status: "planned" });
  else if (event.type === "tool_started") mergeStep(answer, event, { status: "running", seenAt: now });
  else if (event.type === "tool_finished") mergeStep(answer, event, {});
}

function mergeStep(answer, { type, ...fields }, extra) {
  const known = answer.steps.find((step) => step.id === fields.id);
  if (known) Object.assign(known, fields, extra);
  else answer.steps.push({ status: "running", ...fields, ...extra });
  answer.steps.sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

function applySummary(answer, summary) {
  answer.runId = summary.run_id ?? answer.runId;
  if (summary.route) answer.route = { ...answer.route, ...summary.route };
  for (const step of summary.steps ?? []) mergeStep(answer, step, {});
  answer.citations = distinctCitations(summary.citations ?? []);
  answer.support = summary.support ?? null;
  answer.stoppedBecause = summary.stopped_because ?? null;
}

/** One entry a number, in order: the same source may be cited many times. */
export function distinctCitations(citations) {
  const byNumber = new Map();
  for (const citation of citations) if (!byNumber.has(citation.index)) byNumber.set(citation.index, citation);
  return [...byNumber.values()].sort((a, b) => a.index - b.index);
}

/** The stream is over. Steps that never ended did not complete. */
export function endAnswer(answer, status, { error = null, now = null } = {}) {
  answer.status = status;
  answer.error = error;
  if (now !== null && answer.startedAt !== null) answer.totalMs = now - answer.startedAt;
  for (const step of answer.steps) {
    if (step.status === "running" || step.status === "planned") step.status = "cancelled";
  }
}

/** Stored messages as exchanges. A question asked again right after its answer is another answer to the first. */
export function fromStored(messages) {
  const exchanges = [];
  for (const message of messages ?? []) {
    const last = exchanges.at(-1);
    if (message.role === "user") {
      const again = last && last.question === message.content && last.answers.length;
      if (!again) exchanges.push(newExchange(message.content, message.timestamp));
    } else if (message.role === "assistant") {
      const exchange = last ?? exchanges[exchanges.push(newExchange("", message.timestamp)) - 1];
      Object.assign(addAnswer(exchange), storedAnswer(message));
    }
  }
  return exchanges;
}

function storedAnswer(message) {
  return {
    status: message.partial ? "stopped" : "complete",
    content: message.content ?? "",
    reasoning: message.reasoning ?? "",
    route: message.route ?? null,
    steps: (message.steps ?? []).map((step) => ({ ...step })),
    citations: distinctCitations(message.citations ?? []),
    support: message.support ?? null,
    model: message.model ?? null,
    runId: message.run_id ?? null,
    finishReason: message.finish_reason ?? null,
    stoppedBecause: message.stopped_because ?? null,
  };
}

/**
 * What to send for `exchange`. The server holds the history, so the question alone; but when it is asked again the
 * turns before it are sent, so that the answer being replaced does not influence the new one.
 */
export function messagesFor(session, exchange) {
  const question = { role: "user", content: exchange.question };
  if (exchange.answers.length < 2) return [question];
  const before = session.exchanges.slice(0, session.exchanges.indexOf(exchange)).flatMap((earlier) => {
    const answer = shownAnswer(earlier);
    if (!answer?.content) return [];
    return [
      { role: "user", content: earlier.question },
      { role: "assistant", content: answer.content },
    ];
  });
  return [...before, question];
}

/** The models in the picker: the house's own first. */
export function groupModels(models) {
  const own = models.filter((model) => /^hearth(-|$)/.test(model.id));
  const others = models.filter((model) => !own.includes(model));
  return [
    { label: "Hearth", models: own },
    { label: "Installed models", models: others },
  ].filter((group) => group.models.length);
}

/** The session id of a conversation's address, or null. */
export function parseConversationHash(hash) {
  const id = /^#\/c\/([^/]+)$/.exec(hash)?.[1];
  try {
    return id ? decodeURIComponent(id) : null;
  } catch {
    return null;
  }
}
