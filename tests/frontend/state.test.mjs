import assert from "node:assert/strict";
import test from "node:test";

import {
  addAnswer, applyChunk, distinctCitations, endAnswer, fromStored, groupModels, messagesFor, newAnswer, newExchange, newSession, shownAnswer,
} from "../../frontend/state.js";

const delta = (fields, finish = null) => ({ choices: [{ delta: fields, finish_reason: finish }] });
const event = (fields) => ({ ...delta({ content: "" }), hearth_event: fields });

test("text and thinking are kept apart, and the same thinking under two names counts once", () => {
  const answer = newAnswer();
  answer.startedAt = 1000;
  applyChunk(answer, delta({ content: "", reasoning_content: "Hm. ", reasoning: "Hm. " }), 1100);
  applyChunk(answer, delta({ content: "Yes" }), 3000);
  applyChunk(answer, delta({ content: "." }), 4000);
  assert.deepEqual([answer.reasoning, answer.content, answer.thoughtMs], ["Hm. ", "Yes.", 2000]);
});

test("a step is planned, runs and ends as one entry, in the order of the plan", () => {
  const answer = newAnswer();
  applyChunk(answer, event({ type: "step_planned", id: "b", index: 1, name: "math_calc", arguments: {}, purpose: "sum" }), 0);
  applyChunk(answer, event({ type: "step_planned", id: "a", index: 0, name: "rag_retrieval", arguments: {} }), 0);
  assert.deepEqual(answer.steps.map((step) => [step.id, step.status]), [["a", "planned"], ["b", "planned"]]);
  applyChunk(answer, event({ type: "tool_started", id: "b", index: 1, name: "math_calc", arguments: { expression: "1+1" }, started_at: 5 }), 0);
  assert.equal(answer.steps[1].status, "running");
  applyChunk(answer, event({ type: "tool_finished", id: "b", index: 1, status: "completed", output_preview: "2", duration_ms: 3 }), 0);
  assert.deepEqual(
    [answer.steps.length, answer.steps[1].status, answer.steps[1].purpose, answer.steps[1].arguments.expression, answer.steps[1].output_preview],
    [2, "completed", "sum", "1+1", "2"],
  );
});

test("the closing summary brings citations, route and what stopped the run", () => {
  const answer = newAnswer();
  applyChunk(answer, event({ type: "route", agent: "react", task: "agentic", reason: "r", confidence: 0.9, seconds: 0.002 }), 0);
  const hearth = {
    run_id: "run_1", route: { agent: "react", reason: "r2" }, steps: [{ id: "x", index: 0, name: "t", status: "completed" }],
    citations: [{ index: 2 }, { index: 1, quote: "a" }, { index: 1, quote: "b" }], stopped_because: "The time was up.",
  };
  applyChunk(answer, delta({ content: "", hearth }, "stop"), 0);
  assert.deepEqual(answer.citations, [{ index: 1, quote: "a" }, { index: 2 }]);
  assert.deepEqual([answer.route.reason, answer.route.seconds], ["r2", 0.002]);
  assert.deepEqual([answer.runId, answer.steps.length, answer.finishReason, answer.stoppedBecause], ["run_1", 1, "stop", "The time was up."]);
});

test("chunks without choices, as usage comes, change no text", () => {
  const answer = newAnswer();
  applyChunk(answer, { choices: [], usage: { total_tokens: 3 } }, 0);
  assert.equal(answer.content, "");
});

test("a stopped answer leaves no step running", () => {
  const answer = newAnswer();
  answer.startedAt = 1000;
  applyChunk(answer, event({ type: "tool_started", id: "a", index: 0, name: "t" }), 0);
  endAnswer(answer, "stopped", { now: 1500 });
  assert.deepEqual([answer.status, answer.steps[0].status, answer.totalMs], ["stopped", "cancelled", 500]);
});

test("stored messages become exchanges, with a question asked again as a further answer", () => {
  const exchanges = fromStored([
    { role: "user", content: "q1", timestamp: 1 },
    { role: "assistant", content: "a1", model: "m", citations: [{ index: 1 }], steps: [{ id: "s", index: 0 }], reasoning: "r", partial: true },
    { role: "user", content: "q1", timestamp: 2 },
    { role: "assistant", content: "a2" },
    { role: "tool", content: "ignored" },
    { role: "user", content: "q2", timestamp: 3 },
  ]);
  assert.deepEqual(exchanges.map((each) => [each.question, each.answers.map((answer) => answer.content), each.shown]), [
    ["q1", ["a1", "a2"], 1],
    ["q2", [], -1],
  ]);
  const first = exchanges[0].answers[0];
  assert.deepEqual([first.status, first.model, first.reasoning, first.citations.length, first.steps.length], ["stopped", "m", "r", 1, 1]);
});

test("an answer without a question, and nothing at all, are survived", () => {
  assert.equal(fromStored([{ role: "assistant", content: "hi" }])[0].answers[0].content, "hi");
  assert.deepEqual(fromStored(undefined), []);
});

test("a first question is sent alone, a repeated one with the turns before it and without its old answer", () => {
  const session = newSession("s");
  const [one, two] = [newExchange("q1"), newExchange("q2")];
  session.exchanges.push(one, two);
  addAnswer(one).content = "a1";
  addAnswer(two).content = "old";
  assert.deepEqual(messagesFor(session, two), [{ role: "user", content: "q2" }]);
  addAnswer(two);
  assert.deepEqual(messagesFor(session, two).map((each) => each.content), ["q1", "a1", "q2"]);
  assert.equal(shownAnswer(two), two.answers[1]);
});

test("citations with one number are one source", () => {
  assert.deepEqual(distinctCitations([{ index: 3 }, { index: 1 }, { index: 3 }]).map((each) => each.index), [1, 3]);
});

test("models are grouped, the house's own first", () => {
  const groups = groupModels([{ id: "llama3.2:3b" }, { id: "hearth" }, { id: "hearth-plan" }, { id: "hearthstone:1b" }]);
  assert.deepEqual(groups.map((group) => group.models.map((model) => model.id)), [["hearth", "hearth-plan"], ["llama3.2:3b", "hearthstone:1b"]]);
});
