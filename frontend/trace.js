// Runs and their traces as plain data: addresses, figures, the rows of the timeline. Pure: no DOM, no network.

/** The address of the list of runs (a page counted from 1), and of one run's trace. */
export function runsPath(page = 1) {
  return page > 1 ? `/#/runs?page=${page}` : "/#/runs";
}

export function runPath(runId) {
  return `/#/runs/${encodeURIComponent(runId)}`;
}

/** `{page}` for the list, `{runId}` for one trace, null for any other address. */
export function parseRunHash(hash) {
  const list = /^#\/runs\/?(?:\?page=(\d{1,6}))?$/.exec(hash);
  if (list) return { page: Math.max(1, Number(list[1] ?? 1)) };
  const one = /^#\/runs\/([^/?#]+)$/.exec(hash);
  if (!one) return null;
  try {
    return { runId: decodeURIComponent(one[1]) };
  } catch {
    return null;
  }
}

const STEP_CALLS = { plan: "Plan", verify: "Check", answer: "Answer", route: "Choose the way", arguments: "Fill in a step" };

/** What a call of the model was for, in words: `plan` is "Plan", `step-3` is "Step 3". */
export function callTitle(step) {
  const name = String(step ?? "");
  if (Object.hasOwn(STEP_CALLS, name)) return STEP_CALLS[name];
  const text = name.replace(/[_-]+/g, " ").trim();
  return text ? text[0].toUpperCase() + text.slice(1) : "Model call";
}

const STATUS_WORDS = {
  running: "Running",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  interrupted: "Interrupted",
  waiting: "Waiting for results",
  planned: "Planned",
};

export function statusTitle(status) {
  const name = String(status ?? "");
  return Object.hasOwn(STATUS_WORDS, name) ? STATUS_WORDS[name] : name;
}

const list = (value) => (Array.isArray(value) ? value.filter((each) => each !== null && typeof each === "object") : []);
const text = (value) => (typeof value === "string" ? value : "");
const number = (value) => (Number.isFinite(value) ? value : null);

/** The server's trace with every field in place; what is missing or of another kind becomes empty. */
export function traceFrom(json) {
  return {
    runId: text(json.run_id),
    sessionId: text(json.session_id) || null,
    status: text(json.status) || "completed",
    question: text(json.query),
    answer: text(json.answer),
    reasoning: text(json.reasoning),
    model: text(json.model),
    createdAt: number(json.created_at),
    seconds: number(json.seconds),
    route: json.route && typeof json.route === "object" ? json.route : null,
    steps: withPlan(list(json.steps), list(json.plan), json.status),
    calls: list(json.calls).map(callFrom),
    waitingFor: list(json.tool_calls),
    citations: list(json.citations),
    tokens: tokensFrom(json.usage),
    budget: json.budget && typeof json.budget === "object" ? json.budget : null,
    stoppedBecause: text(json.stopped_because) || null,
    error: text(json.error?.message ?? json.error) || null,
  };
}

function tokensFrom(usage) {
  return { prompt: number(usage?.prompt_tokens) ?? 0, completion: number(usage?.completion_tokens) ?? 0, total: number(usage?.total_tokens) ?? 0 };
}

function callFrom(call) {
  return {
    ...call,
    step: text(call.step),
    messages: list(call.messages),
    prefix_of_call: Number.isInteger(call.prefix_of_call) ? call.prefix_of_call : null,
    tools: Array.isArray(call.tools) ? call.tools : [],
    text: text(call.text),
    reasoning: text(call.reasoning),
    tool_calls: list(call.tool_calls),
    started_at: number(call.started_at),
    seconds: number(call.seconds),
    first_token_s: number(call.first_token_s),
    prompt_tokens: number(call.prompt_tokens) ?? 0,
    completion_tokens: number(call.completion_tokens) ?? 0,
  };
}

/** The steps that ran, each with what its plan said about it, and the planned ones that never ran. */
function withPlan(steps, plan, status) {
  const left = status === "running" || status === "waiting" ? "planned" : "cancelled";
  const planned = new Map(plan.map((step) => [step.id, step]));
  const ran = new Set(steps.map((step) => step.id));
  const told = steps.map((step) => {
    const { purpose = "", depends_on: needs = [] } = planned.get(step.id) ?? {};
    return { ...step, purpose: text(step.purpose) || text(purpose), depends_on: step.depends_on?.length ? step.depends_on : needs };
  });
  const rest = plan.filter((step) => !ran.has(step.id)).map((step) => ({ ...step, status: left }));
  return [...told, ...rest].sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

/**
 * The prompt of a call: `{earlier, from, added}`. `added` are its own messages, `earlier` those before them, which it
 * shares with the call number `from` (null when it shares none).
 */
export function promptOf(calls, index) {
  const earlier = [];
  const from = calls[index].prefix_of_call;
  // A prefix always belongs to a call before: anything else is damage, and must not loop.
  for (let at = index, next = from; next !== null && next < at && calls[next]; next = calls[at].prefix_of_call) {
    earlier.unshift(...calls[next].messages);
    at = next;
  }
  return { earlier, from: earlier.length ? from : null, added: calls[index].messages };
}

/** Takes one event of a run into its trace, as it happens or replayed. Taking one in again changes nothing but text. */
export function applyRunEvent(trace, event) {
  const { type, n, at, ...fields } = event;
  if (type === "run_started") {
    Object.assign(trace, { status: "running", model: fields.model ?? trace.model, waitingFor: [] });
    trace.question ||= text(fields.query);
    trace.createdAt ??= number(at);
  } else if (type === "route") trace.route = fields;
  else if (type === "step_planned") mergeStep(trace, fields, "planned");
  else if (type === "tool_started") mergeStep(trace, { ...fields, status: "running" }, "running");
  else if (type === "tool_finished") mergeStep(trace, fields, "completed");
  else if (type === "reasoning") trace.reasoning += text(fields.text);
  else if (type === "text") trace.answer += text(fields.text);
  else if (type === "model_called") {
    const call = callFrom(fields);
    // What is loaded already knows more: the event tells neither prompt nor text.
    if (!trace.calls.some((each) => each.index === call.index)) trace.calls.push(call);
    trace.tokens = tokensFrom(sumTokens(trace.calls));
  } else if (type === "citations") trace.citations = list(fields.citations);
  else if (type === "finished" || type === "failed") {
    trace.status = text(fields.status) || (type === "failed" ? "failed" : "completed");
    trace.seconds = number(fields.seconds) ?? trace.seconds;
    trace.stoppedBecause = text(fields.stopped_because) || null;
    trace.error = type === "failed" ? text(fields.message) || "The run failed." : null;
    trace.waitingFor = list(fields.tool_calls);
    if (fields.usage) trace.tokens = tokensFrom(fields.usage);
  }
}

function mergeStep(trace, fields, status) {
  const known = trace.steps.find((step) => step.id === fields.id);
  if (!known) trace.steps.push({ status, purpose: "", depends_on: [], ...fields });
  // A replayed beginning does not undo the end of a step.
  else if (status !== "completed" && ENDED.includes(known.status)) Object.assign(known, { ...fields, status: known.status });
  else Object.assign(known, fields);
  trace.steps.sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

const ENDED = ["completed", "failed", "cancelled"];

function sumTokens(calls) {
  const sum = (name) => calls.reduce((total, call) => total + (call?.[name] ?? 0), 0);
  const [prompt, completion] = [sum("prompt_tokens"), sum("completion_tokens")];
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/**
 * The rows of the timeline in the order of their start: `{kind: "model" | "tool", at, status, fromMs, ms, waitMs}`.
 * `at` is the place in `trace.calls` or `trace.steps`; `fromMs` counts from the start of the run, `ms` is how long it took
 * (until `now`, in seconds, for what still runs) and `waitMs` the part of a model call before its first word.
 */
export function timeline(trace, now) {
  const rows = [];
  trace.calls.forEach((call, at) => {
    if (call.started_at === null || call.seconds === null) return;
    const wait = Math.min(call.first_token_s ?? 0, call.seconds);
    rows.push({ kind: "model", at, status: call.error ? "failed" : "completed", start: call.started_at, ms: call.seconds * 1000, waitMs: wait * 1000 });
  });
  trace.steps.forEach((step, at) => {
    if (!Number.isFinite(step.started_at)) return;
    const running = step.status === "running";
    const ms = Number.isFinite(step.duration_ms) ? step.duration_ms : running ? Math.max(0, now - step.started_at) * 1000 : 0;
    rows.push({ kind: "tool", at, status: step.status, start: step.started_at, ms, waitMs: 0 });
  });
  rows.sort((a, b) => a.start - b.start || (a.kind === "model" ? -1 : 1));
  const first = rows[0]?.start ?? 0;
  // What came before the first bar (the decision, documents looked up) took its time too.
  const from = Math.min(first, trace.createdAt ?? first);
  const placed = rows.map(({ start, ...row }) => ({ ...row, fromMs: (start - from) * 1000 }));
  return { rows: placed, totalMs: Math.max(1, ...placed.map((row) => row.fromMs + row.ms)) };
}

/** Where the lines of a time axis stand: four to ten round values (1, 2 or 5 times a power of ten) from 0 to `totalMs`. */
export function ticks(totalMs, most = 6) {
  const power = 10 ** Math.floor(Math.log10(totalMs / most));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => totalMs / value <= most);
  return Array.from({ length: Math.floor(totalMs / step) + 1 }, (_, index) => index * step);
}
