import assert from "node:assert/strict";
import test from "node:test";

import { MAX_CHARS, escapeHtml, healTail, hostOf, renderBlocks, renderMarkdown, safeHref } from "../../frontend/markdown.js";

/** Elements and attributes of the produced HTML, read the way a browser would: quotes end attributes. */
function tagsOf(html) {
  return [...html.matchAll(/<\/?([a-z][a-z0-9]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/gi)].map(([, name, attributes]) => ({
    name: name.toLowerCase(),
    attributes: [...attributes.matchAll(/([a-z-]+)\s*=\s*"([^"]*)"/gi)].map(([, key, value]) => [key.toLowerCase(), value]),
  }));
}

const HARMLESS_TAGS = new Set(
  "p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td a button span div".split(" "),
);
const HARMLESS_ATTRIBUTES = new Set("href title target rel class align start type tabindex data-cite data-copy aria-label".split(" "));

const ATTACKS = {
  "script element": "<script>alert(1)</script>",
  "script inside a paragraph": "a <script>alert(1)</script> b",
  "image with onerror": '<img src=x onerror="alert(1)">',
  "uppercase tag": "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
  "svg onload": "<svg/onload=alert(1)>",
  "iframe": '<iframe src="https://evil.example"></iframe>',
  "object, embed, base, meta, link": '<object data=x></object><embed src=x><base href=//evil.example><meta http-equiv=refresh content="0;url=x"><link rel=stylesheet href=//evil.example>',
  "style block": "<style>@import '//evil.example'</style>",
  "form": '<form action="https://evil.example"><input name=a></form>',
  "html comment": "<!-- --><script>alert(1)</script> -->",
  "javascript link": "[x](javascript:alert(1))",
  "javascript link, mixed case": "[x](JaVaScRiPt:alert(1))",
  "javascript link, entity": "[x](javascript&#58;alert(1))",
  "javascript link, named entity": "[x](javascript&colon;alert(1))",
  "javascript link, tab inside": "[x](<java\tscript:alert(1)>)",
  "javascript link, leading control": "[x](<\u0001javascript:alert(1)>)",
  "javascript autolink": "<javascript:alert(1)>",
  "data link": "[x](data:text/html;base64,PHNjcmlwdD4=)",
  "vbscript link": "[x](vbscript:msgbox(1))",
  "file link": "[x](file:///etc/passwd)",
  "protocol-relative link": "[x](//evil.example)",
  "relative link": "[x](api/auth/logout)",
  "reference link": "[x][y]\n\n[y]: javascript:alert(1)",
  "link that breaks out of the attribute": '[x](https://ok.example/"onmouseover="alert(1))',
  "title that breaks out": '[x](https://ok.example "a\\" onmouseover=\\"alert(1)")',
  "image that breaks out": '![" onerror="alert(1)](https://ok.example/x.png)',
  "language that breaks out": '```js"onmouseover="alert(1)\ncode\n```',
  "language with a tag": "```<script>\ncode\n```",
  "html in a code block": "```html\n<script>alert(1)</script>\n```",
  "html in inline code": "`<img src=x onerror=alert(1)>`",
  "html in a table": "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "html in a heading": "# <img src=x onerror=alert(1)>",
  "html in a list": "- <img src=x onerror=alert(1)>",
  "html in a quote": "> <script>alert(1)</script>",
  "nested link in an image": "[![x](javascript:alert(1))](javascript:alert(2))",
  "half a tag at the end of a stream": 'text <img src="https://evil.example/a.png" onerr',
  "citation look-alike": '[1]<button data-cite="1" onclick="alert(1)">',
};

for (const [name, text] of Object.entries(ATTACKS)) {
  test(`xss_1 renders no dangerous element or attribute: ${name}`, () => {
    for (const variant of [text, healTail(text), ...Array.from({ length: 6 }, (_, i) => healTail(text.slice(0, -1 - i)))]) {
      for (const { name: tag, attributes } of tagsOf(renderMarkdown(variant, { citations: new Set([1]) }))) {
        assert.ok(HARMLESS_TAGS.has(tag), `<${tag}> from ${variant}`);
        for (const [key, value] of attributes) {
          assert.ok(HARMLESS_ATTRIBUTES.has(key), `${key} from ${variant}`);
          if (key === "href") assert.match(value, /^(https?:\/\/[^/]|mailto:|#|\/files\/)/);
        }
      }
    }
  });
}

test("xss_1 words of raw HTML stay readable as text", () => {
  assert.equal(renderMarkdown("<b>hi</b>").trim(), "<p>&lt;b&gt;hi&lt;/b&gt;</p>");
});

test("xss_1 a picture becomes a link that names its host, never an img", () => {
  const html = renderMarkdown("![A map](https://pictures.example/map.png)");
  assert.ok(!/<img/i.test(html));
  assert.match(html, /A map/);
  assert.match(html, /on pictures\.example/);
});

test("xss_1 a picture with an embedded source is not shown at all", () => {
  const html = renderMarkdown("![x](data:image/svg+xml;base64,AAAA)");
  assert.ok(!/<img|href|AAAA/i.test(html));
});

const LINKS = [
  ["https://example.com/a?b=c#d", "https://example.com/a?b=c#d"],
  ["http://example.com", "http://example.com/"],
  ["HTTPS://EXAMPLE.com/", "https://example.com/"],
  ["mailto:someone@example.com", "mailto:someone@example.com"],
  ["#section", "#section"],
  ["/files/abc-1/view#page=3", "/files/abc-1/view#page=3"],
  ["/files/../api/auth/logout", null],
  ["/files/..", null],
  ["/api/auth/logout", null],
  ["//evil.example", null],
  ["/\\evil.example", null],
  ["https:evil.example", null],
  ["https://", null],
  ["javascript:alert(1)", null],
  [" java\nscript:alert(1)", null],
  ["java\u200bscript:alert(1)", null],
  ["data:text/html,x", null],
  ["blob:https://example.com/1", null],
  ["", null],
  [null, null],
  [undefined, null],
];
for (const [href, expected] of LINKS) {
  test(`xss_1 safeHref(${JSON.stringify(href)}) is ${JSON.stringify(expected)}`, () => assert.equal(safeHref(href), expected));
}

test("links open apart and tell the other page nothing", () => {
  const html = renderMarkdown("[a](https://example.com)");
  assert.match(html, /target="_blank" rel="noopener noreferrer"/);
});

test("known markers become buttons, unknown ones stay text, pending ones wait", () => {
  assert.match(renderMarkdown("Yes [1].", { citations: new Set([1]) }), /<button type="button" class="cite" data-cite="1"/);
  assert.match(renderMarkdown("Yes [2].", { citations: new Set([1]) }), /Yes \[2\]\./);
  assert.match(renderMarkdown("Yes [1].", { citations: "pending" }), /cite-pending">1</);
  assert.match(renderMarkdown("Yes [1]."), /Yes \[1\]\./);
});

test("a marker in code is code", () => {
  assert.ok(!/data-cite/.test(renderMarkdown("`a[1]` and\n\n```\nb[1]\n```", { citations: new Set([1]) })));
});

test("adjacent markers are each a source", () => {
  const html = renderMarkdown("Yes [1][2].", { citations: new Set([1, 2]) });
  assert.equal((html.match(/data-cite/g) ?? []).length, 2);
});

test("a list of sources in the text is not swallowed as link definitions", () => {
  assert.match(renderMarkdown("Yes [1].\n\n[1]: handbook.pdf", { citations: new Set([1]) }), /<\/button>: handbook\.pdf/);
});

test("blocks before the end keep their HTML while the text grows", () => {
  const before = renderBlocks("# Title\n\nFirst paragraph.\n\nSec");
  const after = renderBlocks("# Title\n\nFirst paragraph.\n\nSecond paragraph, longer.");
  assert.deepEqual(after.slice(0, 2), before.slice(0, 2));
  assert.equal(after.length, 3);
});

test("tables, task lists, line breaks and code are rendered", () => {
  const html = renderMarkdown("| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\none\ntwo\n\n```python\nx = 1 < 2\n```");
  assert.match(html, /<th>a<\/th><th align="right">b<\/th>/);
  assert.match(html, /☑ done/);
  assert.match(html, /☐ open/);
  assert.match(html, /one<br>two/);
  assert.match(html, /language-python">x = 1 &lt; 2\n/);
  assert.match(html, /data-copy="code"/);
});

const HALVES = [
  ["see [the docs", "see the docs"],
  ["see [the docs](htt", "see the docs"],
  ["see ![a pic](https://x", "see a pic"],
  ["see [1]", "see [1]"],
  ["see [1", "see "],
  ["a **bold wor", "a **bold wor**"],
  ["a **", "a "],
  ["use `cod", "use `cod`"],
  ["use `", "use "],
  ["a line\n-", "a line"],
  ["a line\n==", "a line"],
  ["```js\nlet a = `x", "```js\nlet a = `x"],
  ["all **whole** and `closed` [x](https://a.example)", "all **whole** and `closed` [x](https://a.example)"],
  ["open **here\n\nnext", "open **here\n\nnext"],
];
for (const [half, healed] of HALVES) {
  test(`an unfinished ${JSON.stringify(half)} is shown as ${JSON.stringify(healed)}`, () => assert.equal(healTail(half), healed));
}

const HOSTILE = {
  "deep quotes": "> ".repeat(20_000) + "x",
  "deep lists": Array.from({ length: 400 }, (_, i) => `${"  ".repeat(i)}- x`).join("\n"),
  "open brackets": "[".repeat(20_000),
  "open emphasis": "*a ".repeat(10_000),
  "backticks": "`".repeat(20_001),
};
for (const [name, text] of Object.entries(HOSTILE)) {
  test(`hostile shape is rendered in bounded time: ${name}`, { timeout: 8000 }, () => {
    const started = performance.now();
    assert.ok(renderMarkdown(text).length > 0);
    healTail(text);
    assert.ok(performance.now() - started < 6000);
  });
}

test("a text beyond the limit is shown as plain text", () => {
  const html = renderMarkdown("<b>".padEnd(MAX_CHARS + 1, "x"));
  assert.match(html, /^<p class="plain">&lt;b&gt;xxx/);
});

test("escapeHtml and hostOf", () => {
  assert.equal(escapeHtml(`<a href="x">'&'</a>`), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  assert.equal(hostOf("https://a.example:8080/x"), "a.example:8080");
  assert.equal(hostOf("nonsense"), "");
});
