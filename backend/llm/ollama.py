"""Ollama as a model provider: chooses a host, asks it, tries again where that is safe, and passes the events on."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from backend.llm.ollama_address import base_urls
from backend.llm.ollama_attempts import Attempts
from backend.llm.ollama_call import CONNECT_TIMEOUT_S, Call, connection_errors, new_session
from backend.llm.ollama_errors import (
    Reason,
    Resting,
    broken_off,
    error_for,
    model_not_found,
    not_ollama,
    reason_of,
    too_slow,
    unreachable,
)
from backend.llm.ollama_hosts import Host, choose_host
from backend.llm.ollama_library import Library
from backend.llm.ollama_logprobs import ScoredParser
from backend.llm.ollama_models import PROVIDER, Installed, full_name, seconds_of
from backend.llm.ollama_request import Defaults, keep_alive_of
from backend.llm.ollama_stream import AnswerParser
from backend.llm.ollama_tally import Tally, came_to_nothing, finished_of
from backend.llm.ollama_window import MIN_WINDOW, Windows
from backend.llm.port import ChatRequest, ModelInfo, ModelProvider, ModelServices
from backend.models.errors import HearthError, ModelNotFound, UpstreamCut
from backend.models.messages import Event

if TYPE_CHECKING:
    import aiohttp
    from ollama import AsyncClient

    from backend.config.settings import Settings

log = logging.getLogger("hearth.ollama")

REACHABLE_S = 1.4
READ_TIMEOUT_S = 10.0
PULL_SILENCE_S = 300.0
_ENVIRONMENT = ("OLLAMA_HOST", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

T = TypeVar("T")


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
        self._library = Library([host.url for host in self._hosts], OllamaPackage())
        self._windows = Windows()
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
        tally = Tally(request.step)
        call, events = await self._open(attempts)
        try:
            while True:
                for event in events:
                    yield event
                if call.parser.ending is None:
                    events = await call.next()
                    continue
                tally.add(call.parser, attempts.prepared.prompt_tokens, attempts.prepared.window)
                if not came_to_nothing(call.parser, request) or not attempts.ask_again_without_thinking():
                    break
                log.info("%s gave no answer, asked once more", request.model)
                call.close()
                call, events = await self._open(attempts)
            finished = finished_of(call.parser, request)
            yield tally.usage()
            yield finished
            await call.drain()
        finally:
            call.close()

    async def _attempts(self, request: ChatRequest) -> Attempts:
        details = await self._library.details(request.model)
        name = full_name(details.info.id)
        if self._defaults.num_ctx is None and not self._windows.knows(name):
            # What it is loaded with now, perhaps by somebody else: to ask for less would load it anew.
            loaded = await self._library.loaded_window(details.hosts[0], details.info.id) if details.hosts else 0
            self._windows.worked(name, loaded if loaded >= MIN_WINDOW else 0)
        return Attempts(request, details, self._defaults, self._windows.at_least(name), self._windows.at_most(name))

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
            wait_s = attempts.after(last)
            if attempts.too_large is not None:
                self._windows.too_large(full_name(attempts.details.info.id), attempts.too_large)
            await asyncio.sleep(wait_s)

    async def _begin(self, attempts: Attempts) -> tuple[Call, list[Event]]:
        details, session = attempts.details, await self._open_session()
        name = full_name(details.info.id)
        host = choose_host(self._hosts, details.hosts, attempts.tried)
        slot = await host.acquire(self._first_s, blamed=host.url in attempts.tried)
        attempts.tried.append(host.url)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(slot.release)
            # The window may have grown while this request was waiting.
            attempts.raise_window(self._windows.at_least(name))
            prepared = attempts.prepared
            scored = attempts.request.logprobs is not None
            parser = (ScoredParser if scored else AnswerParser)(attempts.expected())
            call = Call(host.url, details.info.id, parser, slot, self._first_s, self._gap_s)
            on_failure.callback(call.close)
            with self._windows.asking(name, prepared.window):
                await call.start(session, prepared.encoded(), prepared.path)
                events = await call.next()
            on_failure.pop_all()
        # Only a window that worked is kept: one that was too large for the memory must not stay.
        self._windows.worked(name, prepared.window)
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


class OllamaPackage:
    """List, show, ps and pull through the `ollama` package; it is imported on the first question."""

    def __init__(self) -> None:
        self._package: ModuleType | None = None
        self._clients: dict[tuple[str, float], AsyncClient] = {}

    async def list(self, url: str) -> Sequence[Installed]:
        answer = await self._ask(url, "", lambda client: client.list())
        return [
            Installed(
                name=each.model,
                family=(each.details.family or "") if each.details else "",
                created=seconds_of(each.modified_at),
                size=int(each.size or 0),
            )
            for each in (answer.models if answer is not None else ())
            if each.model
        ]

    async def loaded(self, url: str) -> dict[str, int]:
        answer = await self._ask(url, "", lambda client: client.ps())
        models = answer.models if answer is not None else ()
        return {each.model or each.name or "": each.context_length or 0 for each in models}

    async def show(self, url: str, name: str) -> dict[str, Any]:
        answer = await self._ask(url, name, lambda client: client.show(name))
        if answer is None:
            return {}
        return {
            "capabilities": answer.capabilities,
            "model_info": answer.modelinfo,
            "template": answer.template,
            "family": answer.details.family if answer.details else None,
        }

    async def pull(self, url: str, model: str) -> AsyncGenerator[dict[str, Any], None]:
        client = await self._client(url, PULL_SILENCE_S)
        status = None
        async with contextlib.aclosing(await client.pull(model, stream=True)) as steps:  # type: ignore[type-var]
            while (step := await self._translated(url, model, anext(steps, None))) is not None:
                status = step.status
                yield {
                    "status": status or "",
                    "digest": step.digest,
                    "total": step.total,
                    "completed": step.completed,
                }
        if status != "success":
            raise UpstreamCut(f"The download of {model[:100]!r} broke off: pull it again, it goes on where it stopped.")

    async def _ask(self, url: str, model: str, question: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
        client = await self._client(url, READ_TIMEOUT_S)
        return await self._translated(url, model, question(client))

    async def _translated(self, url: str, model: str, answer: Awaitable[T]) -> T | None:
        """The answer, or a member of the error tree. None when the server says `null` where a list belongs."""
        import httpx
        from ollama import ResponseError
        from pydantic import ValidationError

        try:
            return await answer
        except ResponseError as error:
            log.info("%s answered %d: %r", url, error.status_code, str(error.error)[:300])
            raise _refused(error.status_code, error.error, model) from None
        except httpx.TimeoutException as error:
            log.info("%s: %r", url, error)
            refused = isinstance(error, httpx.ConnectTimeout)
            raise (unreachable() if refused else too_slow(False, READ_TIMEOUT_S)) from None
        except (httpx.ConnectError, ConnectionError) as error:
            log.info("%s: %r", url, error)
            raise unreachable() from None
        except httpx.HTTPError as error:
            log.info("%s: %r", url, error)
            raise broken_off() from None
        except ValidationError as error:
            if all(each["input"] is None or each["type"] == "missing" for each in error.errors()):
                return None
            log.warning("%s answered in an unknown shape: %s", url, error.errors()[0]["msg"])
            raise not_ollama() from None
        except (ValueError, TypeError, AttributeError) as error:
            # What the package does with a body that is no JSON object.
            log.warning("%s did not answer with JSON: %r", url, error)
            raise not_ollama() from None

    async def _client(self, url: str, silence_s: float) -> AsyncClient:
        """A client that waits at most `silence_s` seconds for the next byte."""
        if self._package is None:
            self._package = await asyncio.to_thread(import_package)
        key = (url, silence_s)
        if key not in self._clients:
            self._clients[key] = self._package.AsyncClient(
                host=url,
                timeout=(CONNECT_TIMEOUT_S, silence_s, silence_s, CONNECT_TIMEOUT_S),
                trust_env=False,
                follow_redirects=False,
                # Plain http has no certificates to check, and loading them costs 30 ms.
                verify=url.startswith("https:"),
            )
        return self._clients[key]

    async def aclose(self) -> None:
        clients, self._clients = [*self._clients.values()], {}
        for client in clients:
            await client.close()  # type: ignore[no-untyped-call]


def _refused(status: int, value: Any, model: str) -> HearthError:
    """`status` is -1 for an error line after the first byte, which only pull sends."""
    reason = reason_of(value)
    text = reason.text.lower()
    missing = "not found" in text or "not exist" in text
    if status == -1 and missing:
        return ModelNotFound(f"There is no model named {model[:100]!r} to pull: check its spelling.", param="model")
    if reason.text.lstrip().startswith("<") or (status == 404 and not missing):
        reason = Reason(reason.text, plain=True)
    return error_for(500 if status < 100 else status, reason, model)


def import_package() -> ModuleType:
    """Import `ollama`, which at once builds a client from the environment and would fail on several addresses there."""
    with _without_environment(_ENVIRONMENT):
        return importlib.import_module("ollama")


@contextlib.contextmanager
def _without_environment(names: Sequence[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
