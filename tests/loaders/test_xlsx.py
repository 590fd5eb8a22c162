"""Workbooks: one text a sheet, in lines that say which column each value is of."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import openpyxl
import pytest

from backend.loaders.port import LoadRefused
from backend.loaders.xlsx import CUT, KEPT_CHARS, LOADER, MAX_ROWS
from tests.loaders.reading import archive, pages_of

ENDLESS = "".join(f"<c r='{n}'/>" for n in range(510_000))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_each_sheet_is_a_page_with_its_name(tmp_path: Path) -> None:
    content = workbook(
        Travel=[["City", "Limit", None], ["Rome", 90], [], ["東京 שלום 👋", 120.5, "more"]],
        Empty=[],
        Dates=[["Due"], [dt.datetime(2024, 9, 15)]],
    )
    pages = pages_of(LOADER, tmp_path, content)
    assert [(page.number, page.unit, page.label) for page in pages] == [(1, "sheet", "Travel"), (3, "sheet", "Dates")]
    assert pages[0].text.splitlines() == [
        "Sheet Travel", "Columns: City, Limit", "City: Rome; Limit: 90",
        "City: 東京 שלום 👋; Limit: 120.5; column_3: more",
    ]  # fmt: skip
    assert pages[1].text.splitlines()[-1] == "Due: 2024-09-15"


@pytest.mark.slow
def test_of_a_large_workbook_every_sheet_shows_its_beginning(tmp_path: Path) -> None:
    rows: list[list[object]] = [["number", "text"], *([n, "word " * 120] for n in range(1900))]
    pages = pages_of(LOADER, tmp_path, workbook(A=rows, B=rows))
    assert [page.label for page in pages] == ["A", "B"]
    assert all(len(page.text) < KEPT_CHARS and page.text.endswith(CUT) for page in pages)


def test_rows_beyond_the_first_are_left_to_sql(tmp_path: Path) -> None:
    (page,) = pages_of(LOADER, tmp_path, workbook(A=[["n"], *([n] for n in range(MAX_ROWS + 5))]))
    assert page.text.endswith(f"(Only the first {MAX_ROWS:,} rows are shown here; SQL reaches all of them.)")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (OLE + bytes(600), "older kind"),
        (archive({"word/document.xml": "<a/>"}), "something else"),
        (archive({"xl/workbook.xml": "<a>"}), "damaged"),
        (workbook(A=[[1]])[:-200], "damaged"),
        (archive({"xl/workbook.xml": "<a/>", "xl/worksheets/sheet1.xml": "<row>" + ENDLESS}), "far too large"),
        (archive({"xl/workbook.xml": "<a/>", "xl/styles.xml": ENDLESS}), "far too large"),
    ],
    ids=["encrypted", "binary-xls", "word", "broken-xml", "truncated", "endless-row", "endless-styles"],
)  # fmt: skip
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        pages_of(LOADER, tmp_path, content)


def test_empty_workbook_has_no_pages(tmp_path: Path) -> None:
    assert pages_of(LOADER, tmp_path, workbook(A=[])) == []
