"""An agent's answer brought into the form the request asks for, when the agent has found out all it could."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from backend.core.asking import Asking, Reading, told_of
from backend.core.enforced_json import FormattedAnswer
from backend.core.json_form import Form
from backend.llm.port import ChatRequest, Model, ResponseFormat
from backend.models.messages import Event, Finished, Message, TextDelta

PUT_INTO_FORM = (
    "Write your answer once more, as JSON in the form that is asked for and nothing else. Add nothing to what it says;"
    " keep the numbers in brackets, such as [1], where they stand in a text."
)


async def in_form(
    events: AsyncGenerator[Event, None], messages: Sequence[Message], model: Model, wanted: ResponseFormat
) -> AsyncGenerator[Event, None]:
    """The agent's events; its text is held back, and given out as JSON of the form before Finished.

    Where the text is not that already, the model is asked once more. A run that stops for the caller's tools has no
    answer yet, and its text goes out as it is.

    Raises:
        InvalidRequest: the schema cannot be used.
        ModelFault: no JSON that fits, also not after a repair.
        What the events and the provider raise.
    """
    form, said = Form(wanted), list[str]()
    async with aclosing(events):
        async for event in events:
            if type(event) is TextDelta:
                said.append(event.text)
            elif not isinstance(event, Finished):
                yield event
            elif event.reason == "tool_calls":
                if said:
                    yield TextDelta("".join(said))
                yield event
            else:
                async with aclosing(_formed("".join(said), event, messages, model, form)) as formed:
                    async for out in formed:
                        yield out


async def _formed(
    answer: str, finished: Finished, messages: Sequence[Message], model: Model, form: Form
) -> AsyncGenerator[Event, None]:
    reading = Reading(form.answer())
    reading.answer.feed(answer)
    told = await told_of(reading, form)
    if told.verdict.text is not None:
        yield TextDelta(told.verdict.text)
        yield replace(finished, reason="stop")
        return
    request = ChatRequest(
        model=model.info.id,
        messages=(*messages, Message("assistant", answer), Message("user", PUT_INTO_FORM)),
        sampling=model.sampling,
        reasoning_effort=model.reasoning_effort,
        step="format",
    )
    async with aclosing(FormattedAnswer(Asking(model.provider), request, form).run()) as events:
        async for event in events:
            yield replace(finished, reason=event.reason) if isinstance(event, Finished) else event
