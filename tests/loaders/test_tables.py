"""Tables and records as text: CSV, TSV and JSON, also those that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.csv import HEAD_BYTES
from backend.loaders.csv import LOADER as CSV
from backend.loaders.json import LOADER as JSON
from backend.loaders.port import LoadRefused
from tests.loaders.reading import text_of

ROWS = "name,city\nAda,Köln\nBo,東京 👋\n"
SHOWN = "Columns: name, city\nname: Ada; city: Köln\nname: Bo; city: 東京 👋"


@pytest.mark.parametrize(
    ("content", "expects"),
    [
        (ROWS.encode(), SHOWN),
        (ROWS.replace(",", "\t").encode("utf-16"), SHOWN),
        (ROWS.replace("\n", "\r\n").encode("utf-8-sig"), SHOWN),
        (ROWS.replace("\n", "\r").encode(), SHOWN),
        (b"\n\n" + ROWS.encode(), SHOWN),
        ("Stadt;Straße\nKöln;Große Allee\nMünchen;Süd\n".encode("cp1252"), "Columns: Stadt, Straße"),
        (b"", ""),
        (b"\n \n", ""),
    ],
    ids=["utf-8", "tsv-utf-16", "crlf", "cr", "empty-lines-first", "cp1252", "empty", "blank"],
)
def test_rows_say_what_they_are(tmp_path: Path, content: bytes, expects: str) -> None:
    assert text_of(CSV, tmp_path, content).startswith(expects)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a," * (HEAD_BYTES // 2 + 1), "no line ends"),
        (b",".join(b"c" for _ in range(600)) + b"\n1", "columns"),
        (b'a,b\n"' + b"x" * 200_000, "not a readable table"),
    ],
    ids=["one-line", "columns", "open-quote"],
)
def test_up_4_what_is_no_table_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        text_of(CSV, tmp_path, content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" + b"{}," * 1_000_001 + b"{}]", "too many values"),
        (b"[" * 5000 + b"]" * 5000, "deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "deeper than 64"),
        (b'{"a": [1, 2', "not valid"),
        (b'{\n"a": [1,\n2', "not valid"),
        (b'{"a": 1}\n{"a": 2}\n\n{"a', "Line 4 of the JSON lines"),
    ],
    ids=["too-many", "lists", "objects", "truncated", "truncated-lines", "truncated-record"],
)
def test_up_4_json_beyond_its_bounds_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        text_of(JSON, tmp_path, content)


def test_json_number_of_six_thousand_digits_is_kept_as_it_is_written(tmp_path: Path) -> None:
    digits = "9" * 6000
    assert text_of(JSON, tmp_path, f'{{"n": {digits}, "m": -7, "x": 1.5}}'.encode()) == f"n: {digits}\nm: -7\nx: 1.5"


def test_beginning_of_a_json_value_that_is_too_long_is_kept(tmp_path: Path) -> None:
    text = text_of(JSON, tmp_path, b'{"a": "' + b"heron " * 500_000 + b'"}')
    assert text.startswith("a: heron heron") and text.endswith("SQL reaches every record of a file of records.)")
