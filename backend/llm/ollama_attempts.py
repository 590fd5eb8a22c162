"""One request through all its attempts: what is sent, and what to change or wait for after a failure."""

from __future__ import annotations

import random
from collections.abc import Callable

from backend.llm.ollama_errors import Busy, ThinkingUnsupported
from backend.llm.ollama_models import ModelDetails
from backend.llm.ollama_request import Defaults, Prepared, prepare, think_of
from backend.llm.ollama_stream import Expected
from backend.llm.port import ChatRequest
from backend.models.errors import ContextTooLong, HearthError, ModelFault, ModelNotFound, UpstreamCut, UpstreamError

MAX_RETRIES = 2
BACKOFF_S = 0.25
"""Upper end of the first random wait; doubled for each further one."""
MAX_RETRY_AFTER_S = 10
"""A server that asks for more patience than this is believed at once: the caller is told instead."""
CAUTION_AFTER_OVERFLOW = 1.5


class Attempts:
    """The state of one request before its first event. Changes are made once each; retries are counted.

    Raises what `prepare` raises.
    """

    def __init__(
        self,
        request: ChatRequest,
        details: ModelDetails,
        defaults: Defaults,
        at_least: int,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.request = request
        self.details = details
        self.tried: list[str] = []
        """Base URLs of the hosts that failed, in order."""
        self.asked_again = False
        self._defaults = defaults
        self._at_least = at_least
        self._jitter = jitter
        self._retries = 0
        self._changes: set[str] = set()
        self.prepared: Prepared = prepare(request, details, defaults, at_least)

    def expected(self) -> Expected:
        """What the parser may take for granted about the answer to `prepared`."""
        request, body = self.request, self.prepared.body
        thinks = self.details.can("thinking") and body.get("think") is not False
        return Expected(
            model=self.details.info.id,
            tools=self.prepared.tools,
            one_call=not request.parallel_tool_calls,
            used_ids={call.id for message in request.messages for call in message.tool_calls},
            inside=thinks and self.details.opens_thinking,
            opener_may_lack=thinks,
            json="format" in body,
        )

    def after(self, error: HearthError) -> float:
        """Seconds to wait before the next attempt. Raises the error when there should be none.

        Only for failures before the first event. Source: full jitter as in M. Brooker, Exponential Backoff and
        Jitter (AWS Architecture Blog, 2015).
        """
        if self._change(error):
            return 0.0
        if isinstance(error, ModelNotFound) and len(set(self.tried)) < len(self.details.hosts):
            return 0.0
        may_help = isinstance(error, UpstreamCut) or (isinstance(error, UpstreamError) and error.retryable)
        if not may_help or isinstance(error, ModelFault) or self._retries >= MAX_RETRIES:
            raise error
        asked = error.retry_after if isinstance(error, Busy) else None
        if asked is not None and asked > MAX_RETRY_AFTER_S:
            raise error
        self._retries += 1
        if len(set(self.tried)) < len(self.details.hosts):
            return 0.0
        return float(asked) if asked is not None else self._jitter() * BACKOFF_S * 2 ** (self._retries - 1)

    def ask_again_without_thinking(self) -> bool:
        """Prepare the second and last try after an answer without content. False when it has been made."""
        if self.asked_again:
            return False
        self.asked_again = True
        if self.details.can("thinking"):
            self.prepared = self.prepared.changed(think=think_of("none", self.details))
        return True

    def _change(self, error: HearthError) -> bool:
        """Whether a different request may succeed; `prepared` is that then."""
        if isinstance(error, ThinkingUnsupported) and "think" in self.prepared.body:
            self.prepared = self.prepared.changed(think=None)
            return True
        if isinstance(error, ContextTooLong) and self._first_time("window"):
            before = self.prepared
            bigger = prepare(self.request, self.details, self._defaults, self._at_least, CAUTION_AFTER_OVERFLOW)
            self.prepared = bigger.changed(think=before.body.get("think"))
            return self.prepared.body != before.body
        if isinstance(error, ModelFault) and self._first_time("temperature"):
            options = self.prepared.body["options"] | {"temperature": 0}
            self.prepared = self.prepared.changed(options=options)
            return True
        return False

    def _first_time(self, change: str) -> bool:
        first = change not in self._changes
        self._changes.add(change)
        return first
