"""Archives from strangers are refused alike, whoever opens them: the loaders of documents and the reader of tables."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.loaders.docx import LOADER as DOCX
from backend.loaders.port import LoadRefused
from backend.loaders.xlsx import LOADER as XLSX
from backend.utils.archives import UnsafeArchive, check_archive
from backend.workers.jobs.data_job_workbook import read_workbook
from backend.workers.jobs.table_job_read import read
from backend.workers.port import Refusal

WORKBOOK = "xl/workbook.xml"


def archive(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return out.getvalue()


def broken_inside(main: str) -> bytes:
    """The directory is whole, the packed bytes are not."""
    content = bytearray(archive({main: random.Random(2).randbytes(4_000) + b"a" * 4_000}))
    content[600:900] = bytes(300)
    return bytes(content)


BAD: dict[str, Callable[[str], bytes]] = {
    "unpacks": lambda main: archive({main: b"0" * 30_000_000}),
    "too many parts": lambda main: archive({main: b"<a/>", **{f"x{n}": b"" for n in range(2_001)}}),
    "named like": lambda main: archive({"other.xml": b"<a/>"}),
    "entities": lambda main: archive({main: random.Random(1).randbytes(65_530) + b"<!DOCTYPE a>"}),
    "damaged": broken_inside,
    "is damaged": lambda main: b"PK\x03\x04 not really",
}
READERS: dict[str, tuple[str, Callable[[Path], object], type[Exception]]] = {
    "word loader": ("word/document.xml", lambda path: list(DOCX.load(path)), LoadRefused),
    "workbook loader": (WORKBOOK, lambda path: list(XLSX.load(path)), LoadRefused),
    "table reader": (WORKBOOK, lambda path: read(path, "xlsx"), Refusal),
    "data reader": (WORKBOOK, lambda path: read_workbook(path, None), Refusal),
    "check": (WORKBOOK, lambda path: check_archive(path, WORKBOOK, "an Excel workbook"), UnsafeArchive),
}


@pytest.mark.parametrize("says", BAD)
@pytest.mark.parametrize("reader", READERS)
def test_up_4_archive_is_refused_before_it_is_used(tmp_path: Path, reader: str, says: str) -> None:
    main, opens, error = READERS[reader]
    path = tmp_path / "file"
    path.write_bytes(BAD[says](main))
    with pytest.raises(error, match=says) as caught:
        opens(path)
    assert str(tmp_path) not in str(caught.value)
