"""`rag_retrieval`: passages of the user's own documents that answer a query, with file, place and score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from backend.embeddings.port import OneEmbedder
from backend.models.errors import NotFound
from backend.models.run import RunContext
from backend.models.tools import Proposal, ToolResult
from backend.storage.document_store import DocumentStore
from backend.tools.collection_search import names_of
from backend.tools.port import BaseTool, ToolServices
from backend.tools.rag_cues import (
    MAX_CHARS,
    asks_for_a_fact_of_documents,
    asks_for_names,
    may_be_answered_by_documents,
    mentions_documents,
    named_documents,
)
from backend.tools.retrieval import Found, Retriever
from backend.tools.retrieval_filters import Narrowing, listed, moment_of
from backend.tools.retrieval_passages import hit_of, source_of

MAX_LISTED = 100
"""Names told when the question is which documents there are."""


def _as_list(value: Any) -> Any:
    """Models send one name as text, and nothing as an empty list or text."""
    if isinstance(value, str):
        return [value] if value.strip() and not value.lstrip().startswith("[") else value.strip() or None
    return value or None


def _as_date(value: Any) -> Any:
    """Nothing comes as an empty text, and a year as a number."""
    if isinstance(value, int) and not isinstance(value, bool) and 1970 <= value <= 9999:
        return f"{value}-01-01"
    return value or None


Names = Annotated[list[Annotated[str, StringConstraints(max_length=300)]] | None, BeforeValidator(_as_list)]
Date = Annotated[Annotated[str, StringConstraints(max_length=40)] | None, BeforeValidator(_as_date)]


class Arguments(BaseModel):
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="What to look for, in the words a document would use."
    )
    top_k: int = Field(default=5, ge=1, le=20, description="How many passages at most.")
    files: Names = Field(
        default=None, description="Only these documents, by file name or id; leave out to search all of them."
    )
    types: Names = Field(default=None, description="Only these kinds of file, e.g. pdf or xlsx; usually left out.")
    after: Date = Field(default=None, description="Only files uploaded since this date, e.g. 2026-03-31.")
    before: Date = Field(default=None, description="Only files uploaded before this date.")


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

    def __init__(self, retriever: Retriever, documents: DocumentStore) -> None:
        self._retriever = retriever
        self._documents = documents

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data` is {"hits": [{file_id, filename, page, …, score, parts, text, url}], "query"}, best first. Failing to
        find is no error. Raises NotFound or InvalidRequest for a collection that is gone or has expired."""
        wanted = _narrowing(arguments, context)
        if context.documents and not wanted.picks and asks_for_names(arguments.query):
            return _names(await self._known(context, wanted))
        limit = context.search.max_results or arguments.top_k
        try:
            found = await self._retriever.search(
                context.owner, arguments.query[:MAX_CHARS], limit, wanted, earlier=context.earlier
            )
        except NotFound as error:
            if error.param != "files":
                raise
            return ToolResult("", error=error.message)
        if found.passages:
            return _result(found)
        if found.empty and not wanted.picks:
            return _nothing("The user has no documents that are ready to be searched; they can upload some.", found)
        where = "the documents that were asked for" if wanted.picks else "the user's documents"
        return _nothing(f"Nothing relevant was found in {where}.", found)

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

    async def _known(self, context: RunContext, wanted: Narrowing) -> Sequence[str]:
        scope = await self._retriever.picker.allowed(context.owner, wanted)
        return context.documents if scope is None else await names_of(self._documents, context.owner, scope)


def create(services: ToolServices) -> RagRetriever:
    retriever = services.retriever or Retriever(
        services.embedders or OneEmbedder(services.embedder),
        services.vectors,
        services.documents,
        services.collections,
    )
    return RagRetriever(retriever, services.documents)


def _narrowing(arguments: Arguments, context: RunContext) -> Narrowing:
    return Narrowing(
        files=tuple(arguments.files or ()),
        collections=context.collections,
        types=tuple(arguments.types or ()),
        after=None if arguments.after is None else moment_of(arguments.after, "after"),
        before=None if arguments.before is None else moment_of(arguments.before, "before"),
        only=context.files,
        limits=context.search,
    )


def _nothing(text: str, found: Found) -> ToolResult:
    return ToolResult(text, data={"hits": [], "query": found.query})


def _names(documents: Sequence[str]) -> ToolResult:
    """The names alone; no passage is cited for them."""
    names = list(dict.fromkeys(documents))
    lines = [f"- {' '.join(name.split())}" for name in names[:MAX_LISTED]]
    if len(names) > MAX_LISTED:
        lines.append(f"- … +{len(names) - MAX_LISTED}")
    return ToolResult("\n".join(lines), data={"documents": names[:MAX_LISTED]})


def _result(found: Found) -> ToolResult:
    """With a scope, the attributes that its collections give each file are told too."""
    sources = tuple(source_of(passage) for passage in found.passages)
    number = "1 passage" if len(sources) == 1 else f"{len(sources)} passages"
    names = listed([passage.chunk.filename for passage in found.passages])
    hits: list[dict[str, Any]] = [hit_of(passage) for passage in found.passages]
    if found.scope is not None:
        for hit, passage in zip(hits, found.passages, strict=True):
            hit["attributes"] = dict(passage.attributes)
    text = f"Found {number} in {names}. {found.note}".strip()
    return ToolResult(text, data={"hits": hits, "query": found.query}, sources=sources)
