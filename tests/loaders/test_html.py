"""HTML: what a reader would see, as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.html import LOADER
from backend.loaders.port import LoadRefused
from tests.loaders.reading import pages_of, text_of

HEAD = b"<!doctype html>"


@pytest.mark.parametrize(
    ("source", "expects"),
    [
        ("<h2>Big <b>deal</b></h2><p>One <i>two</i>\n three<br>four", "## Big deal\n\nOne two three\nfour"),
        ("<p>one<p>two<div>three", "one\n\ntwo\n\nthree"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c"),
        ("<ol start=3><li>x<li><p>y</p><p>z</p></ol>", "3. x\n4. y\n\n   z"),
        (
            "<table><tr><th>A<th>B<th>C<tr><td rowspan=2>1<td colspan=2>2|3<tr><td>5<td>6</table>",
            "| A | B | C |\n| --- | --- | --- |\n| 1 | 2\\|3 |  |\n|  | 5 | 6 |",
        ),
        ("<table><tr><td><h1>Mail</h1><table><tr><th>a<th>b<tr><td>1<td>2</table></table>",
         "# Mail\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("<pre><code class='language-python'>if x:\n    '```'\n</code></pre>", "```python\nif x:\n    '```'\n```"),
        ("<p>use <code>ls</code></p><blockquote><p>said</p></blockquote>", "use `ls`\n\n> said"),
        ("<p>See <a href='https://x.org'>the terms</a></p>", "See the terms"),
        ("a &amp; b &eacute; &#x1F600; &copy", "a & b é 😀 ©"),
        ("<script>if (a<b) {}</script><style>p{}</style><nav>menu</nav><aside>ad</aside><p hidden>h</p>"
         "<p style='display: none'>d</p><p aria-hidden=true>x</p><template>t</template><!-- c --><p>seen", "seen"),
        ("<title>Report</title><p>text", "# Report\n\ntext"),
        ("<title>Report</title><h1>Main</h1><p>text", "# Main\n\ntext"),
        ("<p># no heading", "\\# no heading"),
        ("<p>שלום עולם<p>東京 👋", "שלום עולם\n\n東京 👋"),
        ("<p>a\x00b&#xD800;c", "a b\ufffdc"),
        ('<html xmlns="http://www.w3.org/1999/xhtml"><title/><script src="x"/><p>after', "after"),
        ("", ""),
    ],
    ids=[
        "headings", "missing-end-tags", "nested-list", "numbered", "spans", "layout-table", "code", "quote", "link",
        "entities", "hidden", "title", "title-and-heading", "lookalike", "rtl-cjk-emoji", "nul-surrogate", "xhtml",
        "empty",
    ],
)  # fmt: skip
def test_page_says_what_a_reader_sees(tmp_path: Path, source: str, expects: str) -> None:
    (page,) = pages_of(LOADER, tmp_path, source.encode())
    assert page.form == "markdown" and page.text == expects


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        ("shift_jis", "shift_jis", "契約は東京"),
        ("gb2312", "gb18030", "租赁合同"),
        ("windows-1251", "cp1251", "Договор"),
        ("iso-8859-1", "cp1252", "Grüße – naïve"),
        ("iso-8859-1", "utf-8", "Grüße – naïve"),
        ("utf-16", "utf-8", "Grüße"),
        ("no-such", "cp1252", "Grüße"),
    ],
)
def test_encoding_is_that_of_the_head_unless_it_is_wrong(
    tmp_path: Path, charset: str, encoding: str, text: str
) -> None:
    source = f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={charset}"></head><p>{text}'
    assert text_of(LOADER, tmp_path, source.encode(encoding)) == text


@pytest.mark.parametrize(
    "piece", ["<div>", "<ul><li>", "<table><tr><td>", "<blockquote>", "<!--", "<a ", "<b>", "&", "<![CDATA["]
)
def test_absurd_nesting_ends(tmp_path: Path, piece: str) -> None:
    text = text_of(LOADER, tmp_path, HEAD + piece.encode() * 20_000 + b"<p>end")
    assert len(text) < 200_000


@pytest.mark.parametrize(
    "content",
    [b"x" * 6_500_000, pytest.param(b"<table>" + b"<tr><td colspan=50>x" * 50_000, marks=pytest.mark.slow)],
    ids=["one-line", "endless-table"],
)
def test_up_4_more_text_than_allowed_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LoadRefused, match="5 MiB"):
        text_of(LOADER, tmp_path, content)


def test_up_2_binary_content_is_no_page() -> None:
    assert not LOADER.accepts(b"%PDF-1.7", ".html") and not LOADER.accepts(b"\x89PNG\r\n\x1a\n\x00", ".html")
