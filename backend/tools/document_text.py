"""`document_text`: the whole text of the user's documents in order, part by part, instead of passages that fit best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from backend.models.documents import Document, DocumentChunk, PageText
from backend.models.run import Owner, RunContext
from backend.models.tools import Source, ToolResult
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore, every_document
from backend.tools.collection_search import resolve, scope_of
from backend.tools.port import BaseTool, ToolServices
from backend.tools.retrieval_passages import title_of, url_of

PASSAGE_CHARS = 4_000
"""A longer page is given in several passages, cut at paragraphs, lines or sentences."""
PART_CHARS = 10_000
"""Of one part: what a model is shown of one tool result, less the titles of the passages."""
MIN_PART_CHARS, MAX_PART_CHARS = 1_000, 60_000
TITLE_CHARS = 60
"""What the title of a passage counts."""
MAX_PASSAGES = 90
"""Of one part."""
MAX_FILES = 20
MAX_NAMES = 20
MAX_NAME_CHARS = 100
Homed = tuple[Owner, Document]
"""A document and whose it is: those of a shared collection are its owner's."""


def _as_list(value: Any) -> Any:
    """Models send one name as text, and nothing as an empty list or text."""
    if isinstance(value, str):
        return [value] if value.strip() and not value.lstrip().startswith("[") else value.strip() or None
    return value or None


class Arguments(BaseModel):
    files: Annotated[list[str] | None, BeforeValidator(_as_list)] = Field(
        default=None,
        max_length=MAX_FILES,
        description="The documents to read, by file name or id; may be left out when there is only one.",
    )
    from_page: int | None = Field(default=None, ge=1, description="First page (slide, sheet, chapter) to read.")
    to_page: int | None = Field(default=None, ge=1, description="Last page to read.")
    part: int = Field(default=1, ge=1, description="Which part of the text, counted from 1; ask for the next in turn.")
    size: int = Field(
        default=PART_CHARS, ge=MIN_PART_CHARS, le=MAX_PART_CHARS, description="Characters in a part; leave it out."
    )


@dataclass(frozen=True, slots=True)
class _Passage:
    """A piece of a page; `start` and `end` are its place in the page's text, `line` counts from 1."""

    document: Document
    page: PageText
    text: str
    start: int
    line: int


class DocumentText(BaseTool):
    name = "document_text"
    description = (
        "Reads documents that the user has uploaded from beginning to end, page by page, in parts. Use it when the"
        " whole text matters: to summarise, translate or compare documents, to list everything of a kind, or to read"
        " certain pages. To find one fact use rag_retrieval instead."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    untrusted = True

    def __init__(self, documents: DocumentStore, collections: CollectionStore | None = None) -> None:
        self._documents = documents
        self._collections = collections

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """The part's passages are the sources. `data` is {"files": [{file_id, filename, pages, characters}], "part",
        "parts", "characters"}; characters of a file are those of all its text."""
        there = await self._readable(context)
        if not there:
            return ToolResult("", error="The user has no documents that can be read yet; they can upload some.")
        homes = {document.file_id: home for home, document in there}
        chosen, problem = _chosen([document for _, document in there], arguments.files)
        if problem:
            return ToolResult("", error=problem)
        passages: list[_Passage] = []
        told: list[dict[str, Any]] = []
        for document in chosen:
            pages = await self._documents.pages(homes[document.file_id], document.file_id)
            told.append(
                {
                    "file_id": document.file_id,
                    "filename": document.filename,
                    "pages": document.pages,
                    "characters": sum(len(page.text) for page in pages),
                }
            )
            for page in pages:
                if _is_wanted(page, arguments):
                    passages += _passages(document, page)
        if not passages:
            return ToolResult("", error=_nothing_there(chosen, arguments))
        parts = _parts(passages, arguments.size)
        if arguments.part > len(parts):
            return ToolResult("", error=f"There is no part {arguments.part}: the text has {len(parts)}.")
        part = parts[arguments.part - 1]
        data = {
            "files": told,
            "part": arguments.part,
            "parts": len(parts),
            "characters": sum(len(each.text) for each in part),
        }
        text = _heading(part, passages, arguments.part, len(parts))
        return ToolResult(text, data=data, sources=tuple(_source(each) for each in part))

    async def _readable(self, context: RunContext) -> list[Homed]:
        """The ready documents that this run may read, newest first. Raises NotFound, InvalidRequest."""
        owner = context.owner
        allowed: Mapping[Owner, Collection[str]]
        if context.collections and self._collections is not None:
            collections = await resolve(self._collections, owner, context.collections)
            scope = await scope_of(self._documents, owner, collections, context.search.wanted, context.files or ())
            allowed = scope.by_owner
        elif context.files is not None:
            allowed = {owner: context.files}
        else:
            return [(owner, each) for each in await every_document(self._documents, owner) if each.status == "ready"]
        found: list[Homed] = []
        for home, ids in allowed.items():
            there = await self._documents.get_many(home, ids)
            found += [(home, each) for each in there.values() if each.status == "ready"]
        return sorted(found, key=lambda each: each[1].created_at, reverse=True)


def create(services: ToolServices) -> DocumentText:
    return DocumentText(services.documents, services.collections)


def _chosen(there: Sequence[Document], wanted: Sequence[str] | None) -> tuple[list[Document], str]:
    """The documents that are asked for, in that order, or a sentence naming those there are."""
    if not wanted:
        if len(there) == 1:
            return list(there), ""
        return [], f"Say which documents to read, in `files`: the documents are {_listed(there)}."
    found: list[Document] = []
    for name in wanted:
        matches = _matching(there, name.strip())
        if not matches:
            asked = name.strip()[:MAX_NAME_CHARS]
            return [], f"There is no document named {asked!r}; the documents are {_listed(there)}."
        found += [each for each in matches if each not in found]
    return found, ""


def _matching(documents: Sequence[Document], name: str) -> list[Document]:
    """The document that a name or an id means: exactly, else without regard to case, else without its extension. Of
    several with one name it is the newest."""
    folded = name.casefold()
    for fits in (
        lambda each: name in (each.file_id, each.filename),
        lambda each: each.filename.casefold() == folded,
        lambda each: each.filename.casefold().rsplit(".", 1)[0] == folded,
    ):
        found = next(filter(fits, documents), None)
        if found is not None:
            return [found]
    return []


def _listed(documents: Sequence[Document]) -> str:
    names = list(dict.fromkeys(" ".join(each.filename.split())[:MAX_NAME_CHARS] for each in documents))
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _is_wanted(page: PageText, arguments: Arguments) -> bool:
    if page.number is None:
        return arguments.from_page in (None, 1)
    return (arguments.from_page or 1) <= page.number <= (arguments.to_page or page.number)


def _nothing_there(chosen: Sequence[Document], arguments: Arguments) -> str:
    if arguments.from_page is None and arguments.to_page is None:
        return f"There is no text in {_listed(chosen)}."
    counted = [f"{each.filename} has {each.pages} {each.unit}s" for each in chosen if each.pages]
    return f"There is no text on those pages{': ' + ', '.join(counted) if counted else ''}."


def _passages(document: Document, page: PageText) -> list[_Passage]:
    """The text of a page without blank edges, cut where it is long."""
    out: list[_Passage] = []
    at, line, counted = 0, 1, 0
    while at < len(page.text):
        end = _end_of(page.text, at)
        piece = page.text[at:end]
        text = piece.strip()
        if text:
            start = at + piece.index(text[0])
            line += page.text.count("\n", counted, start)
            counted = start
            out.append(_Passage(document, page, text, start, line))
        at = end
    return out


def _end_of(text: str, at: int) -> int:
    """Where a passage that begins at `at` ends: behind a paragraph, a line, a sentence or a word."""
    end = at + PASSAGE_CHARS
    if end >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", ". ", " "):
        found = text.rfind(mark, at + PASSAGE_CHARS // 2, end)
        if found >= 0:
            return found + len(mark)
    return end


def _parts(passages: Sequence[_Passage], size: int) -> list[list[_Passage]]:
    parts: list[list[_Passage]] = []
    room = 0
    for each in passages:
        cost = len(each.text) + TITLE_CHARS
        if not parts or cost > room or len(parts[-1]) >= MAX_PASSAGES:
            parts.append([])
            room = max(size, cost)
        parts[-1].append(each)
        room -= cost
    return parts


def _heading(part: Sequence[_Passage], every: Sequence[_Passage], number: int, parts: int) -> str:
    names = ", ".join(dict.fromkeys(each.document.filename for each in part))
    said, whole = sum(len(each.text) for each in part), sum(len(each.text) for each in every)
    if parts == 1:
        return f"The whole text that was asked for, of {names} ({whole:,} characters):"
    onward = f" Ask for part {number + 1} to go on." if number < parts else " This is the last part."
    return f"Part {number} of {parts}, of {names} ({said:,} of {whole:,} characters).{onward}"


def _source(passage: _Passage) -> Source:
    document, page = passage.document, passage.page
    end = passage.start + len(passage.text)
    chunk = DocumentChunk(
        document.file_id, document.filename, 0, passage.text, page.number, page.unit, page.label,
        start=passage.start, end=end, line=passage.line,
    )  # fmt: skip
    return Source(
        kind="document",
        title=title_of(chunk),
        quote=passage.text,
        url=url_of(chunk),
        file_id=document.file_id,
        filename=document.filename,
        page=page.number,
        unit=page.unit,
        label=page.label,
        line=passage.line,
        start=passage.start,
        end=end,
    )
