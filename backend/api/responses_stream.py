"""Events to the stream of /v1/responses, and to the Response object itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from backend.api.responses_items import Item, item_id
from backend.api.responses_parts import annotation_of, logprob_of, numbers, text_part
from backend.api.responses_request import ResponsePlan
from backend.api.responses_steps import StepView, Told
from backend.models.messages import (
    Event,
    Finished,
    ReasoningDelta,
    Sources,
    TextDelta,
    TokenLogprobs,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import RunContext
from backend.models.tools import Citation

ERROR_CODES = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
"""The codes of a failed response that every client knows and we have a use for."""
LOGPROBS = "message.output_text.logprobs"
_dumps = orjson.dumps
_join = b"".join


class _Flow:
    """A text that is being written: its item, its pieces, and the bytes in front of the number of each delta."""

    __slots__ = ("annotations", "before", "index", "item", "logprobs", "pieces", "start")

    def __init__(self, item: Item, index: int, delta: str, place: dict[str, Any]) -> None:
        self.item = item
        self.index = index
        self.start = 0
        """Characters of the answer in front of this item."""
        self.pieces: list[str] = []
        self.annotations: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []
        head = {"type": delta, "item_id": item["id"], "output_index": index, **place}
        self.before = b"event: %b\ndata: %b" % (delta.encode(), _dumps(head)[:-1] + b',"sequence_number":')

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ResponseEvents:
    """Encodes one response. Every frame is one event whose `sequence_number` is the frame's place, from 0.

    An answer that is not streamed is fed the same events, and `response` is its body. A text delta costs one
    template: everything around the text and its number is fixed bytes, made once for each item.
    """

    def __init__(
        self, response_id: str, context: RunContext, model: str, plan: ResponsePlan, created_at: int | None = None
    ) -> None:
        self.id = response_id
        self.context = context
        self.model = model
        self.plan = plan
        self.created_at = int(time.time()) if created_at is None else created_at
        self.status = "queued" if plan.background else "in_progress"
        self.error: dict[str, Any] | None = None
        self._completed_at: int | None = None
        self._why_incomplete: dict[str, Any] | None = None
        self._numbers = numbers()
        self._opened = False
        self._items: list[Item] = []
        self._message: _Flow | None = None
        self._hot: tuple[bytes, Callable[[str], None], Iterator[bytes]] | None = None
        """What the frame of the next token is made of; None while it takes more than that."""
        self._coming: list[dict[str, Any]] = []
        """Log probabilities of the text that comes next."""
        self._reasoning: _Flow | None = None
        self._steps: dict[str, int] = {}
        self._said = 0
        self._usage: list[Usage] = []
        self._view = StepView(
            plan.include, plan.tools, plan.unconfirmed, context.base_url, f"cntr_{context.run_id.removeprefix('run_')}"
        )

    # ---- what the outside asks for -----------------------------------------------------------------

    def opening(self) -> bytes:
        return b"".join(self.opening_frames())

    def encode(self, event: Event) -> bytes:
        """The frames of one event, joined; empty when a client has no use for it."""
        if type(event) is TextDelta and self._hot is not None:
            # Every token comes by here: one template, and no call of our own.
            before, keep, numbers = self._hot
            text = event.text
            keep(text)
            return _join((before, next(numbers), b',"logprobs":[],"delta":', _dumps(text), b"}\n\n"))
        return b"".join(self.frames(event))

    def failed(self, error: dict[str, Any]) -> bytes:
        return b"".join(self.failed_frames(error))

    def opening_frames(self) -> list[bytes]:
        """The frames that stand before everything else; one that runs in the background has been queued first."""
        self._opened = True
        told = [self._frame("response.created", response=self.response)]
        if self.status == "queued":
            told.append(self._frame("response.queued", response=self.response))
            self.status = "in_progress"
        return [*told, self._frame("response.in_progress", response=self.response)]

    def frames(self, event: Event) -> list[bytes]:
        """The frames of one event, in order."""
        match event:
            case TextDelta(text):
                return self._text(text)
            case ReasoningDelta(text):
                return self._thought(text)
            case TokenLogprobs(tokens):
                self._coming += [logprob_of(token) for token in tokens]
                self._hot = None
            case ToolStarted():
                return self._tool_started(event)
            case ToolFinished():
                return self._tool_finished(event)
            case ToolCallMade(call):
                return self._function_call(call)
            case Sources(citations):
                return self._annotations(citations)
            case Usage():
                self._usage.append(event)
            case Finished():
                return self._end(event)
            case _:
                pass
        return []

    def failed_frames(self, error: dict[str, Any]) -> list[bytes]:
        """The frames that tell of a failure; `error` is the house's envelope. The stream is over then.

        The bare `error` is what some clients raise, the failed response what others wait for.
        """
        told = error["error"]
        opening = self.opening_frames() if not self._opened else []
        code = "invalid_prompt" if told["type"] == "invalid_request_error" else told["code"]
        self.status = "failed"
        self.error = {"code": code if code in ERROR_CODES else "server_error", "message": told["message"]}
        bare = self._frame("error", code=told["code"], message=told["message"], param=told["param"])
        return [*opening, bare, self._frame("response.failed", response=self.response)]

    @property
    def output(self) -> list[Item]:
        """The items so far; those that are being written hold what there is of them."""
        items = [dict(item) for item in self._items]
        for flow in (self._message, self._reasoning):
            if flow is not None:
                items[flow.index] |= self._written(flow)
        if self.status not in ("queued", "in_progress"):
            for item in items:
                if item.get("status") == "in_progress":
                    item["status"] = "incomplete"
        return items

    @property
    def response(self) -> dict[str, Any]:
        """The Response object as of now."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": self.status,
            "completed_at": self._completed_at,
            "error": self.error,
            "incomplete_details": self._why_incomplete,
            "model": self.model,
            "output": self.output,
            "usage": self._tokens() if self.status in ("completed", "incomplete", "cancelled") else None,
            **self.plan.echo,
        }

    # ---- text and reasoning -----------------------------------------------------------------------

    def _text(self, text: str) -> list[bytes]:
        told: list[bytes] = []
        flow = self._message
        if flow is None:
            told += self._close_reasoning()
            item = {"id": item_id("message"), "type": "message", "status": "in_progress", "role": "assistant"}
            index, added = self._add(item | {"content": []})
            place = {"content_index": 0}
            flow = _Flow(self._items[index], index, "response.output_text.delta", place)
            flow.start = self._said
            self._message = flow
            told += [
                added,
                self._frame("response.content_part.added", **_at(flow), **place, part=text_part("", [], [])),
            ]
        told.append(self._delta(flow, text, b'"logprobs":%b,' % _dumps(self._coming)))
        flow.logprobs += self._coming
        self._coming = []
        self._hot = (flow.before, flow.pieces.append, self._numbers)
        return told

    def _thought(self, text: str) -> list[bytes]:
        told: list[bytes] = []
        flow = self._reasoning
        if flow is None:
            told += self._close_message("completed")
            index, added = self._add(
                {"id": item_id("reasoning"), "type": "reasoning", "status": "in_progress", "summary": []}
            )
            place = {"summary_index": 0}
            kind = "response.reasoning_summary_text.delta"
            flow = self._reasoning = _Flow(self._items[index], index, kind, place)
            part = {"type": "summary_text", "text": ""}
            told += [added, self._frame("response.reasoning_summary_part.added", **_at(flow), **place, part=part)]
        return [*told, self._delta(flow, text)]

    def _delta(self, flow: _Flow, text: str, extra: bytes = b"") -> bytes:
        flow.pieces.append(text)
        return b'%b%b,%b"delta":%b}\n\n' % (flow.before, next(self._numbers), extra, _dumps(text))

    def _close_message(self, status: str) -> list[bytes]:
        flow, self._message, self._hot = self._message, None, None
        if flow is None:
            return []
        text = flow.text
        self._said = flow.start + len(text)
        part = self._written(flow)["content"][0]
        flow.item |= {"status": status, "content": [part]}
        at = {**_at(flow), "content_index": 0}
        return [
            self._frame("response.output_text.done", **at, text=text, logprobs=flow.logprobs),
            self._frame("response.content_part.done", **at, part=part),
            self._done(flow.index),
        ]

    def _close_reasoning(self) -> list[bytes]:
        flow, self._reasoning = self._reasoning, None
        if flow is None:
            return []
        text, at = flow.text, {**_at(flow), "summary_index": 0}
        part = {"type": "summary_text", "text": text}
        flow.item |= {"status": "completed", "summary": [part]}
        return [
            self._frame("response.reasoning_summary_text.done", **at, text=text),
            self._frame("response.reasoning_summary_part.done", **at, part=part),
            self._done(flow.index),
        ]

    def _written(self, flow: _Flow) -> Item:
        if flow.item["type"] == "reasoning":
            return {"summary": [{"type": "summary_text", "text": flow.text}]}
        logprobs = flow.logprobs if LOGPROBS in self.plan.include else []
        return {"content": [text_part(flow.text, flow.annotations, logprobs)]}

    def _annotations(self, citations: Sequence[Citation]) -> list[bytes]:
        """The sources of the message that is being written. A marker in an earlier message stays plain text: that
        message has been told to its end."""
        flow = self._message
        if flow is None:
            return []
        kept = [each for each in citations if each.start >= flow.start and (each.source.file_id or each.source.url)]
        flow.annotations = [annotation_of(each, flow.start, self.context.base_url) for each in kept]
        return [
            self._frame(
                "response.output_text.annotation.added",
                **_at(flow),
                content_index=0,
                annotation_index=n,
                annotation=annotation,
            )
            for n, annotation in enumerate(flow.annotations)
        ]

    # ---- tools ------------------------------------------------------------------------------------

    def _tool_started(self, event: ToolStarted) -> list[bytes]:
        told = [*self._close_reasoning(), *self._close_message("completed")]
        if event.name in self.plan.unconfirmed:
            return told
        index, added = self._add(self._view.item_of(event))
        self._steps[event.id] = index
        return [*told, added, *self._tell(self._view.started(self._items[index], index, event))]

    def _tool_finished(self, event: ToolFinished) -> list[bytes]:
        if event.name in self.plan.unconfirmed and event.id not in self._steps:
            index, added = self._add(self._view.approval_of(event))
            return [added, self._done(index)]
        told: list[bytes] = []
        if event.id not in self._steps:
            told = self._tool_started(ToolStarted(event.id, event.index, event.name, event.arguments, event.started_at))
        index = self._steps.pop(event.id)
        told += self._tell(self._view.finished(self._items[index], index, event))
        return [*told, self._done(index)]

    def _function_call(self, call: ToolCall) -> list[bytes]:
        told = [*self._close_reasoning(), *self._close_message("completed")]
        item = {
            "id": item_id("function_call"),
            "type": "function_call",
            "status": "in_progress",
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
        }
        index, added = self._add(item)
        at = {"item_id": item["id"], "output_index": index}
        kind = "response.function_call_arguments"
        told.append(added)
        if call.arguments:
            told.append(self._frame(f"{kind}.delta", **at, delta=call.arguments))
        told.append(self._frame(f"{kind}.done", **at, name=call.name, arguments=call.arguments))
        self._items[index] |= {"status": "completed", "arguments": call.arguments}
        return [*told, self._done(index)]

    # ---- the end ----------------------------------------------------------------------------------

    def _end(self, event: Finished) -> list[bytes]:
        kind = "completed"
        if event.reason in ("length", "content_filter"):
            kind = "incomplete"
            reason = "max_output_tokens" if event.reason == "length" else event.reason
            self._why_incomplete = {"reason": reason} | ({"detail": event.detail} if event.detail else {})
        broken_off = bool(event.extra.get("cancelled"))
        told = [*self._close_reasoning(), *self._close_message("incomplete" if broken_off else kind)]
        for index in sorted(self._steps.values()):
            # A tool that was broken off has no end of its own.
            self._items[index]["status"] = "incomplete"
            told.append(self._done(index))
        self._steps.clear()
        self.status = "cancelled" if broken_off else kind
        self.model = event.model or self.model
        self._completed_at = int(time.time()) if self.status == "completed" else None
        last = "response.completed" if self.status == "completed" else "response.incomplete"
        return [*told, self._frame(last, response=self.response)]

    def _tokens(self) -> dict[str, Any]:
        """Tokens of every model call, summed. Nothing is known here of a cache."""
        prompt = sum(each.prompt_tokens for each in self._usage)
        completion = sum(each.completion_tokens for each in self._usage)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": sum(each.reasoning_tokens for each in self._usage)},
            "total_tokens": prompt + completion,
        }

    # ---- frames -----------------------------------------------------------------------------------

    def _add(self, item: Item) -> tuple[int, bytes]:
        """Put an item at the end; its place and the frame that announces it."""
        self._items.append(item)
        index = len(self._items) - 1
        return index, self._frame("response.output_item.added", output_index=index, item=item)

    def _done(self, index: int) -> bytes:
        return self._frame("response.output_item.done", output_index=index, item=self._items[index])

    def _tell(self, told: Told) -> list[bytes]:
        return [self._frame(f"response.{kind}", **fields) for kind, fields in told]

    def _frame(self, kind: str, **fields: Any) -> bytes:
        name = kind.encode()
        rest = _dumps(fields)[1:]
        return b'event: %b\ndata: {"type":"%b","sequence_number":%b,%b\n\n' % (name, name, next(self._numbers), rest)


def _at(flow: _Flow) -> dict[str, Any]:
    return {"item_id": flow.item["id"], "output_index": flow.index}
