"""Reading an index of the first form: one file of JSON lines a document, vectors in base64. Only ever read."""

from __future__ import annotations

import base64
import binascii
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from backend.models.documents import DocumentChunk
from backend.vector_store.disk import open_file

log = logging.getLogger("hearth.vectors")

FORMER_VERSION = 1
BATCH = "batch.jsonl"
"""Chunks of several documents that were decided and perhaps not yet written to their own files: they count last."""
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Former:
    """`vectors` has shape (len(chunks), d), float32. `whole` is False when a line was damaged."""

    chunks: list[DocumentChunk]
    vectors: npt.NDArray[Any]
    whole: bool


def read_former(folder: Path, dimension: int) -> Former:
    """The chunks that count, document by document. Raises OSError."""
    found: dict[tuple[str, int], tuple[DocumentChunk, bytes]] = {}
    whole = True
    names = sorted(path.name for path in folder.glob("*.jsonl")) if folder.is_dir() else []
    for name in sorted(names, key=lambda name: name == BATCH):
        with open_file(folder / name, os.O_RDONLY) as file:
            content = file.read()
        for line in content[: content.rfind(b"\n") + 1].splitlines():
            batch = _decoded(line, dimension)
            whole = whole and batch is not None
            for chunk, vector in batch or ():
                found[chunk.file_id, chunk.index] = (chunk, vector)
    if not whole:
        log.error("A document's file in a vector index is damaged; its documents must be indexed again.")
    rows = [found[key] for key in sorted(found)]
    vectors = np.frombuffer(b"".join(vector for _, vector in rows), dtype="<f4").reshape(len(rows), dimension)
    return Former([chunk for chunk, _ in rows], vectors, whole)


def _decoded(line: bytes, dimension: int) -> list[tuple[DocumentChunk, bytes]] | None:
    """Chunks with their vectors; None when the line is not what was written."""
    size = dimension * FLOAT_BYTES
    try:
        found: dict[str, Any] = orjson.loads(line)
        chunks = list(_chunks(found))
        vectors = base64.b64decode(found["vectors"], validate=True)
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError, ValueError):
        return None
    if not chunks or len(vectors) != len(chunks) * size:
        return None
    return [(chunk, vectors[row * size : (row + 1) * size]) for row, chunk in enumerate(chunks)]


def _chunks(found: dict[str, Any]) -> Iterator[DocumentChunk]:
    for each in found["chunks"]:
        fields = {**each, "index": int(each["index"]), "text": str(each["text"])}
        fields["heading"] = tuple(each.get("heading", ()))
        yield DocumentChunk(str(found["file_id"]), str(found["filename"]), **fields)
