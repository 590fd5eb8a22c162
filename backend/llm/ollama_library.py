"""What is installed on each host, and what each model can do: asked when needed, remembered for a short while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from backend.llm.ollama_errors import model_not_found, unreachable
from backend.llm.ollama_models import Installed, ModelDetails, details_from, full_name
from backend.models.errors import HearthError, InvalidRequest, ModelNotFound, UpstreamError

log = logging.getLogger("hearth.ollama")

LIST_TTL_S = 5.0
FRESH_S = 1.0
"""A list this young is believed when it lacks a model."""
FAILURE_TTL_S = 2.0
DETAILS_TTL_S = 60.0
LISTED_TTL_S = 3600.0
"""A list believes a description for so long while the model's file is the same, so that it waits for no host that is
slow to describe."""
SHOW_AT_ONCE = 8


class Questions(Protocol):
    """What may be asked of one host, named by its base URL. All raise members of the error tree."""

    async def list(self, url: str) -> Sequence[Installed]: ...

    async def show(self, url: str, name: str) -> Mapping[str, Any]:
        """See ollama_models.details_from for the keys; {} when the host says nothing."""
        ...

    async def loaded(self, url: str) -> Mapping[str, int]:
        """The context window of each loaded model, 0 when the host does not say."""
        ...

    def pull(self, url: str, model: str) -> AsyncGenerator[dict[str, Any], None]: ...

    async def aclose(self) -> None: ...


class Library:
    """What is installed on each host, remembered for a short while. Opens nothing before the first question.

    Args:
        urls: base URLs of the hosts, in order of preference.
    """

    def __init__(self, urls: Sequence[str], questions: Questions, clock: Callable[[], float] = time.monotonic) -> None:
        self._urls = tuple(urls)
        self._ask = questions
        self._clock = clock
        self._lists: dict[str, tuple[float, list[Installed] | HearthError]] = {}
        self._details: dict[str, tuple[float, ModelDetails]] = {}
        self._listed: dict[str, tuple[float, Installed, ModelDetails]] = {}
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
            name = full_name(each.name)
            known = self._listed.get(name)
            if known is not None and known[0] > self._clock() and known[1] == each:
                return known[2]
            async with gate:
                try:
                    made, lifetime = await self.details(each.name), LISTED_TTL_S
                except (UpstreamError, ModelNotFound, InvalidRequest) as error:
                    log.info("%s cannot be described: %s", each.name, error.message)
                    made, lifetime = details_from(each, {}, ()), DETAILS_TTL_S
            self._listed[name] = (self._clock() + lifetime, each, made)
            return made

        return list(await asyncio.gather(*(describe(each) for each in models.values())))

    async def loaded_window(self, url: str, model: str) -> int:
        """The context window with which a host has the model loaded now, 0 when it has not or does not say."""
        try:
            loaded = await self._ask.loaded(url)
        except HearthError:
            return 0
        return max((window for name, window in loaded.items() if full_name(name) == full_name(model)), default=0)

    async def pull(self, model: str) -> AsyncGenerator[dict[str, Any], None]:
        """Fetch a model onto every host that answers; yields `{status, digest, total, completed}` (bytes, may be None).

        Raises ModelNotFound for a name nobody knows, UpstreamError; UpstreamCut when it stops before the end.
        """
        urls = list(await self.installed())
        for url in urls:
            async with contextlib.aclosing(self._ask.pull(url, model)) as steps:
                async for step in steps:
                    yield step
        self.forget()

    def forget(self, model: str | None = None) -> None:
        """Ask anew next time, about one model or everything."""
        self._lists.clear()
        if model is None:
            self._details.clear()
            self._listed.clear()
        else:
            self._details.pop(full_name(model), None)
            self._listed.pop(full_name(model), None)

    async def aclose(self) -> None:
        await self._ask.aclose()

    # ---- asking ---------------------------------------------------------------------------------

    async def _list(self, url: str) -> list[Installed] | HearthError:
        async with self._one_at_a_time(url):
            known = self._lists.get(url)
            if known is not None and known[0] > self._clock():
                return known[1]
            result: list[Installed] | HearthError
            try:
                result = list(await self._ask.list(url))
                self._listed_at = self._clock()
            except HearthError as error:
                result = error
            lifetime = LIST_TTL_S if isinstance(result, list) else FAILURE_TTL_S
            self._lists[url] = (self._clock() + lifetime, result)
            return result

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
                show = await self._ask.show(url, each.name)
            except HearthError as error:
                failure = error
                continue
            return details_from(each, show, tuple(having))
        raise failure

    async def _having(self, name: str) -> tuple[dict[str, list[Installed]], dict[str, Installed]]:
        """All lists, and of each host that has the model its line."""
        lists = await self.installed()
        return lists, {url: each for url, group in lists.items() for each in group if full_name(each.name) == name}

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
