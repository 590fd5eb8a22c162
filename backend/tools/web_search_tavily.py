"""Tavily, a search service for language models; needs a key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backend.models.errors import ServiceFailed
from backend.tools.service_client import user_agent
from backend.tools.web_search_port import Hit, Question, hit_of

if TYPE_CHECKING:
    import httpx
    from tavily import AsyncTavilyClient

log = logging.getLogger("hearth.web")

MAX_CONNECTIONS = 10


class Tavily:
    name = "Tavily"

    def __init__(self, key: str, url: str, *, timeout_s: float = 12.0) -> None:
        """`key` must not be empty: the library then goes on without one, silently."""
        if not key.strip():
            raise ValueError("Tavily needs a key")
        self._key = key
        self._url = url
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncTavilyClient | None = None

    async def search(self, question: Question) -> list[Hit]:
        """See the port."""
        import httpx
        from tavily import errors

        try:
            answer = await self._open().search(
                question.query,
                max_results=question.limit,
                search_depth="basic",
                time_range=question.recency,
                include_domains=[question.site] if question.site else None,
                timeout=self._timeout_s,
            )
            rows = answer["results"]
            hits = [hit_of(row, ("title", "url", "content"), n, row.get("score")) for n, row in enumerate(rows)]
        except errors.InvalidAPIKeyError:
            raise ServiceFailed("Tavily refused the server's key: the administrator has to check it.") from None
        except errors.UsageLimitExceededError:
            raise ServiceFailed("Tavily allows no more searches for now: try again later.") from None
        except errors.ForbiddenError:
            raise ServiceFailed(
                "Tavily allows the server's key no more searches: the administrator has to check its plan."
            ) from None
        except errors.BadRequestError:
            raise ServiceFailed("Tavily did not understand the search: use other words.") from None
        except (errors.TimeoutError, httpx.TimeoutException):
            raise ServiceFailed(f"Tavily did not answer within {self._timeout_s:g} seconds: try again.") from None
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            raise ServiceFailed(f"Tavily answered with an error ({status}): try again later.") from None
        except httpx.HTTPError as error:
            log.info("Tavily: %r", error)
            raise ServiceFailed("Tavily cannot be reached: check this machine's connection.") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # The library hands on whatever JSON has come, and stumbles over other shapes itself.
            log.warning("Tavily answered with something unexpected: %r", error)
            raise ServiceFailed("Tavily answered with something that cannot be read: try again later.") from None
        return [hit for hit in hits if hit is not None]

    def _open(self) -> AsyncTavilyClient:
        if self._client is None:
            import httpx
            from tavily import AsyncTavilyClient

            # A client of our own, as the library's would use proxies of the environment.
            self._http = httpx.AsyncClient(
                base_url=self._url,
                trust_env=False,
                headers={"user-agent": user_agent(), "authorization": f"Bearer {self._key}"},
                limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            )
            self._client = AsyncTavilyClient(api_key=self._key, api_base_url=self._url, client=self._http)
        return self._client

    async def aclose(self) -> None:
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.aclose()
