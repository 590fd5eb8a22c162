"""E-mail: its head, its text, and what is attached."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from backend.loaders.eml import LOADER, MAX_DEPTH
from tests.loaders.reading import text_of


def message(subject: str, text: str, subtype: str = "plain") -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ada Müller <ada@example.org>", "bo@example.org"
    made.set_content(text, subtype=subtype)
    return made


def test_head_text_and_attachments_are_told(tmp_path: Path) -> None:
    made = message("Grüße zum Vertrag", "Hallo,\n\n# der Vertrag 東京 👋\n")
    made["Date"] = "Mon, 02 Sep 2024 10:00:00 +0200"
    made.add_alternative("<p>not this</p>", subtype="html")
    made.add_attachment("a,b\n1,2\n", subtype="csv", filename="werte.csv")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
    made.add_attachment(message("inner", "inner text"))
    assert text_of(LOADER, tmp_path, bytes(made)) == (
        "# Grüße zum Vertrag\n\n- From: Ada Müller <ada@example.org>\n- To: bo@example.org\n"
        "- Date: Mon, 02 Sep 2024 10:00:00 +0200\n\nHallo,\n\n\\# der Vertrag 東京 👋\n\n"
        "## Attachments\n\n- werte.csv\n- Übersicht.pdf\n\n### werte.csv\n\na,b\n1,2\n\n"
        "## Attached message: inner\n\n- From: Ada Müller <ada@example.org>\n- To: bo@example.org\n\ninner text"
    )


def test_html_is_read_where_there_is_nothing_else(tmp_path: Path) -> None:
    text = text_of(LOADER, tmp_path, bytes(message("Hi", "<ul><li>one<li>two</ul><script>x</script>", "html")))
    assert text.endswith("- one\n- two")


@pytest.mark.parametrize(
    ("content", "expects"),
    [
        (b"From x@y Mon\nSubject: a\n\nhi", "# a\n\nhi"),
        (b"Subject: =?no-such?q?a?=\nContent-Type: text/plain; charset=no-such\n\nhi", "# a\n\nhi"),
        (b"Subject: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ncut", "# a\n\ncut"),
        (b"Subject: a\nContent-Type: multipart/mixed\n\nhi", "# a"),
        (b"Subject: a\nContent-Transfer-Encoding: base64\n\n!!!", "# a"),
        ("Subject: a\n\nПривет, договор подписан вчера".encode("koi8_r"), "# a\n\nПривет, договор подписан вчера"),
        (b"Subject: \xff\xfe\n\nhi", None),
        (b"Subject: a\n\n", "# a"),
    ],
    ids=["mailbox-line", "unknown-charsets", "truncated", "no-boundary", "no-base64", "koi8", "raw-bytes", "no-text"],
)  # fmt: skip
def test_awkward_messages_are_read(tmp_path: Path, content: bytes, expects: str | None) -> None:
    text = text_of(LOADER, tmp_path, content)
    assert expects is None or text.startswith(expects)


def test_messages_inside_messages_end(tmp_path: Path) -> None:
    made = message("bottom", "text")
    for level in range(MAX_DEPTH + 4):
        outer = message(f"level {level}", "text")
        outer.add_attachment(made)
        made = outer
    assert text_of(LOADER, tmp_path, bytes(made)).count("Attached message") == MAX_DEPTH


@pytest.mark.parametrize("head", [b"%PDF-1.7", b"just some text\nwithout a head", b"", b"\x00\x01\x02\x03" * 9])
def test_up_2_what_has_no_head_is_no_message(head: bytes) -> None:
    assert not LOADER.accepts(head, ".eml")
