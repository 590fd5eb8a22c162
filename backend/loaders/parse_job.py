"""The job that reads and splits one file inside the worker process."""

from __future__ import annotations

import importlib
import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.loaders.port import Loader, LoadRefused
from backend.models.documents import PageText
from backend.utils.chunking import Chunker, Piece
from backend.workers.port import Refusal

PRELOAD = (
    "langchain_text_splitters",
    "pypdf",
    "pypdfium2.raw",
    "lxml.etree",
    "openpyxl",
    "charset_normalizer",
    "email.message",
    "sqlite3",
)
"""Imported once in the warm process, so that no job pays for it."""
MAX_TEXT_CHARS = 5 * 1_048_576
_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_CONTROLS = {code: " " for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"} | {0xFEFF: None}


def parse(
    path: str, loader: str, chunk_size: int, chunk_overlap: int
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """Yields each page as soon as it is read, as `{"number", "text", "unit", "label", "form", "scanned", "chunks",
    "done"}`: the fields of PageText, its chunks as `{"text", "start", "end", "line", "heading"}` (see Piece), and
    `done` in [0, 1] where the length is known.

    Args:
        path: a server-made path. loader: name of a file of backend/loaders. chunk_size, chunk_overlap: characters.

    Returns:
        `{"pages": int | None, "characters": int, "scanned": int}`: the last counts pages that only OCR can read. A
        document of nothing but those is no error here.

    Raises:
        Refusal: a sentence for the user.
    """
    reader: Loader = importlib.import_module(f"backend.loaders.{loader}").LOADER
    chunker = Chunker(chunk_size, chunk_overlap)
    file = Path(path)
    characters = pages = scanned = 0
    try:
        count = reader.page_count(file)
        for page in reader.load(file):
            page = replace(page, text=clean(page.text), label=clean(page.label))
            characters += len(page.text)
            pages += 1
            scanned += page.scanned
            if characters > MAX_TEXT_CHARS:
                raise Refusal("The document holds more than 5 MiB of text: split it.")
            yield {
                **_fields(page),
                "chunks": [_fields(piece) for piece in chunker.pieces(page.text, page.form)],
                "done": round(min(1.0, pages / count), 4) if count else None,
            }
    except LoadRefused as error:
        raise Refusal(str(error)) from None
    if not characters and not scanned:
        raise Refusal("No text was found in the file: if it is a scan, run text recognition (OCR) on it first.")
    return {"pages": count, "characters": characters, "scanned": scanned}


def _fields(value: PageText | Piece) -> dict[str, Any]:
    """The fields of a flat dataclass, in a tenth of the time of `asdict`."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def clean(text: str) -> str:
    """Text that can be encoded and shown: no lone surrogates, no control characters, no trailing blanks, one kind of
    line end, no byte-order marks."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _LINE_ENDS.sub("\n", text).translate(_CONTROLS)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
