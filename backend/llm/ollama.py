"""Ollama as a model provider: chooses a host, asks it, tries again where that is safe, and passes the events on."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from backend.llm.ollama_address import base_urls
from backend.llm.ollama_attempts import Attempts
from backend.llm.ollama_call import Call, connection_errors, new_session
from backend.llm.ollama_errors import Resting, model_not_found, unreachable
from backend.llm.ollama_hosts import Host, choose_host
from backend.llm.ollama_library import Library
from backend.llm.ollama_models import PROVIDER, ModelDetails, full_name
from backend.llm.ollama_request import Defaults, keep_alive_of
from backend.llm.ollama_stream import AnswerParser
from backend.llm.ollama_window import MIN_WINDOW, text_tokens
from backend.llm.port import ChatRequest, ModelInfo, ModelProvider, ModelServices
from backend.models.errors import HearthError, ModelFault, ModelNotFound
from backend.models.messages import Event, Finished, Usage

if TYPE_CHECKING:
    import aiohttp

    from backend.config.settings import Settings

log = logging.getLogger("hearth.ollama")

REACHABLE_S = 1.4


def create(services: ModelServices) -> ModelProvider:
    """Raises SettingsError for an OLLAMA_HOST or OLLAMA_KEEP_ALIVE that cannot be understood."""
    return OllamaProvider(services.settings)


class OllamaProvider:
    """Serves the models of one or several Ollamas. Opens no connection before the first question."""

    name = PROVIDER

    def __init__(self, settings: Settings) -> None:
        self._defaults = Defaults(
            temperature=settings.ollama_temperature,
            top_p=settings.ollama_top_p,
            top_k=settings.ollama_top_k,
            keep_alive=keep_alive_of(settings.ollama_keep_alive),
            num_ctx=settings.ollama_num_ctx,
        )
        self._first_s = settings.ollama_timeout
        self._gap_s = settings.ollama_gap_timeout
        self._preferred = full_name(settings.ollama_model) if settings.ollama_model else ""
        self._hosts = [Host(url, settings.ollama_num_parallel) for url in base_urls(settings.ollama_host)]
        self._library = Library([host.url for host in self._hosts])
        self._windows: dict[str, int] = {}
        """The largest window each model has had: asking for less would make Ollama load it anew."""
        self._session: aiohttp.ClientSession | None = None

    # ---- models ---------------------------------------------------------------------------------

    async def list_models(self) -> list[ModelInfo]:
        """Chat models, OLLAMA_MODEL first, then in Ollama's own order. Raises UpstreamError."""
        models = [each.info for each in await self._library.all_details() if each.can("completion")]
        return sorted(models, key=lambda info: full_name(info.id) != self._preferred)

    async def embedding_models(self) -> list[ModelInfo]:
        """Models that make embeddings. Raises UpstreamError."""
        return [each.info for each in await self._library.all_details() if each.can("embedding")]

    async def describe(self, model: str) -> ModelInfo:
        return (await self._library.details(model)).info

    def pull(self, model: str) -> AsyncGenerator[dict[str, Any], None]:
        """Fetch a model; see Library.pull for what is yielded and raised."""
        return self._library.pull(model)

    async def loaded_context(self, model: str) -> int:
        """The window with which the model is loaded now, in tokens; 0 when it is not. Raises ModelNotFound."""
        details = await self._library.details(model)
        return max([await self._library.loaded_window(url, details.info.id) for url in details.hosts], default=0)

    async def version(self) -> str:
        """Of the first host that answers, e.g. `0.12.11`. Raises UpstreamUnreachable."""
        versions = await asyncio.gather(*(self._version(host.url) for host in self._hosts))
        for each in versions:
            if each:
                return each
        raise unreachable()

    async def reachable(self) -> bool:
        """Whether any host answers now, within 1.5 s."""
        return any(await asyncio.gather(*(self._version(host.url) for host in self._hosts)))

    async def _version(self, url: str) -> str:
        """Empty when there is no answer, or not Ollama's."""
        try:
            async with asyncio.timeout(REACHABLE_S):
                session = await self._open_session()
                async with session.get(f"{url}/api/version", allow_redirects=False) as response:
                    answer = orjson.loads(await response.read()) if response.status == 200 else {}
        except connection_errors() as error:
            log.debug("no version from %s: %r", url, error)
            return ""
        except ValueError:
            log.debug("no version from %s: not JSON", url)
            return ""
        return str(answer.get("version") or "") if isinstance(answer, dict) else ""

    # ---- answers --------------------------------------------------------------------------------

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See ModelProvider.stream. All attempts lie before the first event, but one: an answer that came to
        nothing but thinking is asked for once more without."""
        attempts = await self._attempts(request)
        tally = _Tally(request.step)
        call, events = await self._open(attempts)
        try:
            while True:
                for event in events:
                    yield event
                if call.parser.ending is None:
                    events = await call.next()
                    continue
                tally.add(call.parser, attempts.prepared.prompt_tokens)
                if not _came_to_nothing(call.parser, request) or not attempts.ask_again_without_thinking():
                    break
                log.info("%s gave no answer, asked once more", request.model)
                call.close()
                call, events = await self._open(attempts)
            finished = _finished(call.parser, request)
            yield tally.usage()
            yield finished
            await call.drain()
        finally:
            call.close()

    async def _attempts(self, request: ChatRequest) -> Attempts:
        details = await self._library.details(request.model)
        return Attempts(request, details, self._defaults, await self._largest_window(details))

    async def _largest_window(self, details: ModelDetails) -> int:
        """What this model has had from us, or has now from somebody else. Not below what is loaded costs no reload."""
        if self._defaults.num_ctx is not None:
            return 0
        name = full_name(details.info.id)
        if name not in self._windows:
            loaded = await self._library.loaded_window(details.hosts[0], details.info.id) if details.hosts else 0
            self._windows.setdefault(name, loaded if loaded >= MIN_WINDOW else 0)
        return self._windows[name]

    async def _open(self, attempts: Attempts) -> tuple[Call, list[Event]]:
        """A call with its first events in hand. Raises what ends the last attempt."""
        last: HearthError | None = None
        while True:
            try:
                return await self._begin(attempts)
            except Resting as error:
                raise last or error from None
            except ModelNotFound as error:
                self._library.forget(attempts.request.model)
                last = await self._naming_installed(error, attempts)
            except HearthError as error:
                last = error
            await asyncio.sleep(attempts.after(last))

    async def _begin(self, attempts: Attempts) -> tuple[Call, list[Event]]:
        prepared, details = attempts.prepared, attempts.details
        body = prepared.encoded()
        session = await self._open_session()
        host = choose_host(self._hosts, details.hosts, attempts.tried)
        slot = await host.acquire(self._first_s, blamed=host.url in attempts.tried)
        attempts.tried.append(host.url)
        parser = AnswerParser(attempts.expected())
        call = Call(host.url, details.info.id, parser, slot, self._first_s, self._gap_s)
        await call.start(session, body)
        events = await call.next()
        # Only a window that worked is kept: one that was too large for the memory must not stay.
        name = full_name(details.info.id)
        self._windows[name] = max(self._windows.get(name, 0), prepared.window)
        return call, events

    async def _naming_installed(self, error: ModelNotFound, attempts: Attempts) -> ModelNotFound:
        """The same error, naming what is installed now."""
        try:
            models = await self._library.installed()
        except HearthError:
            return error
        names = sorted({each.name for group in models.values() for each in group})
        return model_not_found(attempts.request.model, names)

    async def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            await asyncio.to_thread(importlib.import_module, "aiohttp")
            if self._session is None:
                self._session = new_session()
        return self._session

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await self._library.aclose()


@dataclass(slots=True)
class _Tally:
    """Tokens of a request, added up over its answers."""

    step: str
    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    estimated: bool = False

    def add(self, parser: AnswerParser, estimated_prompt: int) -> None:
        ending = parser.ending
        if ending is None:
            return
        size = parser.text_size + parser.thinking_size
        completion = ending.completion_tokens or text_tokens(size)
        self.prompt += ending.prompt_tokens or estimated_prompt
        self.completion += completion
        self.reasoning += round(completion * parser.thinking_size / size) if size else 0
        self.estimated = self.estimated or ending.prompt_tokens is None or ending.completion_tokens is None
        if ending.prompt_tokens is not None and estimated_prompt > 2000 and ending.prompt_tokens < estimated_prompt / 2:
            log.warning(
                "Ollama read %d tokens of a prompt of about %d: it may have dropped the rest",
                ending.prompt_tokens,
                estimated_prompt,
            )

    def usage(self) -> Usage:
        return Usage(self.prompt, self.completion, self.reasoning, self.step, self.estimated)


def _came_to_nothing(parser: AnswerParser, request: ChatRequest) -> bool:
    """Neither text nor calls. A stop sequence may be met at once, which is an answer, though an empty one."""
    if parser.text_size or (parser.ending is not None and parser.ending.calls_lost):
        return False
    return parser.thinking_size > 0 or not request.sampling.stop


def _finished(parser: AnswerParser, request: ChatRequest) -> Finished:
    """Raises ModelFault for an answer that came to nothing twice."""
    ending = parser.ending
    if ending is None or ending.reason == "length":
        lost = ending is not None and ending.calls_lost
        detail = "The answer reached its token limit inside a tool call, which was left out." if lost else None
        if not lost and not parser.text_size:
            detail = "The answer reached its token limit before any text."
        return Finished("length", detail)
    if _came_to_nothing(parser, request):
        raise ModelFault("The model gave no answer, also when asked again: reword the question or use another model.")
    return Finished("tool_calls" if parser.calls_made else "stop")
