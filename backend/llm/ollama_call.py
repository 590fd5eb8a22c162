"""One request to one Ollama: send it, read its answer within the limits on silence, close it at once when asked."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from backend.llm.ollama_errors import (
    broken_off,
    counts_against_host,
    error_for,
    not_ollama,
    retry_after_of,
    too_slow,
    unreachable,
    unwrap,
)
from backend.llm.ollama_hosts import Slot
from backend.llm.ollama_stream import AnswerParser
from backend.models.errors import HearthError
from backend.models.messages import Event

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("hearth.ollama")

CONNECT_TIMEOUT_S = 3.0
HOLD_S = 0.2
"""How long text may be held back for a closing tag that may never come."""
DRAIN_S = 0.05
"""How long the end of the body is awaited after the final line, so that the connection can be used again."""
REFUSAL_S = 5.0
"""How long the text of an error is awaited."""
MAX_ERROR_BYTES = 65_536
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/x-ndjson",
    # A proxy that compresses also collects tokens before it passes them on.
    "Accept-Encoding": "identity",
    "User-Agent": "hearth",
}


def new_session() -> aiohttp.ClientSession:
    """A session for the token path: as many connections as asked for, no proxies or credentials of the environment."""
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def connection_errors() -> tuple[type[Exception], ...]:
    """What a broken or timed-out connection raises."""
    import aiohttp

    return (aiohttp.ClientError, OSError)


class Call:
    """An open request. Whoever makes one closes it in the end; `close` may be called at any time and repeatedly."""

    __slots__ = (
        "_advanced_at",
        "_first_s",
        "_gap_s",
        "_loop",
        "_lost",
        "_response",
        "_slot",
        "_started",
        "_timed_out",
        "_timer",
        "_waiting",
        "model",
        "parser",
        "url",
    )

    def __init__(self, url: str, model: str, parser: AnswerParser, slot: Slot, first_s: float, gap_s: float) -> None:
        """`first_s`: longest wait for the first line; `gap_s`: for each further one, seconds."""
        self.url = url
        self.model = model
        self.parser = parser
        self._slot = slot
        self._first_s = first_s
        self._gap_s = gap_s
        self._loop = asyncio.get_running_loop()
        self._lost: tuple[type[Exception], ...] = (OSError,)
        self._advanced_at = self._loop.time()
        self._response: aiohttp.ClientResponse | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._timed_out = False
        self._waiting = True

    async def start(self, session: aiohttp.ClientSession, body: bytes, path: str = "/api/chat") -> None:
        """Send the request and wait for the head of the answer. Raises a member of the error tree, closed then."""
        import aiohttp

        self._lost = connection_errors()
        try:
            async with asyncio.timeout_at(self._advanced_at + self._first_s):
                response = await session.post(f"{self.url}{path}", data=body, headers=_HEADERS, allow_redirects=False)
                self._response = response
                if response.status != 200:
                    raise await self._refusal(response)
        except TimeoutError as error:
            refused = isinstance(error, aiohttp.ConnectionTimeoutError)
            raise self._failed(unreachable() if refused else too_slow(True, self._first_s), error) from None
        except (aiohttp.ClientConnectorError, ssl.SSLError) as error:
            raise self._failed(unreachable(), error) from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise self._failed(broken_off(), error) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise self._failed(not_ollama(), error) from None
        except HearthError as error:
            raise self._failed(error) from None
        self._timer = self._loop.call_at(self._advanced_at + self._first_s, self._check_silence)

    async def next(self) -> list[Event]:
        """The events of the next read that brings any; may be empty at the end, when `parser.ending` is set.

        Raises a member of the error tree, closed then.
        """
        parser, response = self.parser, self._response
        if parser.failure is not None:
            raise self._failed(parser.failure)
        if response is None:
            return []
        if self._started:
            self._advanced_at = self._loop.time()
        self._waiting = True
        try:
            while True:
                lines = parser.lines_read
                if parser.holding:
                    data = await self._read_held(response)
                else:
                    data = await response.content.readany()
                events = parser.release() if data is None else parser.feed(data) if data else parser.finish()
                if parser.lines_read != lines and not (events and self._started):
                    self._advance()
                if parser.ended:
                    self._slot.release(worked=True)
                if events or parser.ended:
                    return events
        except self._lost as error:
            raise self._failed(self._why_lost(), error) from None
        except HearthError as error:
            raise self._failed(error) from None
        finally:
            self._waiting = False

    async def _read_held(self, response: aiohttp.ClientResponse) -> bytes | None:
        """As `readany`, but None when nothing comes for a moment."""
        try:
            async with asyncio.timeout(HOLD_S):
                return await response.content.readany()
        except TimeoutError:
            return None

    def _why_lost(self) -> HearthError:
        if self._timed_out:
            return too_slow(not self._started, self._gap_s if self._started else self._first_s)
        return broken_off()

    def _advance(self) -> None:
        """A whole line has come: only that counts as progress, single bytes may trickle for ever."""
        self._advanced_at = self._loop.time()
        if not self._started:
            self._started = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = self._loop.call_at(self._advanced_at + self._gap_s, self._check_silence)

    def _check_silence(self) -> None:
        """Runs now and then instead of setting a timer for every token. Time the reader of the events takes is free."""
        now = self._loop.time()
        limit = self._gap_s if self._started else self._first_s
        due = self._advanced_at + limit if self._waiting else now + limit
        if now < due:
            self._timer = self._loop.call_at(due, self._check_silence)
            return
        self._timed_out = True
        if self._response is not None:
            self._response.close()

    async def _refusal(self, response: aiohttp.ClientResponse) -> HearthError:
        """The error that a status other than 200 stands for."""
        body = bytearray()
        try:
            async with asyncio.timeout(REFUSAL_S):
                while len(body) < MAX_ERROR_BYTES and (data := await response.content.readany()):
                    body += data
        except self._lost:
            log.info("%s: the error text of %s is incomplete", self.model, self.url)
        reason = unwrap(bytes(body))
        log.warning("%s: %s answered %d: %r", self.model, self.url, response.status, reason.text[:300])
        retry_after = retry_after_of(response.headers.get("Retry-After"))
        return error_for(response.status, reason, self.model, retry_after)

    def _failed(self, error: HearthError, cause: BaseException | None = None) -> HearthError:
        if cause is not None:
            log.warning("%s: request to %s failed: %r", self.model, self.url, cause)
        self.close(not counts_against_host(error))
        return error

    async def drain(self) -> None:
        """After the final line: read the end of the body, so that the connection goes back to the pool."""
        response = self._response
        if response is not None and not response.content.at_eof():
            try:
                async with asyncio.timeout(DRAIN_S):
                    while await response.content.readany():
                        pass
            except self._lost:
                log.debug("%s: no end of body after the final line", self.model)
        self.close()

    def close(self, worked: bool | None = None) -> None:
        """End the request: an unfinished answer's connection is closed, which makes Ollama stop generating."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        response, self._response = self._response, None
        if response is not None:
            # At the end of the body the connection is in the pool already and this closes nothing.
            response.close()
        self._slot.release(worked)
