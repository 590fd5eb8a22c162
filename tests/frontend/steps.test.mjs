import assert from "node:assert/strict";
import test from "node:test";

import { moment } from "../../frontend/format.js";
import { addAnswer, applyChunk, fromStored, newExchange, parseConversationHash } from "../../frontend/state.js";
import { isPlan, routeFacts, stepsTitle, toolTitle, waitsFor, wallMs, wayTitle } from "../../frontend/steps.js";

const step = (status, fields = {}) => ({ id: "x", name: "math_calc", status, ...fields });

for (const [name, steps, expected] of [
  ["one running call", [step("running")], "Calculate …"],
  ["two running side by side", [step("running"), step("running", { name: "weather" })], "Calculate, Check the weather …"],
  ["a plan on its way", [step("completed"), step("running"), step("planned")], "Plan · 1 of 3 done · Calculate …"],
  ["a plan that has not begun", [step("planned")], "Plan · 0 of 1 done"],
  ["all done", [step("completed", { duration_ms: 40 }), step("failed", { duration_ms: 2 })], "2 steps · 42 ms · 1 failed"],
  ["nothing known of times", [step("cancelled")], "1 step"],
]) {
  test(`the line over the steps, ${name}: ${expected}`, () => assert.equal(stepsTitle(steps), expected));
}

test("steps side by side count once in the time", () => {
  const at = (started_at, duration_ms) => ({ started_at, duration_ms });
  assert.equal(Math.round(wallMs([at(100, 1000), at(100.1, 1000)])), 1100);
  assert.equal(wallMs([{ duration_ms: 5 }, { duration_ms: 6 }, {}]), 11);
  assert.equal(wallMs([]), 0);
});

test("what a step waits for is told by places in the list, and unknown ids are passed over", () => {
  const steps = [{ id: "a" }, { id: "b" }, { id: "c" }];
  const told = (...ids) => waitsFor({ depends_on: ids }, steps);
  assert.deepEqual([told(), told("b"), told("c", "a"), told("c", "b", "a"), told("z")], ["", "after step 2", "after steps 1 and 3", "after steps 1, 2 and 3", ""]);
  assert.equal(waitsFor({}, steps), "");
});

test("steps are a plan when they were laid out before", () => {
  assert.deepEqual([isPlan([step("completed")]), isPlan([step("planned")]), isPlan([step("completed", { purpose: "p" })]), isPlan([])], [false, true, true, false]);
});

test("tools and ways have names, also those nobody has heard of", () => {
  assert.deepEqual(["math_calc", "my_own-tool", "constructor", "", undefined].map(toolTitle), ["Calculate", "my own tool", "constructor", "tool", "tool"]);
  assert.deepEqual(["react", "documents", "toString", undefined].map(wayTitle), ["Step by step", "Whole documents", "toString", ""]);
  assert.equal(toolTitle("document_text"), "Read a document");
});

test("the decision tells how sure it was and what it took, as far as it is known", () => {
  assert.deepEqual([{ confidence: 0.934, seconds: 0.0041 }, { confidence: 1, seconds: 0 }, {}].map(routeFacts), ["93 % sure · 4 ms", "100 % sure", ""]);
});

test("a running step remembers when the page saw it start, a stored answer what cut it short", () => {
  const answer = addAnswer(newExchange("q"));
  applyChunk(answer, { hearth_event: { type: "tool_started", id: "a", index: 0, name: "t" } }, 1234);
  assert.equal(answer.steps[0].seenAt, 1234);
  const [exchange] = fromStored([{ role: "user", content: "q" }, { role: "assistant", content: "a", run_id: "r", stopped_because: "The time is up." }]);
  assert.deepEqual([exchange.answers[0].runId, exchange.answers[0].stoppedBecause], ["r", "The time is up."]);
});

test("a moment is told by the time today, by the day this year, by the date else", () => {
  const now = new Date(2026, 4, 20, 12).getTime() / 1000;
  const at = (...date) => moment(new Date(...date).getTime() / 1000, now, "en-GB");
  assert.deepEqual([at(2026, 4, 20, 9, 5), at(2026, 2, 3), at(2025, 10, 30), moment(null, now)], ["09:05", "3 Mar", "30 Nov 2025", ""]);
});

for (const [hash, id] of [["#/c/a%20b", "a b"], ["#/c/%", null], ["#/runs", null], ["#/c/", null]]) {
  test(`the address ${hash} names the conversation ${id}`, () => assert.equal(parseConversationHash(hash), id));
}
