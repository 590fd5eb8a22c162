"""Every loader: what it accepts, what it reads, what it refuses, and the cleaning of text."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import discover_loaders
from backend.loaders.decoding import decode
from backend.loaders.parse_job import clean, parse
from backend.loaders.port import Loader, LoadRefused
from backend.workers.port import Refusal
from tests.handbook import FACTS, PAGES, handbook_pdf

LOADERS = {loader.name: loader for loader in discover_loaders()}


def run(path: Path, loader: str, size: int = 1000, overlap: int = 200) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    job = parse(str(path), loader, size, overlap)
    pages = []
    while True:
        try:
            pages.append(next(job))
        except StopIteration as end:
            return pages, end.value


def write(tmp_path: Path, content: bytes, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("loader", LOADERS.values(), ids=list(LOADERS))
def test_port_is_kept(loader: Loader) -> None:
    assert loader.extensions and all(e.startswith(".") and e == e.lower() for e in loader.extensions)
    assert "/" in loader.content_type
    assert not loader.accepts(b"whatever", ".exe")


def test_no_two_loaders_claim_an_extension() -> None:
    claimed = [extension for loader in LOADERS.values() for extension in loader.extensions]
    assert len(claimed) == len(set(claimed))


@pytest.mark.parametrize(
    ("name", "head", "extension", "accepted"),
    [
        ("pdf", b"%PDF-1.7", ".pdf", True),
        ("pdf", b"\x00\x00%PDF-1.4", ".pdf", True),
        ("pdf", b"hello", ".pdf", False),
        ("docx", b"PK\x03\x04", ".docx", True),
        ("docx", b"%PDF-", ".docx", False),
        ("text", "Grüße".encode("latin-1"), ".txt", True),
        ("markdown", "Grüße".encode("utf-16"), ".md", True),
        ("text", b"\x89PNG\r\n\x1a\n\x00\x00", ".txt", False),
        ("text", bytes(range(32)) * 20, ".txt", False),
        ("json", b' {"a": 1}', ".json", True),
        ("json", b"<html>", ".json", False),
        ("csv", b"a,b\n1,2", ".csv", True),
        ("html", b"<p>hi", ".html", True),
    ],
)
def test_up_2_kind_is_decided_by_content_and_extension(name: str, head: bytes, extension: str, accepted: bool) -> None:
    assert LOADERS[name].accepts(head, extension) is accepted


def test_pdf_pages_keep_their_numbers(tmp_path: Path) -> None:
    pages, result = run(write(tmp_path, handbook_pdf()), "pdf")
    assert [page["number"] for page in pages] == list(range(1, PAGES + 1))
    assert result["pages"] == PAGES and pages[-1]["done"] == 1.0
    for number, fact in FACTS.items():
        assert fact[:30] in pages[number - 1]["text"]


def test_docx_keeps_paragraphs_and_tables_in_order(tmp_path: Path) -> None:
    import docx

    document = docx.Document()
    document.add_heading("Title", 2)
    document.add_paragraph("Before.")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), "ABCD", strict=True):
        cell.text = text
    document.add_paragraph("After.")
    out = io.BytesIO()
    document.save(out)
    pages, _ = run(write(tmp_path, out.getvalue()), "docx")
    text = pages[0]["text"]
    assert text.index("## Title") < text.index("Before.") < text.index("| A | B |") < text.index("| C | D |")
    assert text.index("| C | D |") < text.index("After.")


def archive(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive({"word/document.xml": b"0" * 30_000_000}), "unpacks"),
        (archive({f"x{n}": b"" for n in range(2001)}), "too many"),
        (archive({"other.xml": b"<a/>"}), "named like a Word document"),
        (archive({"word/document.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "entities"),
        (archive({"word/document.xml": random.Random(1).randbytes(65_530) + b"<!DOCTYPE a>"}), "entities"),
        (b"PK\x03\x04 not really", "damaged"),
        (archive({"word/document.xml": b"<a/>"}), "damaged"),
    ],
    ids=["bomb", "too-many-entries", "not-word", "entity", "entity-across-reads", "broken-zip", "no-relations"],
)
def test_up_4_dangerous_docx_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        list(LOADERS["docx"].load(write(tmp_path, content)))


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        ("naïve café".encode(), "naïve café"),
        ("naïve café".encode("utf-8-sig"), "naïve café"),
        ("naïve café".encode("utf-16"), "naïve café"),
        ("naïve café".encode("utf-16-le"), "naïve café"),
        ("naïve café".encode("utf-16-be"), "naïve café"),
        ("naïve café".encode("utf-32"), "naïve café"),
        ("naïve café".encode("cp1252"), "naïve café"),
    ],
    ids=["utf8", "utf8-bom", "utf16", "utf16le-no-bom", "utf16be-no-bom", "utf32", "cp1252"],
)
def test_text_in_any_encoding(raw: bytes, expects: str) -> None:
    assert decode(raw) == expects


def test_json_becomes_lines_of_paths_and_values(tmp_path: Path) -> None:
    value = {"team": [{"name": "Ada", "tags": ["x", "y"]}, {"name": "Bo"}], "n": 3}
    pages, _ = run(write(tmp_path, json.dumps(value).encode()), "json")
    assert pages[0]["text"].splitlines() == [
        "team[0].name: Ada", "team[0].tags: x, y", "", "team[1].name: Bo", "", "n: 3",
    ]  # fmt: skip


def test_json_lines_are_read(tmp_path: Path) -> None:
    pages, _ = run(write(tmp_path, b'{"a":1}\n{"a":2}\n'), "json")
    assert "[0].a: 1" in pages[0]["text"] and "[1].a: 2" in pages[0]["text"]


@pytest.mark.parametrize("content", [b'{"a": [1, 2', b"[" * 100_000, b"{'a': 1}"], ids=["cut", "deep", "quotes"])
def test_bad_json_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Refusal, match="JSON"):
        run(write(tmp_path, content), "json")


def test_csv_rows_say_what_they_are(tmp_path: Path) -> None:
    pages, _ = run(write(tmp_path, "name;city\nAda;Köln\nBo;Rom\n".encode()), "csv")
    assert pages[0]["text"].splitlines() == ["Columns: name, city", "name: Ada; city: Köln", "name: Bo; city: Rom"]


def test_html_shows_what_a_reader_sees(tmp_path: Path) -> None:
    raw = (
        b"<head><title>t</title></head><h2>Big</h2><p>One <b>two</b></p><script>evil()</script><nav>menu</nav>x &amp; y"
    )
    pages, _ = run(write(tmp_path, raw), "html")
    assert pages[0]["text"] == "# t\n\n## Big\n\nOne two\n\nx & y" and pages[0]["form"] == "markdown"


@pytest.mark.parametrize("content", [b"", b"  \n \t "], ids=["empty", "blank"])
def test_nothing_to_read_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Refusal, match="No text"):
        run(write(tmp_path, content), "text")


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="5 MiB"):
        run(write(tmp_path, b"word " * 1_100_000), "text")


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\udc4b", "👋"),
        ("a\x00b\x07", "a b"),
        ("a  \r\nb\rc", "a\nb\nc"),
        ("tab\tstays", "tab\tstays"),
    ],
    ids=["lone-surrogate", "pair", "controls", "line-ends", "tab"],
)
def test_clean_text_can_be_encoded(raw: str, expects: str) -> None:
    assert clean(raw) == expects
    clean(raw).encode()
