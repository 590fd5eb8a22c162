import assert from "node:assert/strict";
import test from "node:test";

import { brief, citedPlace, count, duration, fileSize, groupByAge, plainQuote, unitPlace } from "../../frontend/format.js";
import { parseViewerPath, placeOf, safeType, viewerPath } from "../../frontend/viewer.js";

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

test("a place is named by what its document is made of", () => {
  assert.equal(unitPlace("slide", 4, 12), "Slide 4 of 12");
  assert.equal(unitPlace("sheet", 2, 3, "Q3"), "Sheet Q3");
  assert.equal(unitPlace("chapter", 3, 9, "The lens"), "Chapter 3 of 9, The lens");
  assert.equal(unitPlace("page", 3), "Page 3");
  assert.equal(unitPlace("scroll", 3), "Page 3");
});

test("a citation says where its passage stands", () => {
  assert.equal(citedPlace({ page: 3 }), "Page 3");
  assert.equal(citedPlace({ page: 2, unit: "sheet", label: "Q3", line: 4 }), "Sheet Q3");
  assert.equal(citedPlace({ page: null, line: 120 }), "Line 120");
  assert.equal(citedPlace({ line: 9, filename: "letter.docx" }), "");
  assert.equal(citedPlace({}), "");
});

test("a passage in one line has no marks of tables and headings", () => {
  assert.equal(plainQuote("# Fees\n\n| City | Fee |\n|---|---:|\n| Oslo | **12** |\n\nMore."), "Fees City · Fee Oslo · 12 More.");
  assert.equal(plainQuote(null), "");
});

test("viewer addresses are read and written", () => {
  assert.equal(viewerPath("a/b", 3), "/files/a%2Fb/view#page=3");
  assert.equal(viewerPath("x", null, 120), "/files/x/view#line=120");
  assert.equal(viewerPath("x"), "/files/x/view");
  assert.deepEqual(parseViewerPath("/files/a%2Fb/view", "#page=3"), { fileId: "a/b", page: 3, line: null });
  assert.deepEqual(parseViewerPath("/files/x/view/", ""), { fileId: "x", page: 1, line: null });
  assert.deepEqual(parseViewerPath("/files/x/view", "#page=0"), { fileId: "x", page: 1, line: null });
  assert.deepEqual(parseViewerPath("/files/x/view", "#line=120"), { fileId: "x", page: 1, line: 120 });
  for (const path of ["/", "/files/x", "/files/x/y/view", "/files/%zz/view"]) assert.equal(parseViewerPath(path, ""), null);
});

test("a citation and a search hit are places to show", () => {
  const citation = { file_id: "f", filename: "a.pdf", page: 3, quote: "Here.", start: 5, end: 10, heading: null };
  assert.deepEqual(placeOf(citation), { fileId: "f", filename: "a.pdf", page: 3, quote: "Here.", start: 5, end: 10, line: null, heading: [], said: [] });
  const hit = placeOf({ file_id: "f", page: null, line: 7, text: "There.", heading: ["Fees"] });
  assert.deepEqual([hit.page, hit.line, hit.quote, hit.heading], [1, 7, "There.", ["Fees"]]);
});

test("xss_1 nothing that could run opens in this origin", () => {
  assert.equal(safeType("application/pdf", "a.pdf"), "application/pdf");
  for (const [type, name] of [["text/html", "a.html"], ["text/html; charset=utf-8", "a"], ["application/json", "a.json"], ["", "a.htm"], ["application/octet-stream", "a.md"]]) {
    assert.equal(safeType(type, name), "text/plain;charset=utf-8");
  }
  for (const [type, name] of [["image/svg+xml", "a.svg"], ["application/xhtml+xml", "a.xhtml"], ["application/octet-stream", "a.docx"]]) assert.equal(safeType(type, name), null);
});
