import assert from "node:assert/strict";
import test from "node:test";

import { brief, count, duration, fileSize, findPassage, groupByAge } from "../../frontend/format.js";
import { parseViewerPath, safeType, viewerPath } from "../../frontend/viewer.js";

const table = (name, fn, rows) => {
  for (const [input, expected] of rows) test(`${name}(${JSON.stringify(input)}) is ${expected}`, () => assert.equal(fn(input), expected));
};
table("fileSize", fileSize, [[0, "0 B"], [999, "999 B"], [1000, "1.0 kB"], [48_200, "48 kB"], [999_999, "1.0 MB"], [1_240_000, "1.2 MB"], [3e9, "3.0 GB"], [-1, ""], [NaN, ""]]);
table("duration", duration, [[0.2, "<1 ms"], [41.7, "42 ms"], [1000, "1.0 s"], [59_000, "59 s"], [61_000, "1 min 1 s"], [undefined, ""]]);
table("brief", brief, [
  [{ query: "a  b\nc" }, "a b c"],
  [{ a: 1, b: [2] }, "a: 1, b: [2]"],
  [{}, ""],
  [null, ""],
  [{ x: "y".repeat(100) }, `${"y".repeat(79)}…`],
]);

test("count agrees in number", () => assert.deepEqual([count(1, "page"), count(2, "page"), count(0, "step")], ["1 page", "2 pages", "0 steps"]));

test("conversations are grouped by calendar day", () => {
  const noon = new Date(2026, 4, 20, 12).getTime() / 1000;
  const ages = [0, 11, 13, 35, 24 * 5, 24 * 20, 24 * 90];
  const groups = groupByAge(ages.map((hours) => ({ updated_at: noon - hours * 3600 })), noon);
  assert.deepEqual(groups.map((group) => [group.label, group.items.length]), [["Today", 2], ["Yesterday", 2], ["Last 7 days", 1], ["Last 30 days", 1], ["Earlier", 1]]);
});

const PAGE = "Staff handbook\n\nEither side may end the employ-\nment with a notice  period\nof three months. Probation is shorter for everybody.";
const found = (text, quote) => {
  const range = findPassage(text, quote);
  return range && text.slice(...range);
};
test("a passage is found across line breaks, hyphens and case", () => {
  assert.equal(found(PAGE, "either side may end the employment with a notice period of three months."), PAGE.slice(PAGE.indexOf("Either"), PAGE.indexOf(" Probation")));
});
test("a passage that goes on overleaf is marked as far as this page has it", () => {
  assert.equal(found(PAGE, "Probation is shorter for everybody. It continues on the next page for long."), "Probation is shorter for everybody.");
});
test("a passage that began on the page before is marked from where this page starts", () => {
  assert.equal(found("of three months, counted in full. Then more.", "with a notice period of three months, counted in full."), "of three months, counted in full.");
});
for (const quote of ["", null, "Nothing like this stands on the page at all."]) {
  test(`no passage for ${JSON.stringify(quote)}`, () => assert.equal(findPassage(PAGE, quote), null));
}
test("offsets hold for letters whose lower case is longer", () => assert.equal(found("İİİ target", "target"), "target"));

test("viewer addresses are read and written", () => {
  assert.equal(viewerPath("a/b", 3), "/files/a%2Fb/view#page=3");
  assert.deepEqual(parseViewerPath("/files/a%2Fb/view", "#page=3"), { fileId: "a/b", page: 3 });
  assert.deepEqual(parseViewerPath("/files/x/view/", ""), { fileId: "x", page: 1 });
  assert.deepEqual(parseViewerPath("/files/x/view", "#page=0"), { fileId: "x", page: 1 });
  for (const path of ["/", "/files/x", "/files/x/y/view", "/files/%zz/view"]) assert.equal(parseViewerPath(path, ""), null);
});

test("xss_1 nothing that could run opens in this origin", () => {
  assert.equal(safeType("application/pdf", "a.pdf"), "application/pdf");
  for (const [type, name] of [["text/html", "a.html"], ["text/html; charset=utf-8", "a"], ["application/json", "a.json"], ["", "a.htm"], ["application/octet-stream", "a.md"]]) {
    assert.equal(safeType(type, name), "text/plain;charset=utf-8");
  }
  for (const [type, name] of [["image/svg+xml", "a.svg"], ["application/xhtml+xml", "a.xhtml"], ["application/octet-stream", "a.docx"]]) assert.equal(safeType(type, name), null);
});
