"""POST /api/chat and /api/generate: check, load, fit, answer, stream."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.doubles.ollama import behaviours, generation, tokens, wire
from tests.doubles.ollama.answer import Answer, from_reply
from tests.doubles.ollama.answer_faults import spoil
from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.faults import Faults, scripted_error, send_object
from tests.doubles.ollama.generation import Clock, Delta, Outcome, Shape, ToolCallWriter
from tests.doubles.ollama.scheduler import Lease
from tests.doubles.ollama.shaping import LineStream
from tests.doubles.ollama.state import Context
from tests.doubles.ollama.validation import Call, check_format, check_template, read_chat, read_generate


async def chat(context: Context, faults: Faults) -> None:
    await _run(context, faults, generate=False)


async def generate(context: Context, faults: Faults) -> None:
    await _run(context, faults, generate=True)


async def _run(context: Context, faults: Faults, *, generate: bool) -> None:
    double = context.double
    read = read_generate if generate else read_chat
    try:
        call = read(context.request.body, double.installed, double.profile)
    except ApiError:
        if context.scripted is not None:
            context.scripted.give_back()
        raise
    if call.only_unloads:
        double.scheduler.unload(call.record)
        await _send_state(context, faults, call, "unload", generate)
        return
    record, options = call.record, call.options
    num_ctx = tokens.window(options, double.config.default_num_ctx, record.context_length, vision=record.can("vision"))
    context.entry.num_ctx = num_ctx
    lease = double.scheduler.lease(
        record, options, num_ctx, call.keep_alive_s, shift=call.shift, only_load=call.only_loads
    )
    async with lease as held:
        if call.only_loads:
            await _send_state(context, faults, call, "load", generate)
            return
        await _Turn(context, faults, call, held, generate).run()


async def _send_state(context: Context, faults: Faults, call: Call, reason: str, generate: bool) -> None:
    """The one-object answer to a request that only loads or unloads."""
    body: dict[str, Any] = {"response": ""} if generate else {"message": {"role": "assistant", "content": ""}}
    value = {"model": call.model, "created_at": wire.utc_now(), **body, "done": True}
    if context.double.profile.has_done_reason:
        value["done_reason"] = reason
    await send_object(context.exchange, faults, 200, value)


class _Turn:
    """One generation."""

    def __init__(self, context: Context, faults: Faults, call: Call, lease: Lease, generate: bool) -> None:
        self._context = context
        self._double = context.double
        self._faults = faults
        self._call = call
        self._lease = lease
        self._generate = generate
        self._clock = Clock(lease.load_seconds)
        self._outcome = Outcome()
        config, record = self._double.config, call.record
        self._speed = record.tokens_per_s or config.tokens_per_s
        self._prompt_speed = record.prompt_tokens_per_s or config.prompt_tokens_per_s

    async def run(self) -> None:
        try:
            answer = await self._answer()
        except ApiError as error:
            # A version that had sent its 200 before generating could only add a line.
            if (
                not self._call.stream
                or self._double.profile.has_real_status_before_stream
                or not error.while_generating
            ):
                raise
            await self._refuse_in_stream(error)
            return
        if answer is None:
            return
        if answer.lines is not None:
            await self._send_lines(answer.lines)
        elif self._call.stream:
            await self._stream(answer)
        else:
            await self._send_whole(answer)

    async def _refuse_in_stream(self, error: ApiError) -> None:
        stream = LineStream(self._context.exchange, self._faults)
        await stream.send({"error": error.text}, last=True)
        await stream.finish()

    async def _answer(self) -> Answer | None:
        """What will be said, faults included; None when the request asked for the prompt alone."""
        call, double = self._call, self._double
        check_format(call.format, double.profile)
        check_template(call)
        messages, prompt_tokens = tokens.fit(call, self._lease.loaded.num_ctx, double.profile)
        self._clock.prompt_tokens = prompt_tokens
        self._context.entry.prompt_tokens = prompt_tokens
        self._context.entry.kept_messages = len(messages)
        if call.debug_render_only:
            rendered = tokens.render(messages, call.tools, raw=call.raw)
            value = {"model": call.model, "created_at": wire.utc_now(), "_debug_info": {"rendered_template": rendered}}
            await send_object(self._context.exchange, self._faults, 200, value)
            return None
        if self._prompt_speed:
            await asyncio.sleep(prompt_tokens / self._prompt_speed)
        self._clock.prompt_digested()
        answer = self._scripted_answer() or behaviours.answer(call, messages)
        self._context.entry.answered_by = answer.made_by
        if answer.error is not None:
            raise scripted_error(answer.status, answer.error)
        answer = generation.place_thinking(answer, call)
        answer = spoil(answer, self._faults)
        return generation.stop_at(answer, call.options.get("stop") or [])

    def _scripted_answer(self) -> Answer | None:
        scripted = self._context.scripted
        if scripted is None or scripted.reply is None:
            return None
        return from_reply(scripted.reply)

    def _deltas(self, answer: Answer) -> Any:
        allowed = generation.budget(self._call, self._lease.loaded.num_ctx, self._clock.prompt_tokens)
        return generation.deltas(answer, self._call, self._double.profile, allowed, self._outcome)

    def _shape(self, answer: Answer) -> Shape:
        calls = ToolCallWriter(self._double.profile, self._double.new_call_id)
        return Shape(self._call, self._faults, calls, generate=self._generate, extra=answer.extra)

    async def _pace(self, delta: Delta, answer: Answer) -> None:
        delay = answer.delay_s
        if self._speed:
            delay += tokens.count(delta.text) / self._speed
        if delay:
            await asyncio.sleep(delay)

    async def _stream(self, answer: Answer) -> None:
        stream = LineStream(self._context.exchange, self._faults)
        shape = self._shape(answer)
        held: list[Delta] = []
        paced = bool(self._speed or answer.delay_s)
        for delta in self._held_back(self._deltas(answer), held):
            if paced:
                await self._pace(delta, answer)
            if not await stream.send(shape.line(delta)):
                return
        if self._outcome.ended:
            counters = self._clock.counters(self._outcome, answer.counts)
            if not await stream.send(shape.final(self._outcome, counters, held), last=True):
                return
        await stream.finish()

    def _held_back(self, deltas: Any, held: list[Delta]) -> Any:
        """All deltas, or all but those that a fault moves into the final object."""
        calls_last = "final_carries_tool_calls" in self._faults
        text_last = "final_carries_text" in self._faults
        if not calls_last and not text_last:
            yield from deltas
            return
        everything = list(deltas)
        texts = [delta for delta in everything if delta.text]
        last_text = texts[-1] if text_last and texts else None
        for delta in everything:
            if delta is last_text or (calls_last and delta.calls):
                held.append(delta)
            else:
                yield delta

    async def _send_whole(self, answer: Answer) -> None:
        answer.forever = answer.forever and answer.endless is None
        shape = self._shape(answer)
        made = []
        for delta in self._deltas(answer):
            await self._pace(delta, answer)
            if self._call.tools or not delta.calls:
                made.append(delta)
        ending = self._faults.ending()
        ended = self._outcome.ended and (ending is None or ending["kind"] != "eof_without_done")
        counters = self._clock.counters(self._outcome, answer.counts)
        value = shape.final(self._outcome, counters, made) if ended else shape.unfinished(made)
        await send_object(self._context.exchange, self._faults, 200, value)

    async def _send_lines(self, lines: list[str]) -> None:
        """Scripted lines, byte for byte; a stream keeps each as one chunk."""
        stream = LineStream(self._context.exchange, self._faults)
        for number, text in enumerate(lines, 1):
            data = text.encode("utf-8", "surrogateescape") + b"\n"
            if not await stream.send(data, last=number == len(lines)):
                return
        await stream.finish()
