import assert from "node:assert/strict";
import test from "node:test";

import {
  applyRunEvent, callTitle, parseRunHash, promptOf, runPath, runsPath, statusTitle, ticks, timeline, traceFrom,
} from "../../frontend/trace.js";

for (const [hash, place] of [
  ["#/runs", { page: 1 }],
  ["#/runs/", { page: 1 }],
  ["#/runs?page=3", { page: 3 }],
  ["#/runs?page=0", { page: 1 }],
  ["#/runs/run_1", { runId: "run_1" }],
  ["#/runs/a%2Fb", { runId: "a/b" }],
  ["#/runs/%", null],
  ["#/runs/a/b", null],
  ["#/c/run_1", null],
  ["", null],
]) {
  test(`the address ${hash || "(none)"} leads to ${JSON.stringify(place)}`, () => assert.deepEqual(parseRunHash(hash), place));
}

test("addresses lead back to what they were made from", () => {
  assert.deepEqual(parseRunHash(runPath("a/b?#é").slice(1)), { runId: "a/b?#é" });
  assert.deepEqual([runsPath(), runsPath(2)], ["/#/runs", "/#/runs?page=2"]);
});

test("names of calls and states are words, also when they are unknown or those of every object", () => {
  assert.deepEqual(["plan", "step-3", "", "constructor"].map(callTitle), ["Plan", "Step 3", "Model call", "Constructor"]);
  assert.deepEqual(["waiting", "odd", undefined].map(statusTitle), ["Waiting for results", "odd", ""]);
});

test("an empty and a damaged trace have every field", () => {
  for (const json of [{}, { steps: "x", calls: [null, 3, {}], plan: 7, citations: {}, usage: null, route: "r", query: 5, error: [] }]) {
    const trace = traceFrom(json);
    assert.deepEqual([trace.steps, trace.citations, trace.route, trace.question, trace.tokens.total, trace.error], [[], [], null, "", 0, null]);
    for (const call of trace.calls) assert.deepEqual([call.messages, call.tool_calls, call.text, call.prompt_tokens], [[], [], "", 0]);
  }
});

const plan = [
  { id: "a", index: 0, name: "t", purpose: "look", depends_on: [] },
  { id: "b", index: 1, name: "u", purpose: "sum", depends_on: ["a"] },
];

test("a step that ran tells what its plan said, one that never ran is shown as such", () => {
  const steps = [{ id: "a", index: 0, name: "t", status: "completed", output: "x" }];
  const told = (status) => traceFrom({ plan, steps, status }).steps.map((step) => [step.id, step.purpose, step.status, step.depends_on]);
  assert.deepEqual(told("completed"), [["a", "look", "completed", []], ["b", "sum", "cancelled", ["a"]]]);
  assert.equal(told("running")[1][2], "planned");
});

test("a prompt is put together from the calls before it", () => {
  const calls = [
    { messages: [1, 2], prefix_of_call: null },
    { messages: [3], prefix_of_call: 0 },
    { messages: [4], prefix_of_call: 1 },
  ];
  assert.deepEqual(promptOf(calls, 2), { earlier: [1, 2, 3], from: 1, added: [4] });
  assert.deepEqual(promptOf(calls, 0), { earlier: [], from: null, added: [1, 2] });
});

test("a prefix that points at itself, ahead or nowhere ends", () => {
  const calls = [{ messages: [1], prefix_of_call: 0 }, { messages: [2], prefix_of_call: 2 }, { messages: [3], prefix_of_call: 9 }];
  for (const at of [0, 1, 2]) assert.deepEqual(promptOf(calls, at).earlier, []);
});

test("bars stand in the order of their starts and may overlap", () => {
  const trace = traceFrom({
    steps: [
      { id: "s1", index: 0, status: "completed", started_at: 101, duration_ms: 400 },
      { id: "s2", index: 1, status: "running", started_at: 101.1 },
      { id: "s3", index: 2, status: "planned" },
    ],
    calls: [{ step: "plan", started_at: 100, seconds: 1, first_token_s: 0.25 }, { step: "lost" }],
  });
  const { rows, totalMs } = timeline(trace, 103);
  assert.deepEqual(
    rows.map((row) => [row.kind, row.at, row.status, Math.round(row.fromMs), Math.round(row.ms), row.waitMs]),
    [["model", 0, "completed", 0, 1000, 250], ["tool", 0, "completed", 1000, 400, 0], ["tool", 1, "running", 1100, 1900, 0]],
  );
  assert.equal(Math.round(totalMs), 3000);
});

test("the time before the first bar is seen", () => {
  const at = (created_at) => timeline(traceFrom({ created_at, calls: [{ started_at: 100, seconds: 1 }] }), 0);
  assert.deepEqual([at(99).rows[0].fromMs, at(99).totalMs, at(101).rows[0].fromMs, at(null).totalMs], [1000, 2000, 0, 1000]);
});

test("nothing to show is an empty timeline", () => assert.deepEqual(timeline(traceFrom({}), 0), { rows: [], totalMs: 1 }));

for (const [total, expected] of [[1, [0, 0.2, 0.4, 0.6, 0.8, 1]], [950, [0, 200, 400, 600, 800]], [4800, [0, 1000, 2000, 3000, 4000]], [61_000, [0, 20_000, 40_000, 60_000]]]) {
  test(`the axis of ${total} ms has round marks`, () => assert.deepEqual(ticks(total).map((mark) => Math.round(mark * 1000) / 1000), expected));
}

const EVENTS = [
  { type: "run_started", n: 1, at: 50, run_id: "r", model: "m", query: "q" },
  { type: "route", n: 2, at: 50, agent: "react", reason: "why", confidence: 1, seconds: 0.1, task: "agentic" },
  { type: "step_planned", n: 3, at: 50, id: "a", index: 0, name: "t", arguments: {}, depends_on: [], purpose: "look" },
  { type: "tool_started", n: 4, at: 51, id: "a", index: 0, name: "t", arguments: { x: 1 }, started_at: 51 },
  { type: "tool_finished", n: 5, at: 52, id: "a", index: 0, name: "t", arguments: { x: 1 }, status: "failed", output_preview: "", error: "no", started_at: 51, duration_ms: 9 },
  { type: "reasoning", n: 6, at: 52, text: "hm" },
  { type: "text", n: 7, at: 52, text: "An" },
  { type: "text", n: 8, at: 52, text: "swer" },
  { type: "model_called", n: 9, at: 53, index: 0, step: "answer", started_at: 52, seconds: 1, prompt_tokens: 5, completion_tokens: 2 },
  { type: "later_kind", n: 10, at: 53 },
  { type: "citations", n: 11, at: 53, citations: [{ index: 1 }] },
];
const grown = (events, trace = traceFrom({})) => {
  for (const event of events) applyRunEvent(trace, structuredClone(event));
  return trace;
};

test("a trace grows by its events", () => {
  const trace = grown(EVENTS);
  assert.deepEqual([trace.status, trace.question, trace.model, trace.createdAt, trace.route.reason], ["running", "q", "m", 50, "why"]);
  assert.deepEqual(trace.steps.map((step) => [step.id, step.status, step.purpose, step.error, step.duration_ms]), [["a", "failed", "look", "no", 9]]);
  assert.deepEqual([trace.answer, trace.reasoning, trace.calls.length, trace.tokens.total, trace.citations.length], ["Answer", "hm", 1, 7, 1]);
});

test("events replayed over a loaded trace take nothing from it", () => {
  const loaded = traceFrom({
    steps: [{ id: "a", index: 0, name: "t", status: "failed", output: "whole", purpose: "look" }],
    calls: [{ index: 0, step: "answer", text: "known", messages: [{ role: "user", content: "q" }], prompt_tokens: 5, completion_tokens: 2 }],
  });
  const trace = grown(EVENTS.slice(0, 4).concat(EVENTS.slice(8)), loaded);
  assert.deepEqual([trace.steps[0].status, trace.steps[0].output, trace.calls.length, trace.calls[0].text], ["failed", "whole", 1, "known"]);
});

for (const [ending, expected] of [
  [{ type: "finished", status: "completed", seconds: 3, stopped_because: "The time is up.", usage: { total_tokens: 9 } }, ["completed", "The time is up.", null, 3]],
  [{ type: "finished", status: "waiting", tool_calls: [{ id: "c", name: "mine", arguments: "{}" }] }, ["waiting", null, null, null]],
  [{ type: "failed", status: "interrupted", message: "The server stopped." }, ["interrupted", null, "The server stopped.", null]],
  [{ type: "failed" }, ["failed", null, "The run failed.", null]],
]) {
  test(`a run may end as ${expected[0]}`, () => {
    const trace = grown([...EVENTS, { n: 12, at: 54, ...ending }]);
    assert.deepEqual([trace.status, trace.stoppedBecause, trace.error, trace.seconds], expected);
    assert.equal(trace.waitingFor.length, ending.tool_calls?.length ?? 0);
  });
}
