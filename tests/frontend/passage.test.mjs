import assert from "node:assert/strict";
import test from "node:test";
import { citedParts, findStretches, offsetOf } from "../../frontend/passage.js";
import { supportNote } from "../../frontend/support.js";

const PAGE = "Staff handbook\n\nEither side may end the employ-\nment with a notice  period\nof three months. Probation is shorter for everybody.";
const found = (text, quote) => findStretches(text, quote).map((range) => text.slice(...range));

test("a passage is found across line breaks, hyphens and case", () => {
  assert.deepEqual(found(PAGE, "either side may end the employment with a notice period of three months."), [PAGE.slice(PAGE.indexOf("Either"), PAGE.indexOf(" Probation"))]);
});
test("a passage that goes on overleaf is marked as far as this page has it", () => {
  assert.deepEqual(found(PAGE, "Probation is shorter for everybody. It continues on the next page for long."), ["Probation is shorter for everybody."]);
});
test("a passage that began on the page before is marked from where this page starts", () => {
  assert.deepEqual(found("of three months, counted in full. Then more.", "with a notice period of three months, counted in full."), ["of three months, counted in full."]);
});
test("a table is found without its lines, and the other way round", () => {
  const table = "| City | Fee |\n|---|---|\n| Oslo | 12 |\n| Rome | 31 |";
  assert.deepEqual(found("Fees\nCity Fee\nOslo 12\nRome 31\nEnd", table), ["City Fee\nOslo 12\nRome 31"]);
  assert.deepEqual(found(table, "City Fee Oslo 12 Rome 31"), ["City | Fee |\n|---|---|\n| Oslo | 12 |\n| Rome | 31"]);
});
test("columns that stand in another order are marked each by itself", () => {
  const [left, right] = ["The left column tells of the harbour and its boats.", "The right column tells of the railway and its trains."];
  const filler = " Something else stands between the two of them here. ";
  assert.deepEqual(found(`${right}${filler}${left}`, `${left}\n\n${right}`), [right, left]);
});
test("a whole word comes before the same letters inside another", () => assert.deepEqual(findStretches("concat cat", "cat"), [[7, 10]]));
test("ligatures and accents do not hinder", () => assert.deepEqual(found("The \ufb01rst cafe\u0301 of all.", "first café"), ["\ufb01rst cafe\u0301"]));
test("Chinese is found inside a line", () => assert.deepEqual(found("\u5e74\u5ea6\u62a5\u544a\uff1a\u8425\u4e1a\u6536\u5165\u589e\u957f\u4e86\u767e\u5206\u4e4b\u516d\u3002", "\u8425\u4e1a\u6536\u5165\u589e\u957f"), ["\u8425\u4e1a\u6536\u5165\u589e\u957f"]));
for (const quote of ["", null, "Nothing like this stands on the page at all.", "..."]) {
  test(`no passage for ${JSON.stringify(quote)}`, () => assert.deepEqual(findStretches(PAGE, quote), []));
}
test("offsets hold for letters whose lower case is longer", () => assert.deepEqual(found("\u0130\u0130\u0130 target", "target"), ["target"]));
test("the server counts a character beyond U+FFFF as one", () => {
  assert.equal("a\u{1f525}b".slice(offsetOf("a\u{1f525}b", 2)), "b");
  assert.equal(offsetOf("abc", 2), 2);
  assert.equal(offsetOf("abc", 9), 3);
});

const PASSAGE = "# Leave\n\nThe year has 27 days of leave. Sick days are not counted.\nOpen leave is paid out with the last salary.";
test("the sentences that an answer repeats are found at its markers", () => {
  assert.deepEqual(citedParts(PASSAGE, "You have much. The year has 27 days of leave [1]. Bye [2].", 1), ["The year has 27 days of leave."]);
  assert.deepEqual(citedParts(PASSAGE, "It says: open leave is paid out with the last salary. [2, 1]", 1), ["Open leave is paid out with the last salary."]);
});
for (const [name, answer] of [
  ["in other words", "Holidays are generous [1]."],
  ["for another source", "The year has 27 days of leave [2]."],
  ["without a marker", "The year has 27 days of leave."],
]) {
  test(`no sentence is taken for cited ${name}`, () => assert.deepEqual(citedParts(PASSAGE, answer, 1), []));
}

test("what the documents say to an answer is told in a line", () => {
  const cited = [{ kind: "document" }, { kind: "document" }, { kind: "web" }];
  assert.equal(supportNote({ status: "supported", dropped: 0 }, cited).text, "Checked against your documents: 2 citations.");
  assert.equal(supportNote({ status: "unsupported", dropped: 1 }, []).text, "No passage of your documents supports this answer. 1 quotation that does not stand there was left out.");
  assert.match(supportNote({ status: "partial", dropped: 2, reason: "Why." }, cited).text, /^Only partly.*2 quotations that do not stand there were left out\.$/);
  for (const nothing of [null, undefined, {}, { status: "none" }]) assert.equal(supportNote(nothing), null);
});
