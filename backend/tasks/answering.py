"""From a request to the stream that answers it: model, conversation, way, recording."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.config.settings import Settings
from backend.core.registry import AgentEntry
from backend.core.router import Router
from backend.core.toolbox import ToolRegistry
from backend.core.whole_document_cues import AGENT as DOCUMENTS
from backend.core.whole_document_cues import READER, asks_for_whole
from backend.llm.port import ChatRequest, Model, ResponseFormat, Sampling, ToolChoice
from backend.models.collections import ANYTHING, SearchLimits
from backend.models.conversations import StoredMessage
from backend.models.errors import InvalidRequest, NotFound, UnsupportedParameter
from backend.models.messages import Event, Message, Route
from backend.models.run import Budget, Owner, RunContext
from backend.models.tools import ToolSpec
from backend.storage.stores import Stores
from backend.tasks.attachments import Attachment, Attachments
from backend.tasks.chat_task import ChatTask
from backend.tasks.choices import side_by_side
from backend.tasks.limits import refuse_beyond_one_answer, refuse_pictures, refuse_unreadable, refuse_with_agent
from backend.tasks.live_runs import LiveRuns
from backend.tasks.model_catalog import ModelCatalog, Resolved
from backend.tasks.paused import PausedRun, Session, paused_run
from backend.tasks.recording import Recorder
from backend.tasks.smart_agent_task import SmartAgentTask
from backend.tasks.tools_only import TOOLS_ONLY
from backend.tasks.tracking import Tracking
from backend.tools.collection_search import names_in
from backend.tools.retrieval_query import earlier_turns
from backend.utils.untrusted import new_fence

SEARCHING_AGENT = "react"
"""Answers when the request itself says that something has to be searched."""
RETRIEVER = "rag_retrieval"
WEB_SEARCH = "web_search"
HISTORY_MESSAGES = 200
"""How many stored messages a continued session brings back; the provider trims them to the window."""


@dataclass(frozen=True, slots=True)
class Question:
    """A checked request, free of wire shapes. `agent` None or `auto`: decide for me."""

    model: str
    messages: tuple[Message, ...]
    agent: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reasoning_effort: str | None = None
    session_id: str | None = None
    session_holds: int | None = None
    """How many of the leading messages the named session holds already; None: told by what they are."""
    store: bool = True
    budget: Mapping[str, float | None] = field(default_factory=dict)
    """Limits of Budget by name; they only ever lower the server's."""
    enabled_tools: frozenset[str] | None = None
    """The server's tools this request may use; None means those the user has not switched off."""
    disabled_tools: frozenset[str] = frozenset()
    confirmed_tools: frozenset[str] = frozenset()
    """Tools whose calls the user has agreed to, where a tool asks for that."""
    files: frozenset[str] | None = None
    """Ids of the documents the run may search; None means all of the caller's."""
    collections: tuple[str, ...] = ()
    """Ids of collections to search instead of all documents."""
    chooses_collections: bool = False
    """The collections, none included, are the conversation's from now on; otherwise those it has count."""
    search: SearchLimits = ANYTHING
    """How a search of `collections` is narrowed."""
    streamed: bool = False
    """The caller reads the answer while it is written."""
    n: int = 1
    """How many answers; with more than one, `Answer.events` are OfChoice, and the first answer is the one kept."""
    logprobs: int | None = None
    """As in ChatRequest."""
    suffix: str | None = None
    """As in ChatRequest; for plain completions of one message."""
    attachments: tuple[Attachment, ...] = ()
    """Files of the messages."""
    keep_whole: bool = False
    """As in ChatRequest; an agent shortens what it collects all the same."""
    web_search: bool = False
    """The caller wants the web searched: an agent answers, and the tool has to be there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A run that has been prepared; nothing has happened until `events` is iterated. `model` names the weights."""

    context: RunContext
    model: str
    events: AsyncGenerator[Event, None]


@dataclass(frozen=True, slots=True)
class Answering:
    """Prepares runs. One instance serves the process; it holds no user's data."""

    settings: Settings
    stores: Stores
    catalog: ModelCatalog
    router: Router
    registry: ToolRegistry
    agents: Mapping[str, AgentEntry]
    live: LiveRuns
    attachments: Attachments

    async def prepare(self, owner: Owner, question: Question, request_id: str, base_url: str = "") -> Answer:
        """Check everything that can be checked before the first byte, and build the stream.

        Raises ModelNotFound, NotFound (session), InvalidRequest, UpstreamUnreachable.
        """
        resolved = await self.catalog.resolve(question.model)
        refuse_pictures(question.messages, resolved.info)
        paused = await paused_run(self.stores.runs, owner, question.messages) if question.agent != "chat" else None
        if paused is not None:
            refuse_beyond_one_answer(question)
        fixed = paused.agent if paused is not None else self._fixed_way(question, resolved)
        session = paused.session(question.store) if paused is not None else await self._session(owner, question)
        question = await self._with_choice(owner, question, session)
        context = await self._context(owner, session.id, request_id, base_url, question)
        if question.attachments:
            question, fixed = await self._with_files(context, question, resolved, fixed)
        if fixed not in ("plain", "chat"):
            context = await self._with_tools(context, question)
        if paused is not None:
            context = replace(context, run_id=paused.run_id, checkpoint=paused.checkpoint)
        messages = (*session.history, *question.messages)
        context = replace(context, earlier=earlier_turns(messages))
        tracking = self._tracking(context, resolved.info.id, session, messages, paused)
        task = self._task(question, resolved, fixed, tracking)
        events = task.run(messages, context)
        if session.id is not None:
            recorder = Recorder(
                self.stores.conversations,
                self.live,
                context,
                resolved.info.id,
                session.new,
                session.exists,
                question.collections if question.chooses_collections else None,
            )
            events = recorder.run(events)
        if question.n > 1 and isinstance(task, ChatTask):
            events = side_by_side([events, *(task.other(n).run(messages, context) for n in range(1, question.n))])
        return Answer(context, resolved.info.id, events)

    async def decide(self, owner: Owner, question: Question, request_id: str) -> Route:
        """The route a question would take; nothing is run or stored."""
        resolved = await self.catalog.resolve(question.model)
        context = await self._with_tools(await self._context(owner, None, request_id, "", question), question)
        task = self._task(question, resolved, self._fixed_way(question, resolved))
        if isinstance(task, ChatTask):
            return Route("chat", "chat", "The request is a plain completion.", 1.0)
        return await task.decide(question.messages, context)

    def _fixed_way(self, question: Question, resolved: Resolved) -> str | None:
        """The agent the request asks for, by its body or its model id; None when the router decides."""
        asked = question.agent if question.agent not in (None, "auto") else None
        if question.web_search and asked is None:
            asked = resolved.agent if question.agent is None and resolved.agent != "auto" else SEARCHING_AGENT
        if asked not in (None, "chat") and asked not in self.agents:
            ways = ", ".join(["auto", "chat", *self.agents])
            raise InvalidRequest(f"There is no agent {str(asked)[:64]!r}: use one of {ways}.", param="agent")
        if asked not in (None, "chat"):
            refuse_with_agent(question, resolved.info)
        elif question.web_search:
            raise UnsupportedParameter(
                "A plain completion searches nothing: leave out web_search_options, or name another agent.",
                param="web_search_options",
            )
        elif question.tools or question.response_format or question.logprobs is not None or question.n > 1:
            return "plain"
        if asked is None and question.agent is None and resolved.agent != "auto":
            return resolved.agent
        return asked

    def _tracking(
        self,
        context: RunContext,
        model: str,
        session: Session,
        messages: Sequence[Message],
        paused: PausedRun | None,
    ) -> Tracking:
        """What follows the run if an agent answers; it is stored where the exchange is."""
        runs = self.stores.runs if session.id is not None else None
        query = next((message.content for message in reversed(messages) if message.role == "user"), "")
        if paused is None:
            return Tracking(self.live, runs, context, model, query)
        return Tracking(self.live, runs, context, model, query, paused.trace, paused.results)

    def _task(
        self, question: Question, resolved: Resolved, fixed: str | None, tracking: Tracking | None = None
    ) -> ChatTask | SmartAgentTask:
        agent_chooses = fixed not in (None, "plain", "chat")
        request = ChatRequest(
            model=resolved.info.id,
            messages=(),
            tools=() if agent_chooses and question.tool_choice == "none" else question.tools,
            tool_choice=question.tool_choice,
            parallel_tool_calls=question.parallel_tool_calls,
            sampling=question.sampling,
            response_format=question.response_format,
            reasoning_effort=question.reasoning_effort,
            # An answer that has to be a call has no text whose tokens could be told.
            logprobs=question.logprobs if question.tool_choice in ("auto", "none") else None,
            suffix=question.suffix,
            keep_whole=question.keep_whole,
        )
        if fixed in ("plain", "chat"):
            return ChatTask(resolved.provider, request, question.streamed)
        model = Model(
            resolved.provider,
            resolved.info,
            question.sampling,
            question.reasoning_effort,
            question.parallel_tool_calls,
        )
        factories = {name: entry.create for name, entry in self.agents.items()}
        return SmartAgentTask(self.router, self.registry, factories, model, request, fixed, tracking)

    async def _context(
        self,
        owner: Owner,
        session_id: str | None,
        request_id: str,
        base_url: str,
        question: Question,
    ) -> RunContext:
        settings = self.settings
        budget = Budget(
            iterations=settings.max_agent_iterations,
            plan_rounds=settings.max_plan_rounds,
            seconds=settings.agent_timeout,
            tool_calls=settings.max_tool_calls,
            tokens=settings.max_run_tokens,
        ).lowered(question.budget)
        return RunContext(
            owner=owner,
            run_id=f"run_{uuid.uuid4().hex}",
            session_id=session_id,
            request_id=request_id,
            budget=budget,
            deadline=time.monotonic() + budget.seconds,
            base_url=base_url,
            fence=new_fence(),
        )

    async def _with_tools(self, context: RunContext, question: Question) -> RunContext:
        """The context of a run that may use tools: what the user has, and what the user allows.

        Raises InvalidRequest for a tool that does not exist.
        """
        await self.registry.reach()
        known = {*self.registry.of(context.owner), *self.registry.unavailable_of(context.owner)}
        for field_name in ("enabled_tools", "disabled_tools"):
            unknown = set(getattr(question, field_name) or ()) - known
            if unknown:
                named = ", ".join(sorted(name[:64] for name in unknown)[:5])
                raise InvalidRequest(
                    f"There is no tool named {named}: GET /api/tools lists them.",
                    param=field_name,
                    code="invalid_value",
                )
        preferences = await self.stores.preferences.get(context.owner)
        wanted = known if question.enabled_tools is None else question.enabled_tools
        allowed = frozenset(wanted) - preferences.disabled_tools - question.disabled_tools
        if question.web_search and WEB_SEARCH not in allowed & self.registry.of(context.owner).keys():
            raise UnsupportedParameter(
                "The web cannot be searched here: leave out web_search_options, or have web_search switched on.",
                param="web_search_options",
            )
        return replace(
            context,
            documents=await self._names(context.owner, question),
            allowed_tools=allowed,
            confirmed_tools=question.confirmed_tools,
            files=question.files,
            collections=question.collections,
            search=question.search,
        )

    async def _names(self, owner: Owner, question: Question) -> tuple[str, ...]:
        """File names of the documents that the run may know of. Raises NotFound for a collection that is gone."""
        collections, documents = self.stores.collections, self.stores.documents
        return await names_in(
            collections, documents, owner, question.files, question.collections, question.search.wanted
        )

    async def _with_choice(self, owner: Owner, question: Question, session: Session) -> Question:
        """The question with the collections of its conversation, unless it names its own.

        Raises NotFound for a chosen collection that is not there, InvalidRequest for one that is gone since.
        """
        if question.chooses_collections:
            for collection_id in question.collections:
                await self.stores.collections.find(owner, collection_id)
            return question
        named = session.id if session.exists else question.session_id
        if question.collections or named is None:
            return question
        kept = (await self.stores.conversations.info(owner, named)).collections
        for collection_id in kept:
            try:
                await self.stores.collections.find(owner, collection_id)
            except NotFound:
                raise InvalidRequest(
                    "A collection that this conversation searches is gone or no longer shared: choose others.",
                    param="collections",
                    code="collection_gone",
                ) from None
        return replace(question, collections=kept)

    async def _with_files(
        self, context: RunContext, question: Question, resolved: Resolved, fixed: str | None
    ) -> tuple[Question, str | None]:
        """The question with what there is to read of its files, and its way: an agent's that searches the larger ones
        where one may. Raises NotFound, InvalidRequest, TooLarge, Conflict.
        """
        info, owner = resolved.info, context.owner
        allowed = (await self._with_tools(context, question)).allowed_tools or frozenset()
        may_search = fixed not in ("plain", "chat") and RETRIEVER in allowed & self.registry.of(owner).keys()
        if TOOLS_ONLY in info.capabilities:
            refuse_unreadable(question.attachments, may_search=may_search)
        files = await self.attachments.read(owner, question.attachments, info.context_length)
        if TOOLS_ONLY in info.capabilities:
            # It reads nothing by itself, so it searches the small ones too.
            wanted, messages = [str(each.attachment.file_id) for each in files], question.messages
        else:
            wanted = [str(each.attachment.file_id) for each in files if each.searchable and may_search]
            messages = await self.attachments.put_in(
                owner, question.messages, files, context.fence, searched=bool(wanted)
            )
        if wanted:
            names, query = [each.filename for each in files], question.messages[-1].content
            whole = READER in allowed & self.registry.of(owner).keys() and asks_for_whole(query, names)
            fixed = fixed or (DOCUMENTS if whole else SEARCHING_AGENT)
            question = replace(question, files=(question.files or frozenset()) | frozenset(wanted))
        return replace(question, messages=messages), fixed

    async def _session(self, owner: Owner, question: Question) -> Session:
        messages = question.messages
        if question.session_id is not None:
            session = await self._continued(owner, question.session_id, messages, question.session_holds)
            # Reading a conversation without adding to it: its history counts, this exchange is not kept.
            return session if question.store else replace(session, id=None)
        if not question.store:
            return Session(None, False, (), ())
        found = None
        past, fresh = split_at_last_turn(messages)
        if past:
            found = await self.stores.conversations.find_by_history(owner, past)
        if found is not None:
            return Session(found, True, (), fresh)
        return Session(uuid.uuid4().hex, False, (), _worth_storing(messages))

    async def _continued(
        self, owner: Owner, session_id: str, messages: tuple[Message, ...], holds: int | None
    ) -> Session:
        """A named session. A client that sends its whole history keeps it; one that sends only its newest turn
        gets the stored turns put before it."""
        await self.stores.conversations.info(owner, session_id)
        if holds is not None:
            return Session(session_id, True, (), _worth_storing(messages[holds:]))
        past, fresh = split_at_last_turn(messages)
        if any(message.role == "assistant" for message in past):
            return Session(session_id, True, (), fresh)
        tail = await self.stores.conversations.tail(owner, session_id, HISTORY_MESSAGES)
        return Session(session_id, True, from_stored(tail), _worth_storing(messages))


def split_at_last_turn(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Everything up to the last assistant turn that is an answer, and what came after it."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant" and not messages[index].tool_calls:
            return tuple(messages[: index + 1]), _worth_storing(messages[index + 1 :])
    return (), _worth_storing(messages)


def _worth_storing(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Without system messages: they are the client's, and come again with its next request."""
    return tuple(message for message in messages if message.role != "system")


def from_stored(messages: Sequence[StoredMessage]) -> tuple[Message, ...]:
    """Stored user and assistant turns as messages for a model. Tool traffic of earlier turns is not replayed."""
    return tuple(
        Message(message.role, message.content)
        for message in messages
        if message.role in ("user", "assistant") and message.content
    )
