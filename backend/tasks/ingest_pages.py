"""The pages of a stored file, as the worker process reads them: one after another, scanned ones by OCR."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.config.settings import Settings
from backend.loaders.port import Loader
from backend.models.documents import Document, DocumentChunk, PageText
from backend.models.errors import WorkerFailed
from backend.models.run import Owner
from backend.utils.chunking import Chunker
from backend.utils.ocr_tool import tesseract_path
from backend.workers.port import Limits, Worker

PARSE_JOB = "backend.loaders.parse_job:parse"
SMALL_JOB = "backend.loaders.parse_small:parse_each"
OCR_JOB = "backend.loaders.ocr_job:read_page"
PARSE_LIMITS = Limits(seconds=30.0, memory_mb=512, output_bytes=64 * 1_048_576)
OCR_LIMITS = Limits(seconds=30.0, memory_mb=1024, output_bytes=4 * 1_048_576, file_mb=256)
PARSERS_AT_ONCE = 2
SMALL_BYTES = 65_536
"""A text file up to this size is read together with others of its owner."""
SMALL_BATCH = 32
GATHER_SECONDS = 0.05
"""How long the first of several small files waits for others to be read with."""
NO_OCR = (
    "The PDF is a scan without text: install tesseract, which reads the pictures of its pages, or upload one with text."
)
NOTHING_READ = "The PDF is a scan in which no text could be recognised: upload one with text."
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page with its chunks, whose `index` is still to be counted. `done` in [0, 1] where the length is known."""

    page: PageText
    chunks: tuple[DocumentChunk, ...]
    done: float | None


@dataclass(slots=True)
class Reading:
    """What has become known of a file while its pages were read. `count` is known at the end."""

    count: int | None = None
    unread: list[int] = field(default_factory=list)
    """Numbers of scanned pages that nobody could read."""

    @property
    def note(self) -> str | None:
        """One sentence about pages that were left out."""
        if not self.unread:
            return None
        shown = [str(number) for number in self.unread[:MOST_NAMED]]
        if len(self.unread) > MOST_NAMED:
            shown[-1] = f"{len(self.unread) - MOST_NAMED + 1} more"
        names = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
        way = "tesseract is not installed" if tesseract_path() is None else "no text was recognised on them"
        if len(self.unread) == 1:
            return f"Page {names} is a scan and was not read: {way.replace('them', 'it')}."
        return f"Pages {names} are scans and were not read: {way}."


class PageReader:
    """Runs the jobs that read files, PARSERS_AT_ONCE at a time for all users together."""

    def __init__(self, settings: Settings, worker: Worker) -> None:
        self._settings = settings
        self._worker = worker
        self.parsing = asyncio.Semaphore(PARSERS_AT_ONCE)
        self._small: dict[Owner, deque[_Small]] = {}
        self._runners: dict[Owner, asyncio.Task[None]] = {}

    async def pages(
        self, owner: Owner, document: Document, path: Path, loader: Loader, reading: Reading
    ) -> AsyncGenerator[ReadPage, None]:
        """The pages as they are read; what waits here is bounded by what a document may hold (5 MiB of text).

        Raises WorkerFailed; close it when leaving early, which ends the job.
        """
        seen = _Seen()
        refused: WorkerFailed | None = None
        try:
            async for part in self._parts(owner, document, path, loader, reading):
                read = await self._read(document, path, part, reading, seen)
                if read is not None:
                    yield read
        except WorkerFailed as error:
            if error.reason != "refused" or seen.typed or not seen.scanned:
                raise
            # Nothing but scans: the job itself cannot know whether they will be read.
            refused, reading.count = error, seen.pages
        if seen.scanned and not seen.typed and not seen.recognised:
            message = NO_OCR if self._ocr() is None else NOTHING_READ
            raise WorkerFailed(message, reason="refused") from refused

    async def _read(
        self, document: Document, path: Path, part: Mapping[str, Any], reading: Reading, seen: _Seen
    ) -> ReadPage | None:
        page = PageText(part["number"], part["text"], part["unit"], part["label"], part["form"], part["scanned"])
        seen.pages += 1
        seen.typed = seen.typed or bool(page.text.strip())
        if page.scanned:
            seen.scanned += 1
            text = await self._recognised(path, page)
            if text.strip():
                chunker = Chunker(self._settings.chunk_size, self._settings.chunk_overlap)
                page = replace(page, text=text, form="markdown")
                pieces = await asyncio.to_thread(lambda: list(chunker.pieces(text, page.form)))
                seen.recognised = True
                return ReadPage(page, tuple(as_chunk(document, page, vars_of(piece)) for piece in pieces), part["done"])
            if not page.text.strip() and page.number is not None:
                reading.unread.append(page.number)
        return ReadPage(page, tuple(as_chunk(document, page, piece) for piece in part["chunks"]), part["done"])

    def _ocr(self) -> str | None:
        return tesseract_path() if self._settings.ocr == "auto" else None

    async def _recognised(self, path: Path, page: PageText) -> str:
        """The text of a scanned page; "" where there is none to be had."""
        if self._ocr() is None or page.number is None:
            return ""
        payload = {"path": str(path), "page": page.number, "languages": self._settings.ocr_languages}
        try:
            result = await self._worker.run(OCR_JOB, payload, limits=OCR_LIMITS)
        except WorkerFailed:
            return ""
        text: str = result["text"]
        return text

    async def _parts(
        self, owner: Owner, document: Document, path: Path, loader: Loader, reading: Reading
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        if is_small(document, loader):
            small = await self._together(owner, path, loader)
            if small.refused is not None:
                raise WorkerFailed(small.refused, reason="refused")
            if small.result is not None:
                for part in small.parts:
                    yield part
                reading.count = small.result["pages"]
                return
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        job = asyncio.create_task(self._alone(path, loader, queue))
        job.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (told := await queue.get()) is not None:
                yield told
            reading.count = job.result()["pages"]
        finally:
            # Whoever is cancelled here leaves no worker behind.
            job.cancel()
            await asyncio.wait({job})

    async def _alone(self, path: Path, loader: Loader, queue: asyncio.Queue[Mapping[str, Any] | None]) -> Any:
        async with self.parsing:
            payload = {"path": str(path), "loader": loader.name, **self._sizes()}
            return await self._worker.run(PARSE_JOB, payload, limits=PARSE_LIMITS, on_progress=queue.put_nowait)

    def _sizes(self) -> dict[str, int]:
        return {"chunk_size": self._settings.chunk_size, "chunk_overlap": self._settings.chunk_overlap}

    # ---- small files together --------------------------------------------------------------------

    async def _together(self, owner: Owner, path: Path, loader: Loader) -> _Small:
        """Read with others of the owner that wait; without result when something went wrong that may not be its."""
        small = _Small(path, loader.name, asyncio.get_running_loop().create_future())
        self._small.setdefault(owner, deque()).append(small)
        if owner not in self._runners:
            runner = self._runners[owner] = asyncio.create_task(self._run_small(owner))
            runner.add_done_callback(lambda _: self._ended(owner))
        await small.done
        return small

    def _ended(self, owner: Owner) -> None:
        self._runners.pop(owner, None)
        for small in self._small.pop(owner, ()):
            small.finish()

    async def _run_small(self, owner: Owner) -> None:
        waiting = self._small[owner]
        while waiting:
            if len(waiting) < SMALL_BATCH:
                await asyncio.sleep(GATHER_SECONDS)
            async with self.parsing:
                batch = [small for small in _taken(waiting, SMALL_BATCH) if not small.done.done()]
                if batch:
                    await self._read_batch(batch)

    async def _read_batch(self, batch: list[_Small]) -> None:
        def hear(told: Mapping[str, Any]) -> None:
            batch[told["file"]].hear(told)

        files = [{"path": str(small.path), "loader": small.loader} for small in batch]
        try:
            await self._worker.run(SMALL_JOB, {"files": files, **self._sizes()}, limits=PARSE_LIMITS, on_progress=hear)
        except WorkerFailed:
            pass  # each that did not come to its end is read alone, and told then what is wrong with it
        finally:
            for small in batch:
                small.finish()

    async def aclose(self) -> None:
        """End what runs."""
        runners = list(self._runners.values())
        for runner in runners:
            runner.cancel()
        if runners:
            await asyncio.wait(runners)


@dataclass(slots=True)
class _Seen:
    pages: int = 0
    scanned: int = 0
    typed: bool = False
    recognised: bool = False


@dataclass(slots=True)
class _Small:
    path: Path
    loader: str
    done: asyncio.Future[None]
    parts: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] | None = None
    refused: str | None = None

    def hear(self, told: Mapping[str, Any]) -> None:
        self.parts, self.result, self.refused = told.get("parts", ()), told.get("result"), told.get("refused")
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def is_small(document: Document, loader: Loader) -> bool:
    """Whether it is read together with others: text as it stands cannot grow while it is read."""
    return document.size <= SMALL_BYTES and loader.content_type in ("text/plain", "text/markdown")


def as_chunk(document: Document, page: PageText, piece: Mapping[str, Any]) -> DocumentChunk:
    """A piece of a page, `{"text", "start", "end", "line", "heading"}`, as a chunk; its index is not counted yet."""
    return DocumentChunk(
        document.file_id,
        document.filename,
        0,
        piece["text"],
        page.number,
        page.unit,
        page.label,
        tuple(piece["heading"]),
        piece["start"],
        piece["end"],
        piece["line"],
    )


def vars_of(piece: Any) -> dict[str, Any]:
    """A Piece as the jobs send it."""
    return {name: getattr(piece, name) for name in ("text", "start", "end", "line", "heading")}


def _taken(waiting: deque[_Small], most: int) -> list[_Small]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]
