"""The job that reads several small files of one owner in one process, as starting one for each would cost more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from backend.loaders.parse_job import parse
from backend.workers.port import Refusal

PRELOAD = ("langchain_text_splitters",)


def parse_each(
    files: Sequence[dict[str, str]], chunk_size: int, chunk_overlap: int
) -> Generator[dict[str, Any], None, None]:
    """Yields for each file `{"file", "parts", "result"}`, `parts` and `result` as parse_job.parse yields and returns
    them, or `{"file", "refused"}`, a sentence. `file` is its place in `files`, which have `path` and `loader`. Whatever
    else goes wrong ends the job: files that did not come to their end are to be read alone.
    """
    for place, file in enumerate(files):
        pages = parse(file["path"], file["loader"], chunk_size, chunk_overlap)
        parts: list[dict[str, Any]] = []
        try:
            while True:
                parts.append(next(pages))
        except StopIteration as end:
            yield {"file": place, "parts": parts, "result": end.value}
        except Refusal as refusal:
            yield {"file": place, "refused": str(refusal)}
