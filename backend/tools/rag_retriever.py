"""`rag_retrieval`: passages of the user's own documents that answer a query, with file, page and score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from backend.embeddings.port import Embedder
from backend.models.documents import Document, DocumentChunk, Hit
from backend.models.run import Owner, RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.storage.document_store import DocumentStore
from backend.tools.collection_search import CollectionSearch, Found, Scope
from backend.tools.port import BaseTool, ToolServices
from backend.tools.rag_cues import (
    MAX_CHARS,
    asks_for_a_fact_of_documents,
    asks_for_names,
    may_be_answered_by_documents,
    mentions_documents,
    named_documents,
)
from backend.vector_store.port import VectorStore

RELEVANT_COSINE = 0.25
"""Below it, and without a common word, a passage has nothing to do with the query (unrelated texts stay under 0.2)."""
LARGEST_GAP = 2
"""Distance of two found chunks of a page that are joined: neighbours, or one chunk between them."""
MAX_JOINED = 4
"""Chunks in one passage: a longer one is no longer a quotation."""
MIN_OVERLAP, MAX_OVERLAP = 12, 4000
"""Characters; a shorter common piece is chance: "the" and "end" share a letter."""
PAGE_SIZE = 200
MAX_NAMES = 10
MAX_LISTED = 100
"""Names told when the question is which documents there are."""


def _as_list(value: Any) -> Any:
    """Models send one name as text, and nothing as an empty list or text."""
    if isinstance(value, str):
        return [value] if value.strip() and not value.lstrip().startswith("[") else value.strip() or None
    return value or None


class Arguments(BaseModel):
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="What to look for, in the words a document would use."
    )
    top_k: int = Field(default=5, ge=1, le=20, description="How many passages at most.")
    files: Annotated[list[str] | None, BeforeValidator(_as_list)] = Field(
        default=None, description="Only these documents, by file name or id; leave out to search all of them."
    )


@dataclass(frozen=True, slots=True)
class _Passage:
    """One chunk or several neighbours of one page; `first` and `last` count chunks of the document from 0."""

    first: DocumentChunk
    last: int
    text: str
    score: float


class RagRetriever(BaseTool):
    name = "rag_retrieval"
    description = (
        "Searches the documents that the user has uploaded and returns the passages that fit best, with file name and"
        " page. Use it for anything the user's own files may say: policies, contracts, reports, notes. It knows nothing"
        " beyond those files."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 60.0
    untrusted = True

    def __init__(
        self,
        embedder: Embedder,
        vectors: VectorStore,
        documents: DocumentStore,
        collections: CollectionSearch | None = None,
    ) -> None:
        self._embedder = embedder
        self._vectors = vectors
        self._documents = documents
        self._collections = collections

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data` is {"hits": [{file_id, filename, page, score, text}]}, best first. Failing to find is no error."""
        owner, query = context.owner, arguments.query[:MAX_CHARS]
        scope = await self._scope(context)
        if context.documents and not arguments.files and asks_for_names(query):
            return _names(context.documents if scope is None else await self._names(owner, scope))
        if (await self._vectors.count(owner) == 0) if scope is None else not scope.files:
            return _nothing("The user has no documents that are ready to be searched; they can upload some.")
        named: list[str] | None = None
        if arguments.files:
            named, unknown = await self._resolve(owner, arguments.files, scope)
            if unknown:
                return ToolResult("", error=unknown)
        limit = context.search.max_results or arguments.top_k
        if scope is not None and (scope.own or context.search.threshold):
            return await self._search_collections(query, limit, context, scope, named)
        if await self._vectors.needs_reindex(owner, self._embedder.name):
            return ToolResult("", error="The documents are not searchable until they have been indexed again.")
        files = named if named is not None or scope is None else sorted(scope.main)
        vector = await self._embedder.embed_query(query)
        hits = await self._vectors.search(owner, vector, query, limit, files)
        relevant = await self._living(owner, [hit for hit in hits if _is_relevant(hit)])
        if not relevant:
            return _nothing_in(named)
        return _result(await self._passages(owner, relevant), scope)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        if not context.documents or not query.strip():
            return ()
        asked = query.strip()[:MAX_CHARS]
        if asks_for_names(asked):
            return (Proposal({"query": asked}, 0.95, "the query asks which documents there are"),)
        named = named_documents(asked, context.documents)
        if named:
            return (Proposal({"query": asked, "files": list(named)}, 0.9, "the query names a document"),)
        if mentions_documents(asked):
            return (Proposal({"query": asked}, 0.9, "the query speaks of the user's documents"),)
        if asks_for_a_fact_of_documents(asked):
            return (Proposal({"query": asked}, 0.6, "a question for a fact that the user's documents may hold"),)
        if may_be_answered_by_documents(asked):
            return (Proposal({"query": asked}, 0.55, "a question that the user's documents may answer"),)
        return ()

    async def _scope(self, context: RunContext) -> Scope | None:
        """The documents that this run is limited to; None when it may search all of them.

        Raises NotFound or InvalidRequest for a collection that is gone or has expired.
        """
        if context.collections and self._collections is not None:
            collections = await self._collections.resolve(context.owner, context.collections)
            return await self._collections.scope(
                context.owner, collections, context.search.wanted, context.files or frozenset()
            )
        if context.files is None and not context.collections:
            return None
        there = await self._documents.get_many(context.owner, context.files or ())
        return Scope(frozenset(file_id for file_id, document in there.items() if document.status == "ready"))

    async def _names(self, owner: Owner, scope: Scope) -> Sequence[str]:
        return await self._documents.ready_names(owner, files=scope.files)

    async def _living(self, owner: Owner, hits: Sequence[Hit]) -> list[Hit]:
        """Those of documents that have not expired since they were indexed."""
        there = await self._documents.get_many(owner, {hit.chunk.file_id for hit in hits})
        return [hit for hit in hits if hit.chunk.file_id in there]

    async def _search_collections(
        self, query: str, limit: int, context: RunContext, scope: Scope, named: Sequence[str] | None
    ) -> ToolResult:
        """Where several indexes are searched, or only what scores enough counts."""
        if self._collections is None:
            return _nothing_in(named)
        searched = scope if named is None else scope.within(named)
        found = await self._collections.search(context.owner, searched, [query], limit, context.search)
        relevant = [each for each in found if each.score >= RELEVANT_COSINE / 2]
        return _result([_whole(each) for each in relevant], scope) if relevant else _nothing_in(named)

    async def _resolve(self, owner: Owner, wanted: Sequence[str], scope: Scope | None) -> tuple[list[str], str]:
        """Ids of the wanted files, or a sentence naming those there are. Case does not count, nor an extension."""
        ready = [
            each
            for each in await self._all_documents(owner)
            if each.status == "ready" and (scope is None or each.file_id in scope.files)
        ]
        found: list[str] = []
        for name in wanted:
            matches = _matching(ready, name.strip())
            if not matches:
                names = [each.filename for each in ready]
                there = f"the documents are {_listed(names)}" if names else "no document is ready yet"
                return [], f"There is no document named {name.strip()[:100]!r}; {there}."
            found += [each.file_id for each in matches]
        return found, ""

    async def _all_documents(self, owner: Owner) -> list[Document]:
        documents: list[Document] = []
        page = 1
        while True:
            more, total = await self._documents.list_documents(owner, page=page, limit=PAGE_SIZE)
            documents += more
            if not more or len(documents) >= total:
                return documents
            page += 1

    async def _passages(self, owner: Owner, hits: Sequence[Hit]) -> list[_Passage]:
        """The hits, best first, neighbours on one page joined into one passage."""
        passages: list[_Passage] = []
        for group in _neighbours(hits):
            indices = [hit.chunk.index for hit in group]
            chunks = [hit.chunk for hit in group]
            if indices[-1] - indices[0] >= len(indices):
                chunks = await self._with_gaps_filled(owner, chunks)
            text = _joined(chunk.text for chunk in chunks)
            passages.append(_Passage(chunks[0], indices[-1], text, max(hit.score for hit in group)))
        return sorted(passages, key=lambda passage: -passage.score)

    async def _with_gaps_filled(self, owner: Owner, chunks: Sequence[DocumentChunk]) -> list[DocumentChunk]:
        first, last = chunks[0], chunks[-1]
        every = await self._vectors.chunks(owner, first.file_id)
        filled = [each for each in every if first.index <= each.index <= last.index and each.page == first.page]
        return filled or list(chunks)


def create(services: ToolServices) -> RagRetriever:
    embedder, vectors, documents = services.embedder, services.vectors, services.documents
    if services.collections is None:
        return RagRetriever(embedder, vectors, documents)
    finder = CollectionSearch(services.collections, documents, vectors, embedder)
    return RagRetriever(embedder, vectors, documents, finder)


def _nothing(text: str) -> ToolResult:
    return ToolResult(text, data={"hits": []})


def _nothing_in(named: Sequence[str] | None) -> ToolResult:
    where = "the named documents" if named else "the user's documents"
    return _nothing(f"Nothing relevant was found in {where}.")


def _whole(found: Found) -> _Passage:
    return _Passage(found.chunk, found.chunk.index, found.chunk.text, found.score)


def _names(documents: Sequence[str]) -> ToolResult:
    """The names alone; no passage is cited for them."""
    names = list(dict.fromkeys(documents))
    lines = [f"- {' '.join(name.split())}" for name in names[:MAX_LISTED]]
    if len(names) > MAX_LISTED:
        lines.append(f"- … +{len(names) - MAX_LISTED}")
    return ToolResult("\n".join(lines), data={"documents": names[:MAX_LISTED]})


def _is_relevant(hit: Hit) -> bool:
    return hit.parts.get("dense", 1.0) >= RELEVANT_COSINE or hit.parts.get("lexical", 0.0) > 0


def _matching(documents: Sequence[Document], name: str) -> list[Document]:
    """The documents that a name or an id means: exactly, else without regard to case, else without extension."""
    folded = name.casefold()
    return (
        [each for each in documents if name in (each.file_id, each.filename)]
        or [each for each in documents if each.filename.casefold() == folded]
        or [each for each in documents if each.filename.casefold().rsplit(".", 1)[0] == folded]
    )


def _listed(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    shown = ", ".join(distinct[:MAX_NAMES])
    return shown if len(distinct) <= MAX_NAMES else f"{shown} and {len(distinct) - MAX_NAMES} more"


def _neighbours(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Hits of one page that lie close together, in the order of the page; each hit is in one group."""
    groups: list[list[Hit]] = []
    order = sorted(hits, key=lambda hit: (hit.chunk.file_id, hit.chunk.page or 0, hit.chunk.index))
    for hit in order:
        last = groups[-1] if groups else None
        if (
            last is not None
            and (last[-1].chunk.file_id, last[-1].chunk.page) == (hit.chunk.file_id, hit.chunk.page)
            and hit.chunk.index - last[-1].chunk.index <= LARGEST_GAP
            and hit.chunk.index - last[0].chunk.index < MAX_JOINED
        ):
            last.append(hit)
        else:
            groups.append([hit])
    return groups


def _joined(texts: Iterable[str]) -> str:
    """Texts one after another, what the end of one and the beginning of the next have in common written once."""
    whole = ""
    for text in texts:
        shared = _overlap(whole, text)
        whole += text[shared:] if shared or not whole else "\n" + text
    return whole


def _overlap(left: str, right: str) -> int:
    """Length of the longest end of `left` that begins `right`; 0 when it is too short to be one."""
    for length in range(min(len(left), len(right), MAX_OVERLAP), MIN_OVERLAP - 1, -1):
        if left.endswith(right[:length]):
            return length
    return 0


def _result(passages: Sequence[_Passage], scope: Scope | None = None) -> ToolResult:
    """With a scope, the attributes that its collections give each file are told too."""
    sources = tuple(_source(passage) for passage in passages)
    found = "1 passage" if len(sources) == 1 else f"{len(sources)} passages"
    names = _listed([passage.first.filename for passage in passages])
    hits: list[dict[str, Any]] = [
        {
            "file_id": source.file_id,
            "filename": source.filename,
            "page": source.page,
            "score": source.score,
            "text": source.quote,
        }
        for source in sources
    ]
    if scope is not None:
        for hit in hits:
            hit["attributes"] = dict(scope.attributes.get(hit["file_id"], {}))
    return ToolResult(f"Found {found} in {names}.", data={"hits": hits}, sources=sources)


def _source(passage: _Passage) -> Source:
    chunk = passage.first
    view = f"/files/{quote(chunk.file_id, safe='')}/view"
    return Source(
        kind="document",
        title=chunk.filename if chunk.page is None else f"{chunk.filename}, p. {chunk.page}",
        quote=passage.text,
        url=view if chunk.page is None else f"{view}#page={chunk.page}",
        file_id=chunk.file_id,
        filename=chunk.filename,
        page=chunk.page,
        score=round(passage.score, 4),
    )
