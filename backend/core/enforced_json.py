"""An answer that is held to its response_format: live where that is safe, else only when it has been checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from backend.core import enforcement_texts as texts
from backend.core.asking import Asking, Reading, Told, again, fault, following, told_of
from backend.core.json_form import Form
from backend.llm.port import ChatRequest
from backend.models.errors import ModelFault
from backend.models.messages import Event, Finished, TextDelta


@dataclass(slots=True)
class FormattedAnswer:
    """`request` without tools. `streamed`: the caller reads a stream, so what is certain goes out at once."""

    asking: Asking
    request: ChatRequest
    form: Form
    streamed: bool = False

    async def run(self) -> AsyncGenerator[Event, None]:
        """Thinking as it comes, the JSON, the tokens of every call, Finished.

        Raises ModelFault when there is no JSON that fits, also not after one repair; otherwise what the provider
        raises.
        """
        live = self.streamed and await self._is_certain()
        reading, sent, last = Reading(self.form.answer()), False, ""
        try:
            async with aclosing(self.asking.read(self.request, self.form, reading)) as events:
                async for event in events:
                    if not isinstance(event, TextDelta):
                        yield event
                    elif not live or not reading.by_grammar:
                        continue
                    elif reading.answer.complete:
                        # The end of the JSON waits for the verdict on all of it.
                        last = event.text
                    else:
                        sent = True
                        yield event
        except ModelFault:
            if sent:
                raise
            told = await self._second(again(self.request))
        else:
            told = await told_of(reading, self.form)
            if not sent:
                told = await self.settled(told)
        for ending in self._rest(told, last) if sent else self.whole(told):
            yield ending

    async def settled(self, told: Told) -> Told:
        """A first answer of which nothing has been sent, or what one further call made of it. Raises ModelFault."""
        callers_cut = told.ending == "cut" and self.request.sampling.max_tokens is not None
        # Cut by the caller's own limit: as at OpenAI, that is an answer, though not a whole one.
        if told.verdict.text is not None or callers_cut:
            return told
        return await self._second(following(self.request, told))

    def whole(self, told: Told) -> list[Event]:
        """All events of an answer of which nothing has been sent."""
        return [*([TextDelta(told.text)] if told.text else []), *self._counted(told)]

    async def _is_certain(self) -> bool:
        """Whether the schema can be relied upon to hold for whatever the model's server lets through."""
        if not self.form.guaranteed:
            return False
        info = await self.asking.provider.describe(self.request.model)
        return "structured" in info.capabilities

    async def _second(self, request: ChatRequest) -> Told:
        told = await self.asking.json(request, self.form)
        if told.verdict.text is None and told.ending != "cut":
            problem = texts.BAD_ANSWER.format(problem=told.verdict.problem)
            raise fault(texts.ENDLESS if told.ending == "endless" else problem)
        return told

    def _rest(self, told: Told, last: str) -> list[Event]:
        """The last events of an answer that has been sent but for its end. Raises ModelFault when it went wrong."""
        fits = told.ending == "whole" and told.verdict.text is not None
        if not fits and told.ending in ("whole", "wrong"):
            raise fault(texts.BAD_END.format(problem=told.verdict.problem))
        return [*([TextDelta(last)] if fits and last else []), *self._counted(told)]

    def _counted(self, told: Told) -> list[Event]:
        finished = told.finished or Finished("stop")
        if told.verdict.text is not None:
            finished = replace(finished, reason="stop", detail=None)
        else:
            finished = replace(finished, reason="length")
        return [*self.asking.usage, finished]
