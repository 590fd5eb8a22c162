"""The models Ollama has: list, show and pull, through the `ollama` package."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from backend.llm.ollama_call import CONNECT_TIMEOUT_S
from backend.llm.ollama_errors import (
    Reason,
    broken_off,
    error_for,
    model_not_found,
    not_ollama,
    reason_of,
    too_slow,
    unreachable,
)
from backend.llm.ollama_models import Installed, ModelDetails, details_from, full_name, seconds_of
from backend.models.errors import HearthError, InvalidRequest, ModelNotFound, UpstreamCut, UpstreamError

if TYPE_CHECKING:
    from ollama import AsyncClient

log = logging.getLogger("hearth.ollama")

LIST_TTL_S = 5.0
FRESH_S = 1.0
"""A list this young is believed when it lacks a model."""
FAILURE_TTL_S = 2.0
DETAILS_TTL_S = 60.0
READ_TIMEOUT_S = 10.0
PULL_SILENCE_S = 300.0
SHOW_AT_ONCE = 8
_ENVIRONMENT = ("OLLAMA_HOST", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

T = TypeVar("T")


class Library:
    """What is installed on each host, remembered for a short while. Opens nothing before the first question.

    Args:
        urls: base URLs of the hosts, in order of preference.
    """

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._urls = tuple(urls)
        self._clock = clock
        self._clients: dict[tuple[str, float], AsyncClient] = {}
        self._package: ModuleType | None = None
        self._lists: dict[str, tuple[float, list[Installed] | HearthError]] = {}
        self._details: dict[str, tuple[float, ModelDetails]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._listed_at = 0.0

    async def installed(self) -> dict[str, list[Installed]]:
        """The models of each host that answers, in Ollama's order. Raises UpstreamError when none does."""
        answers = await asyncio.gather(*(self._list(url) for url in self._urls))
        found = {url: each for url, each in zip(self._urls, answers, strict=True) if isinstance(each, list)}
        if not found:
            raise next(each for each in answers if isinstance(each, HearthError))
        return found

    async def details(self, model: str) -> ModelDetails:
        """One model, `m` being `m:latest` and case not mattering. Raises ModelNotFound, UpstreamError."""
        name = full_name(model)
        known = self._details.get(name)
        if known is not None and known[0] > self._clock():
            return known[1]
        async with self._one_at_a_time(name):
            known = self._details.get(name)
            if known is not None and known[0] > self._clock():
                return known[1]
            made = await self._fetch_details(model)
            self._details[name] = (self._clock() + DETAILS_TTL_S, made)
            return made

    async def all_details(self) -> list[ModelDetails]:
        """Every installed model once; one that cannot be described is kept with what the list says."""
        models = {full_name(each.name): each for group in (await self.installed()).values() for each in group}
        gate = asyncio.Semaphore(SHOW_AT_ONCE)

        async def describe(each: Installed) -> ModelDetails:
            async with gate:
                try:
                    return await self.details(each.name)
                except (UpstreamError, ModelNotFound, InvalidRequest) as error:
                    log.info("%s cannot be described: %s", each.name, error.message)
                    return details_from(each, {}, ())

        return list(await asyncio.gather(*(describe(each) for each in models.values())))

    async def loaded_window(self, url: str, model: str) -> int:
        """The context window with which a host has the model loaded now, 0 when it has not or does not say."""
        try:
            answer = await self._ask(url, model, lambda client: client.ps())
        except HearthError:
            return 0
        for each in answer.models:
            if full_name(each.model or each.name or "") == full_name(model):
                return each.context_length or 0
        return 0

    async def pull(self, model: str) -> AsyncGenerator[dict[str, Any], None]:
        """Fetch a model onto every host that answers; yields `{status, digest, total, completed}` (bytes, may be None).

        Raises ModelNotFound for a name nobody knows, UpstreamError; UpstreamCut when it stops before the end.
        """
        urls = list(await self.installed())
        for url in urls:
            async with contextlib.aclosing(self._pull(url, model)) as steps:
                async for step in steps:
                    yield step
        self.forget()

    def forget(self, model: str | None = None) -> None:
        """Ask anew next time, about one model or everything."""
        self._lists.clear()
        if model is None:
            self._details.clear()
        else:
            self._details.pop(full_name(model), None)

    async def aclose(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()  # type: ignore[no-untyped-call]

    # ---- asking ---------------------------------------------------------------------------------

    async def _list(self, url: str) -> list[Installed] | HearthError:
        async with self._one_at_a_time(url):
            known = self._lists.get(url)
            if known is not None and known[0] > self._clock():
                return known[1]
            result: list[Installed] | HearthError
            try:
                result = await self._fetch_list(url)
            except HearthError as error:
                result = error
            lifetime = LIST_TTL_S if isinstance(result, list) else FAILURE_TTL_S
            self._lists[url] = (self._clock() + lifetime, result)
            return result

    async def _fetch_list(self, url: str) -> list[Installed]:
        answer = await self._ask(url, "", lambda client: client.list())
        self._listed_at = self._clock()
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

    async def _fetch_details(self, model: str) -> ModelDetails:
        name = full_name(model)
        lists, having = await self._having(name)
        if not having and self._clock() - self._listed_at > FRESH_S:
            # It may have been pulled since by another program.
            self._lists.clear()
            lists, having = await self._having(name)
        if not having:
            names = sorted({each.name for group in lists.values() for each in group})
            raise model_not_found(model, names)
        failure: HearthError = unreachable()
        for url, each in having.items():
            try:
                show = await self._show(url, each.name)
            except HearthError as error:
                failure = error
                continue
            return details_from(each, show, tuple(having))
        raise failure

    async def _having(self, name: str) -> tuple[dict[str, list[Installed]], dict[str, Installed]]:
        """All lists, and of each host that has the model its line."""
        lists = await self.installed()
        return lists, {url: each for url, group in lists.items() for each in group if full_name(each.name) == name}

    async def _show(self, url: str, name: str) -> dict[str, Any]:
        answer = await self._ask(url, name, lambda client: client.show(name))
        if answer is None:
            return {}
        return {
            "capabilities": answer.capabilities,
            "model_info": answer.modelinfo,
            "template": answer.template,
            "family": answer.details.family if answer.details else None,
        }

    async def _pull(self, url: str, model: str) -> AsyncGenerator[dict[str, Any], None]:
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
            self._package = await asyncio.to_thread(_import_package)
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

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self, key: str) -> AsyncIterator[None]:
        """Many requests with one question ask it once; the others find the answer remembered."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._locks.pop(key, None)


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


def _import_package() -> ModuleType:
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
