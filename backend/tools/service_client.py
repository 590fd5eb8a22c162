"""Asking an outside service that the operator has named: JSON over HTTP with limits, one retry, and plain sentences.

For addresses that a user or a model wrote there is `web_fetch`, which checks where they lead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from backend import __version__
from backend.models.errors import ServiceFailed

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("hearth.services")

CONNECT_S = 5.0
MAX_RETRY_AFTER_S = 2.0
DEFAULT_RETRY_S = 0.3
MAX_BYTES = 4 * 1_048_576
RETRIED = frozenset({429, 502, 503, 504})


def user_agent(contact: str = "") -> str:
    """How Hearth names itself, e.g. `Hearth/0.1.0 (admin@example.org)`."""
    return f"Hearth/{__version__}" + (f" ({contact})" if contact else " (self-hosted agent server)")


class ServiceClient:
    """One service. `name` stands in messages; `base_url` has no trailing slash; the connection opens on first use.

    Redirects are not followed and proxies of the environment are not used: what the operator named is what is asked.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
        contact: str = "",
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"user-agent": user_agent(contact), "accept": "application/json", **(headers or {})}
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer to a GET. Raises ServiceFailed with a sentence for a person."""
        return await self.request("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer to a POST of JSON. Raises ServiceFailed."""
        return await self.request("POST", path, json=dict(body), headers=headers)

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """Any request; a busy or unreachable service is asked once more. Raises ServiceFailed."""
        status, body = 0, b""
        for attempt in range(2):
            status, body, retry_after = await self._once(method, path, last=attempt == 1, **options)
            if status not in RETRIED or attempt == 1 or retry_after > MAX_RETRY_AFTER_S:
                break
            await asyncio.sleep(retry_after)
        if status != 200:
            raise self._refused(status, body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            log.warning("%s answered with something that is not JSON: %r", self.name, body[:200])
            raise ServiceFailed(f"{self.name} answered with something that cannot be read: try again later.") from None

    async def _once(self, method: str, path: str, *, last: bool, **options: Any) -> tuple[int, bytes, float]:
        import httpx

        client = await self._open()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream(method, self.base_url + path, **options) as answer,
            ):
                body = await self._read(answer)
                return answer.status_code, body, _retry_after(answer.headers.get("retry-after"))
        except (TimeoutError, httpx.TimeoutException):
            raise ServiceFailed(f"{self.name} did not answer within {self._timeout_s:g} seconds: try again.") from None
        except httpx.HTTPError as error:
            log.info("%s: %r", self.name, error)
            if not last:
                return 503, b"", DEFAULT_RETRY_S
            raise ServiceFailed(f"{self.name} cannot be reached: check this machine's connection.") from None

    async def _read(self, answer: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > MAX_BYTES:
                raise ServiceFailed(f"{self.name} sent more than {MAX_BYTES // 1_048_576} MB: ask for less.")
            parts.append(part)
        return b"".join(parts)

    def _refused(self, status: int, body: bytes) -> ServiceFailed:
        log.warning("%s answered %d: %r", self.name, status, body[:300])
        if status in (401, 403):
            return ServiceFailed(f"{self.name} refused the server's key: the administrator has to check it.")
        if status in (429, 432, 433):
            return ServiceFailed(f"{self.name} allows no more requests for now: try again later.")
        if status == 404:
            return ServiceFailed(f"{self.name} does not know what was asked for.")
        return ServiceFailed(f"{self.name} answered with an error ({status}): try again later.")

    async def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(
                headers=self._headers,
                timeout=httpx.Timeout(self._timeout_s, connect=CONNECT_S),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _retry_after(value: str | None) -> float:
    try:
        return max(0.0, float(value)) if value else DEFAULT_RETRY_S
    except ValueError:
        return DEFAULT_RETRY_S
