"""Which of their documents somebody wants searched: named, of a kind, of a time; and finding those."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from backend.models.collections import ANYTHING, SearchLimits
from backend.models.documents import Document
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore, every_document
from backend.tools.collection_search import Scope, resolve, scope_of

MAX_NAMES = 10
_KINDS = {
    "word": ("docx", "odt", "rtf"),
    "excel": ("xlsx",),
    "powerpoint": ("pptx",),
    "spreadsheet": ("xlsx", "csv", "tsv", "ods"),
    "table": ("xlsx", "csv", "tsv", "ods"),
    "presentation": ("pptx", "odp"),
    "slides": ("pptx", "odp"),
    "markdown": ("md", "markdown"),
    "text": ("txt", "md", "markdown", "rst", "log"),
    "web": ("html", "htm", "xhtml"),
    "html": ("html", "htm", "xhtml"),
    "email": ("eml",),
    "mail": ("eml",),
    "book": ("epub",),
    "json": ("json", "jsonl", "ndjson"),
}
"""What people call kinds of files, by extension."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a search is limited to; everything that is not given limits nothing.

    `files` are names or ids, `types` extensions, content types (`text/*` too) or kinds such as `spreadsheet`.
    `after` (inclusive) and `before` are times of upload in seconds since the epoch. `only` are ids of the caller's
    documents; with `collections`, ids too, both together are searched and nothing else.
    """

    files: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    after: float | None = None
    before: float | None = None
    only: frozenset[str] | None = None
    limits: SearchLimits = ANYTHING

    @property
    def picks(self) -> bool:
        """Whether single documents are chosen by what is known of them."""
        return bool(self.files or self.types) or self.after is not None or self.before is not None


EVERYTHING = Narrowing()


class Picker:
    """Finds the documents that a Narrowing means."""

    def __init__(self, documents: DocumentStore, collections: CollectionStore | None) -> None:
        self._documents = documents
        self._collections = collections

    async def scope(self, owner: Owner, wanted: Narrowing) -> Scope | None:
        """Where is searched; None where nothing limits it, which is the whole of the owner's main index.

        Raises NotFound for a collection or file that is not there, InvalidRequest for a collection that has expired.
        """
        scope = await self.allowed(owner, wanted)
        if not wanted.picks:
            return scope
        ready = await self._ready(owner, scope)
        kept = [each for each in ready if _fits(each, wanted)]
        if wanted.files:
            kept = _named(kept, ready, wanted.files)
        ids = frozenset(each.file_id for each in kept)
        return Scope({owner: ids} if ids else {}) if scope is None else scope.within(ids)

    async def allowed(self, owner: Owner, wanted: Narrowing) -> Scope | None:
        """The same, before documents are picked out of it."""
        if wanted.collections and self._collections is not None:
            found = await resolve(self._collections, owner, wanted.collections)
            return await scope_of(self._documents, owner, found, wanted.limits.wanted, wanted.only or ())
        if wanted.only is None and not wanted.collections:
            return None
        return await scope_of(self._documents, owner, (), None, wanted.only or ())

    async def _ready(self, owner: Owner, scope: Scope | None) -> list[Document]:
        if scope is None:
            # Of a long document the first pages can be found while the others are still read.
            return [
                each
                for each in await every_document(self._documents, owner)
                if each.status == "ready" or _has_begun(each)
            ]
        homes = scope.by_owner
        return [each for home in homes for each in (await self._documents.get_many(home, homes[home])).values()]


def _named(kept: Sequence[Document], ready: Sequence[Document], names: Iterable[str]) -> list[Document]:
    """Those that are named. Raises NotFound with the names there are for one that is not there at all."""
    fitting = {each.file_id for each in kept}
    found: list[Document] = []
    for name in names:
        meant = matching(ready, name.strip())
        if not meant:
            there = listed([each.filename for each in ready])
            raise NotFound(
                f"There is no document named {name.strip()[:100]!r};"
                f" {f'the documents are {there}' if ready else 'no document is ready yet'}.",
                param="files",
            )
        found += [each for each in meant if each.file_id in fitting]
    return found


def matching(documents: Sequence[Document], name: str) -> list[Document]:
    """The documents that a name or an id means: exactly, else without regard to case, else without extension."""
    folded = name.casefold()
    return (
        [each for each in documents if name in (each.file_id, each.filename)]
        or [each for each in documents if each.filename.casefold() == folded]
        or [each for each in documents if each.filename.casefold().rsplit(".", 1)[0] == folded]
    )


def listed(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    shown = ", ".join(distinct[:MAX_NAMES])
    return shown if len(distinct) <= MAX_NAMES else f"{shown} and {len(distinct) - MAX_NAMES} more"


def _fits(document: Document, wanted: Narrowing) -> bool:
    if wanted.after is not None and document.created_at < wanted.after:
        return False
    if wanted.before is not None and document.created_at >= wanted.before:
        return False
    return not wanted.types or _is_of(document, wanted.types)


def _is_of(document: Document, types: Several[str]) -> bool:
    extension = PurePosixPath(document.filename).suffix.lower().lstrip(".")
    for each in types:
        kind = each.strip().lower()
        if "/" in kind:
            if document.content_type.lower().split(";")[0] == kind:
                return True
            if kind.endswith("/*") and document.content_type.lower().startswith(kind[:-1]):
                return True
        elif extension in (kind.lstrip("."), *_KINDS.get(kind.removesuffix("s"), ()), *_KINDS.get(kind, ())):
            return True
    return False


def moment_of(text: str, param: str) -> float:
    """Seconds since the epoch of `2026-03-31` or `2026-03-31T12:00:00Z`; UTC where no zone is told.

    Raises InvalidRequest.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{param} is no date: write it like 2026-03-31 or 2026-03-31T12:00:00Z.", param=param, code="invalid_value"
        ) from None


def _has_begun(document: Document) -> bool:
    return document.status == "processing" and document.chunks > 0
