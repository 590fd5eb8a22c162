"""The bytes of an /api/chat answer made into events, however the network cut them. Pure: no socket, no clock."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from backend.llm.ollama_calls import CallHold, CallIds, structured_calls
from backend.llm.ollama_errors import NoAnswerYet, broken_off, error_for, not_ollama, reason_of
from backend.llm.ollama_text import JsonGuard, ThinkSplitter
from backend.models.errors import HearthError, ModelFault, UpstreamError
from backend.models.messages import Event, ReasoningDelta, TextDelta, ToolCall, ToolCallMade

log = logging.getLogger("hearth.ollama")

MAX_LINE_BYTES = 8 * 1024 * 1024
_NOT_ANSWERS = frozenset({"load", "unload"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended. Counters are None where the server gave none.

    `calls_lost`: tool calls were made, but the token limit may have cut their arguments, so none is passed on.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    calls_lost: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known beforehand about an answer.

    `tools` are the names offered, `used_ids` the call ids of the conversation so far. `inside` and
    `opener_may_lack` as in ThinkSplitter. `json` when the answer must be JSON.
    """

    model: str
    tools: Collection[str] = ()
    one_call: bool = False
    used_ids: Collection[str] = ()
    inside: bool = False
    opener_may_lack: bool = False
    json: bool = False


class LineSplitter:
    """Bytes in, whole lines out; a line ends at byte 0x0A and nowhere else."""

    __slots__ = ("_parts", "_size", "limit")

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends. Raises UpstreamError beyond the limit."""
        lines = data.split(b"\n")
        if self._parts:
            self._parts.append(lines[0])
            self._size += len(lines[0])
            if len(lines) == 1:
                self._check()
                return []
            lines[0] = b"".join(self._parts)
            self._parts.clear()
        rest = lines.pop()
        self._size = len(rest)
        if rest:
            self._parts.append(rest)
            self._check()
        return lines

    def finish(self) -> bytes:
        """The last line when it has no end."""
        rest = b"".join(self._parts)
        self._parts.clear()
        return rest

    def _check(self) -> None:
        if self._size > self.limit:
            raise UpstreamError("Ollama sent a line too long to be part of an answer; the request was ended.")


class AnswerParser:
    """One answer, from its first byte to its ending."""

    __slots__ = (
        "_calls",
        "_events",
        "_expected",
        "_guard",
        "_hold",
        "_ids",
        "_lines",
        "_pieces",
        "_pieces_think",
        "_plain",
        "_splitter",
        "_thinking_apart",
        "calls_made",
        "ending",
        "failure",
        "lines_read",
        "text_size",
        "thinking_size",
    )

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._lines = LineSplitter()
        self._splitter = ThinkSplitter(inside=expected.inside, opener_may_lack=expected.opener_may_lack)
        self._hold = CallHold(expected.tools)
        self._guard = JsonGuard() if expected.json else None
        self._ids = CallIds(expected.used_ids)
        self._calls: list[ToolCall] = []
        self._events: list[Event] = []
        self._pieces: list[str] = []
        self._pieces_think = False
        self._plain = False
        self._thinking_apart = False
        self.ending: Ending | None = None
        self.failure: HearthError | None = None
        """What ends the answer after the events already given out; the next `feed` or `finish` would raise it."""
        self.calls_made = 0
        self.lines_read = 0
        self.text_size = 0
        self.thinking_size = 0
        """Characters given out so far, as text (with calls) and as thinking."""

    @property
    def ended(self) -> bool:
        return self.ending is not None

    @property
    def holding(self) -> bool:
        """See ThinkSplitter.holding: call `release` when nothing comes for a while."""
        return self._splitter.holding

    def feed(self, data: bytes) -> list[Event]:
        """The events of what one read brought, adjacent deltas joined. Sets `ending` at the final line.

        Raises a member of UpstreamError, ContextTooLong, InvalidRequest or ModelNotFound.
        """
        try:
            for line in self._lines.feed(data):
                if line and self.ending is None:
                    self._line(line)
        except HearthError as error:
            self._fail(error)
        return self._take()

    def finish(self) -> list[Event]:
        """At the end of the bytes. Raises UpstreamCut when no final line came."""
        try:
            rest = self._lines.finish()
            if rest and self.ending is None:
                self._last_line(rest)
            if self.ending is None:
                raise broken_off()
        except HearthError as error:
            self._fail(error)
        return self._take()

    def release(self) -> list[Event]:
        """Give out text that was held back for a closing tag."""
        self._text(self._splitter.release())
        return self._take()

    def _take(self) -> list[Event]:
        if self._pieces:
            self._join()
        events = self._events
        if events:
            self._events = []
        return events

    def _fail(self, error: HearthError) -> None:
        """Text that came before the failure in the same read is still given out."""
        self._join()
        if not self._events:
            raise error
        self.failure = error

    def _join(self) -> None:
        pieces = self._pieces
        if pieces:
            text = pieces[0] if len(pieces) == 1 else "".join(pieces)
            self._events.append(ReasoningDelta(text) if self._pieces_think else TextDelta(text))
            self._pieces = []

    def _last_line(self, rest: bytes) -> None:
        """What comes after the last newline: a whole line that lacks its own, or the half that a cut leaves."""
        if rest.lstrip().startswith(b"{") and not _is_json(rest):
            raise broken_off()
        self._line(rest)

    def _line(self, line: bytes) -> None:
        try:
            chunk = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.isspace():
                return
            chunk = lenient_loads(line)
        if not isinstance(chunk, dict):
            raise not_ollama()
        self.lines_read += 1
        message = chunk.get("message")
        if message is None and "response" in chunk:
            # As the endpoint writes that fills in.
            message = {"content": chunk["response"]}
        if isinstance(message, dict):
            thinking = message.get("thinking")
            if thinking and isinstance(thinking, str):
                self._thinking_field(thinking)
            content = message.get("content")
            if content and isinstance(content, str):
                if self._plain:
                    self._give_text(content)
                else:
                    self._content(content)
            calls = message.get("tool_calls")
            if calls:
                self._tool_calls(calls)
        if chunk.get("done") is True:
            self._done(chunk)
        elif chunk.get("error"):
            raise error_for(500, reason_of(chunk["error"]), self._expected.model)
        elif message is None:
            self._foreign(chunk)

    def _foreign(self, chunk: dict[str, Any]) -> None:
        """A line that is no part of an answer: tolerated unless nothing in it is known."""
        if self.lines_read == 1 and not chunk.keys() & {"model", "created_at", "done"}:
            raise not_ollama()

    # ---- what a line holds ----------------------------------------------------------------------

    def _thinking_field(self, text: str) -> None:
        if not self._thinking_apart:
            self._thinking_apart = True
            self._splitter.thinking_came_apart()
        self._give_thinking(text)

    def _content(self, content: str) -> None:
        thinking, answer = self._splitter.feed(content)
        if thinking:
            self._give_thinking(thinking)
        self._text(answer)
        self._plain = self._splitter.settled and self._hold.settled and self._guard is None

    def _text(self, text: str) -> None:
        text = self._hold.feed(text) if text else ""
        if text and self._guard is not None:
            text = self._guard.feed(text)
            if self._guard.runs_on:
                self._end_running_on(self._guard.complete)
        if text:
            self._give_text(text)

    def _end_running_on(self, complete: bool) -> None:
        """JSON, then blanks without end: the answer is over, whole or not."""
        if not complete and not self.text_size:
            raise ModelFault("The model gave only white space instead of JSON: try again or use another model.")
        self.ending = Ending("stop" if complete else "length")

    def _tool_calls(self, value: Any) -> None:
        calls = structured_calls(value, self._ids)
        if calls:
            self._text_rest(self._hold.release())
        self._calls += calls

    def _text_rest(self, text: str) -> None:
        if text:
            self._give_text(text)

    def _give_text(self, text: str) -> None:
        self.text_size += len(text)
        if self._pieces_think:
            self._join()
            self._pieces_think = False
        self._pieces.append(text)

    def _give_thinking(self, text: str) -> None:
        self.thinking_size += len(text)
        if not self._pieces_think:
            self._join()
            self._pieces_think = True
        self._pieces.append(text)

    # ---- the end --------------------------------------------------------------------------------

    def _done(self, chunk: dict[str, Any]) -> None:
        done_reason = chunk.get("done_reason")
        cut = done_reason == "length"
        thinking, text = self._splitter.finish()
        if thinking:
            self._give_thinking(thinking)
        self._text(text)
        if self.ending is None:
            self._end_of_text(cut)
        if done_reason in _NOT_ANSWERS and not self.text_size and not self.thinking_size:
            raise NoAnswerYet("Ollama loaded the model but gave no answer: try again.")
        if not cut:
            self._give_calls()
        self.ending = Ending(
            "length" if cut else "stop",
            _count(chunk.get("prompt_eval_count")),
            _count(chunk.get("eval_count")),
            calls_lost=cut and bool(self._calls),
        )

    def _end_of_text(self, cut: bool) -> None:
        if self._calls or cut:
            self._text_rest(self._hold.release())
            return
        calls, text = self._hold.finish(self._ids)
        if calls:
            log.info("%s wrote %d tool calls as text", self._expected.model, len(calls))
        self._calls += calls
        self._text_rest(text)

    def _give_calls(self) -> None:
        self._join()
        for call in self._calls[:1] if self._expected.one_call else self._calls:
            self.text_size += len(call.name) + len(call.arguments)
            self._events.append(ToolCallMade(call))
            self.calls_made += 1


def _is_json(line: bytes) -> bool:
    try:
        lenient_loads(line)
    except UpstreamError:
        return False
    return True


def lenient_loads(line: bytes) -> Any:
    """A line with half surrogate pairs or bytes that are not UTF-8: those become U+FFFD.

    Raises UpstreamError when it is no JSON even so.
    """
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise not_ollama() from None
    return _whole(value)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
