"""The job that reads and splits one file inside the worker process."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from backend.loaders.port import Loader, LoadRefused
from backend.workers.port import Refusal

PRELOAD = ("pypdf", "docx", "langchain_text_splitters")
"""Imported once in the warm process, so that no job pays for it."""
MAX_TEXT_CHARS = 5 * 1_048_576


def parse(
    path: str, loader: str, chunk_size: int, chunk_overlap: int
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """Yields `{"page", "text", "chunks", "done"}` for each page, `done` in [0, 1] where the length is known.

    Args:
        path: a server-made path. loader: name of a file of backend/loaders. chunk_size, chunk_overlap: characters.

    Returns:
        `{"pages": int | None, "characters": int}`.

    Raises:
        Refusal: a sentence for the user.
    """
    reader: Loader = importlib.import_module(f"backend.loaders.{loader}").LOADER
    splitter = _splitter(chunk_size, chunk_overlap)
    file = Path(path)
    characters = pages = 0
    try:
        count = reader.page_count(file)
        for page in reader.load(file):
            text = clean(page.text)
            characters += len(text)
            pages += 1
            if characters > MAX_TEXT_CHARS:
                raise Refusal("The document holds more than 5 MiB of text: split it.")
            chunks = [piece for piece in splitter.split_text(text) if piece.strip()]
            yield {
                "page": page.number,
                "text": text,
                "chunks": chunks,
                "done": round(pages / count, 4) if count else None,
            }
    except LoadRefused as error:
        raise Refusal(str(error)) from None
    if not characters:
        raise Refusal("No text was found in the file: if it is a scan, run text recognition (OCR) on it first.")
    return {"pages": count, "characters": characters}


def clean(text: str) -> str:
    """Text that can be encoded and shown: no lone surrogates, no control characters, no trailing blanks."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = "".join(c if c >= " " or c in "\n\t" else " " for c in text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _splitter(chunk_size: int, chunk_overlap: int) -> Any:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    overlap = min(chunk_overlap, chunk_size // 2)
    return RecursiveCharacterTextSplitter(chunk_size=chunk_size, chunk_overlap=overlap)
