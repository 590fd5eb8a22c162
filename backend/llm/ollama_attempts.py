"""One request through all its attempts: what is sent, and what to change or wait for after a failure."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from backend.llm.ollama_errors import Busy, RunnerStopped, ShapeRefused, ThinkingUnsupported
from backend.llm.ollama_models import ModelDetails
from backend.llm.ollama_request import Defaults, Prepared, prepare, think_of
from backend.llm.ollama_stream import Expected
from backend.llm.ollama_window import MIN_WINDOW
from backend.llm.port import ChatRequest
from backend.models.errors import ContextTooLong, HearthError, ModelFault, ModelNotFound, UpstreamCut, UpstreamError

log = logging.getLogger("hearth.ollama")

MAX_RETRIES = 2
BACKOFF_S = 0.25
"""Upper end of the first random wait; doubled for each further one."""
MAX_RETRY_AFTER_S = 10
"""A server that asks for more patience than this is believed at once: the caller is told instead."""
CAUTION_AFTER_OVERFLOW = 1.5
MAX_HALVINGS = 2
"""How often a smaller window is tried when the memory does not suffice."""


class Attempts:
    """The state of one request before its first event. Changes are made once each; retries are counted.

    Raises what `prepare` raises.
    """

    def __init__(
        self,
        request: ChatRequest,
        details: ModelDetails,
        defaults: Defaults,
        at_least: int = 0,
        at_most: int | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.request = request
        self.details = details
        self.tried: list[str] = []
        """Base URLs of the hosts that failed, in order."""
        self.asked_again = False
        self.too_large: int | None = None
        """The smallest window that the memory did not suffice for."""
        self._defaults = defaults
        self._at_least = at_least
        self._at_most = at_most
        self._caution = 1.0
        self._taking_turns = False
        self._jitter = jitter
        self._retries = 0
        self._halvings = 0
        self._fields: dict[str, Any] = {}
        """Fields of the body that differ from what the request says, None where one is left out."""
        self._options: dict[str, Any] = {}
        self._changes: set[str] = set()
        self.prepared: Prepared = prepare(request, details, defaults, at_least, at_most)

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

    def raise_window(self, at_least: int) -> None:
        """Take over a larger window that another request has brought about meanwhile."""
        if self._defaults.num_ctx is None and self.too_large is None and at_least > self.prepared.window:
            self._at_least = at_least
            self._prepare()

    def ask_again_without_thinking(self) -> bool:
        """Prepare the second and last try after an answer without content. False when it has been made."""
        if self.asked_again:
            return False
        self.asked_again = True
        if self.details.can("thinking"):
            self._fields["think"] = think_of("none", self.details)
            self._prepare()
        return True

    def _prepare(self) -> None:
        """Make `prepared` anew, with every change so far."""
        made = prepare(
            self.request,
            self.details,
            self._defaults,
            self._at_least,
            self._at_most,
            caution=self._caution,
            taking_turns=self._taking_turns,
        )
        self.prepared = made.changed(options=made.body["options"] | self._options, **self._fields)

    def _change(self, error: HearthError) -> bool:
        """Whether a different request may succeed; `prepared` is that then."""
        if isinstance(error, ThinkingUnsupported) and "think" in self.prepared.body:
            self._fields["think"] = None
            self._prepare()
            return True
        if isinstance(error, ShapeRefused) and self._first_time("shape"):
            before = self.prepared.body
            self._taking_turns = True
            self._prepare()
            return self.prepared.body != before
        if isinstance(error, ContextTooLong) and self._first_time("window"):
            before = self.prepared.body
            self._caution = CAUTION_AFTER_OVERFLOW
            self._prepare()
            return self.prepared.body != before
        if isinstance(error, ModelFault) and self._first_time("temperature"):
            self._options["temperature"] = 0
            self._prepare()
            return True
        return isinstance(error, RunnerStopped) and error.code == "out_of_memory" and self._smaller_window()

    def _smaller_window(self) -> bool:
        """Whether half the window may do, where the memory did not suffice for the whole."""
        window = self.prepared.window
        if self._defaults.num_ctx is not None or window <= MIN_WINDOW or self._halvings == MAX_HALVINGS:
            return False
        self._halvings += 1
        self.too_large, self._at_least, self._at_most = window, 0, window // 2
        try:
            self._prepare()
        except ContextTooLong:
            return False
        log.warning("%s: not enough memory for a window of %d tokens, trying less", self.details.info.id, window)
        return True

    def _first_time(self, change: str) -> bool:
        first = change not in self._changes
        self._changes.add(change)
        return first
