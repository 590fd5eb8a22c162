"""Passages as they are shown and cited: neighbouring chunks joined, and where in the document they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from backend.models.attribute_filters import Attribute
from backend.models.documents import DocumentChunk, Unit
from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.models.tools import Source
from backend.storage.document_store import DocumentStore
from backend.tools.retrieval_scores import Candidate
from backend.vector_store.port import VectorStore

LARGEST_GAP = 2
"""Distance of two found chunks of a page that are joined: neighbours, or one chunk between them."""
MAX_JOINED = 4
"""Chunks in one passage: a longer one is no longer a quotation."""
MIN_OVERLAP, MAX_OVERLAP = 12, 4000
"""Characters; a shorter common piece is chance: "the" and "end" share a letter."""
UNITS: dict[Unit, str] = {"page": "p.", "slide": "slide", "sheet": "sheet", "chapter": "chapter"}


@dataclass(frozen=True, slots=True)
class Passage:
    """One chunk or several neighbours of one page as one `chunk`; `home` is whose document it is of."""

    home: Owner
    chunk: DocumentChunk
    score: float
    parts: Mapping[str, float]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class Joiner:
    """Puts neighbouring chunks together."""

    def __init__(self, documents: DocumentStore, vectors: VectorStore) -> None:
        self._documents = documents
        self._vectors = vectors

    async def passages(self, candidates: Sequence[Candidate]) -> list[Passage]:
        """Best first. Chunks of a collection's own index stay as they are cut: their sizes were asked for."""
        out: list[Passage] = []
        for group in _neighbours(candidates):
            best = max(group, key=lambda each: each.score)
            out.append(Passage(best.home, await self._as_one(group), best.score, best.parts))
        return sorted(out, key=lambda passage: -passage.score)

    async def _as_one(self, group: Sequence[Candidate]) -> DocumentChunk:
        first, last = group[0], group[-1]
        if first is last:
            return first.chunk
        chunks = [each.chunk for each in group]
        if last.chunk.index - first.chunk.index >= len(group):
            between = await self._vectors.chunks(
                first.home, first.chunk.file_id, first=first.chunk.index, last=last.chunk.index
            )
            chunks = [each for each in between if each.page == first.chunk.page] or chunks
        text = await self._text(first.home, chunks)
        return replace(chunks[0], text=text, end=max(each.end for each in chunks))

    async def _text(self, home: Owner, chunks: Sequence[DocumentChunk]) -> str:
        """As it stands on the page; put together of the chunks where these say more than the page (a table's head)."""
        if all(each.end > each.start for each in chunks):
            try:
                page = (await self._documents.page_text(home, chunks[0].file_id, chunks[0].page)).text
            except NotFound:
                page = ""
            if all(page[each.start : each.end] == each.text for each in chunks):
                return page[chunks[0].start : max(each.end for each in chunks)]
        return joined(each.text for each in chunks)


def _neighbours(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Those of one page that lie close together, in the order of the page; each is in one group."""
    groups: list[list[Candidate]] = []
    for each in sorted(candidates, key=lambda one: (_place(one), one.chunk.index)):
        last = groups[-1] if groups else None
        if (
            last is not None
            and not each.collection
            and _place(last[-1]) == _place(each)
            and each.chunk.index - last[-1].chunk.index <= LARGEST_GAP
            and each.chunk.index - last[0].chunk.index < MAX_JOINED
        ):
            last.append(each)
        else:
            groups.append([each])
    return groups


def _place(candidate: Candidate) -> tuple[str, str, str, int]:
    chunk = candidate.chunk
    return candidate.home.user, candidate.collection, chunk.file_id, chunk.page or 0


def joined(texts: Iterable[str]) -> str:
    """Texts one after another, what the end of one and the beginning of the next have in common written once."""
    whole = ""
    for text in texts:
        shared = _overlap(whole, text)
        whole += text[shared:] if shared or not whole else "\n" + text
    return whole


def _overlap(left: str, right: str) -> int:
    """Length of the longest end of `left` that begins `right`; 0 when it is too short to be one."""
    probe = right[:MIN_OVERLAP]
    place = left.find(probe, max(0, len(left) - min(len(right), MAX_OVERLAP))) if len(probe) == MIN_OVERLAP else -1
    while place >= 0:
        if right.startswith(left[place:]):
            return len(left) - place
        place = left.find(probe, place + 1)
    return 0


# ---- how a passage is told of -------------------------------------------------------------------------


def title_of(chunk: DocumentChunk) -> str:
    """`handbook.pdf, p. 3`, `deck.pptx, slide 4`, `book.xlsx, sheet Q3`, `notes.md, line 120`, `letter.txt`."""
    if chunk.page is not None:
        named = chunk.label if chunk.unit in ("sheet", "chapter") and chunk.label.strip() else str(chunk.page)
        return f"{chunk.filename}, {UNITS[chunk.unit]} {' '.join(named.split())[:80]}"
    return f"{chunk.filename}, line {chunk.line}" if chunk.line > 1 else chunk.filename


def url_of(chunk: DocumentChunk) -> str:
    """A path of this server where the passage is shown in its place."""
    view = f"/files/{quote(chunk.file_id, safe='')}/view"
    if chunk.page is not None:
        return f"{view}#page={chunk.page}"
    return f"{view}#line={chunk.line}" if chunk.line > 1 else view


def source_of(passage: Passage) -> Source:
    chunk = passage.chunk
    placed = chunk.end > chunk.start
    return Source(
        kind="document",
        title=title_of(chunk),
        quote=chunk.text,
        url=url_of(chunk),
        file_id=chunk.file_id,
        filename=chunk.filename,
        page=chunk.page,
        score=round(passage.score, 4),
        unit=chunk.unit,
        label=chunk.label,
        heading=chunk.heading,
        line=chunk.line if placed else None,
        start=chunk.start if placed else None,
        end=chunk.end if placed else None,
        parts=rounded(passage.parts),
    )


def hit_of(passage: Passage) -> dict[str, Any]:
    """The passage for programs."""
    source = source_of(passage)
    return {
        "file_id": source.file_id,
        "filename": source.filename,
        "page": source.page,
        "unit": source.unit,
        "label": source.label,
        "heading": list(source.heading),
        "line": source.line,
        "start": source.start,
        "end": source.end,
        "score": source.score,
        "parts": dict(source.parts),
        "text": source.quote,
        "url": source.url,
    }


def rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in parts.items()}
