"""The port every tool implements, and what a tool may use.

A tool is one file in this folder: a class, and `create(services)` that returns an instance or
`Unavailable(reason)`. Nothing else is edited. A file whose tools are known only at run time has
`create_source(services)` instead, which returns a ToolSource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from backend.models.run import Owner, RunContext
from backend.models.tools import Proposal, ToolResult

if TYPE_CHECKING:
    from pydantic import BaseModel

    from backend.config.settings import Settings
    from backend.embeddings.port import Embedder, Embedders
    from backend.storage.artifact_store import ArtifactStore
    from backend.storage.collection_store import CollectionStore
    from backend.storage.document_store import DocumentStore
    from backend.storage.table_store import TableStore
    from backend.storage.user_store import UserStore
    from backend.tools.retrieval import Retriever
    from backend.vector_store.port import VectorStore
    from backend.workers.port import Worker
    from backend.workers.sandbox_port import Sandbox


@dataclass(frozen=True, slots=True)
class ToolServices:
    """Everything a tool may reach. A tool that needs a key reads it from `settings` in `create`."""

    settings: Settings
    worker: Worker
    embedder: Embedder
    vectors: VectorStore
    documents: DocumentStore
    artifacts: ArtifactStore
    tables: TableStore | None = None
    users: UserStore | None = None
    """For turning a configured user name into an id; None where there are no accounts."""
    sandbox: Sandbox | None = None
    """Where code that nobody here wrote may run; None where there is none at all."""
    collections: CollectionStore | None = None
    embedders: Embedders | None = None
    """For searching an index that another embedder made; None where there is but the one."""
    retriever: Retriever | None = None
    """The search in documents; a tool that needs it makes its own where there is none."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A tool that cannot work here. `reason` tells the operator what to do; `name` how it would be called."""

    name: str
    description: str
    reason: str
    allows: Callable[[Owner], bool] | None = None
    """Who may know of it; None means everybody."""


class Tool(Protocol):
    """See Tool-specific attributes; `propose` may be left out (use BaseTool)."""

    name: str
    """snake_case, distinctive, at most 64 characters."""
    description: str
    """For the model: what it does, when to use it, when not. Two or three sentences."""
    Args: ClassVar[type[BaseModel]]
    """The arguments; field descriptions are shown to the model."""
    parameters: Mapping[str, Any] | None
    """The argument schema where it is known only at run time; `run` is then given a dict that fits it, not Args."""
    timeout_s: float
    untrusted: bool
    """True when the result carries text that neither the user nor this server wrote (documents, web)."""
    outbound: bool
    """True when a call sends something off this machine, such as a search query."""
    needs_confirmation: bool
    """True when a call changes something elsewhere, or sends free text to a place nobody has vetted."""

    imported: bool
    """True for a tool of another server, which is not offered on to others."""
    server: str
    """Name of the server an imported tool comes from, as the operator has set it up; empty for our own."""
    server_url: str
    """That server's address; empty where it has none."""
    listed_name: str
    """What that server calls the tool; empty for our own."""

    def allows(self, owner: Owner) -> bool:
        """Whether this user may know of the tool and use it."""
        ...

    def addresses(self, arguments: Any) -> Sequence[str]:
        """URLs the model itself wrote into the arguments and the tool would visit; empty for nearly every tool."""
        ...

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        """Do it. `arguments` is an instance of Args, already validated. Failing is raising anything or `error`."""
        ...

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        """What this tool would be called with for a query, judged without a language model; empty if nothing."""
        ...

    async def aclose(self) -> None: ...


class BaseTool:
    """Defaults for the optional parts of a tool."""

    name: str = ""
    description: str = ""
    timeout_s: float = 30.0
    untrusted: bool = False
    outbound: bool = False
    needs_confirmation: bool = False
    parameters: Mapping[str, Any] | None = None
    imported: bool = False
    server: str = ""
    server_url: str = ""
    listed_name: str = ""

    def allows(self, owner: Owner) -> bool:
        return True

    def addresses(self, arguments: Any) -> Sequence[str]:
        return ()

    async def aclose(self) -> None:
        """Let go of connections and processes; called once when the server stops."""

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return ()


class ToolSource(Protocol):
    """Tools that come and go while the server runs. Making one opens nothing."""

    name: str

    async def reach(self, seconds: float) -> None:
        """Begin to reach what has not been reached, and wait for what has just been begun, at most so long."""
        ...

    def tools(self) -> Sequence[Tool]:
        """What can be called now."""
        ...

    def unavailable(self) -> Sequence[Unavailable]:
        """What was configured and cannot be called now, with the reason."""
        ...

    async def aclose(self) -> None: ...
