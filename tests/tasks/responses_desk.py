"""A desk for tests of the responses: the service over fake stores and scripted answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from backend.llm.port import Sampling
from backend.models.errors import HearthError
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade
from backend.models.run import Owner, RunContext
from backend.storage.stores import Stores
from backend.tasks.answering import Answer, Question
from backend.tasks.background_responses import BackgroundResponses
from backend.tasks.response_history import Past, turns_in
from backend.tasks.responses import Asked, Responses
from tests.fakes.stores import fake_stores
from tests.storage.samples import ALICE
from tests.tasks.rendered import FakeRenderer

CALL = ToolCallMade(ToolCall("call_1", "read_sensor", "{}"))


@dataclass
class FakeAnswering:
    """Prepares runs that say what a test wrote down; `gate` holds them up after their first event."""

    says: list[Event] = field(default_factory=lambda: [TextDelta("hello"), Finished("stop")])
    gate: asyncio.Event | None = None
    asked: list[Question] = field(default_factory=list)
    refuses: HearthError | None = None
    at_work: int = 0
    most_at_work: int = 0

    async def prepare(self, owner: Owner, question: Question, request_id: str, base_url: str = "") -> Answer:
        await asyncio.sleep(0)
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(question)
        session = (question.session_id or f"session-{len(self.asked)}") if question.store else None
        context = RunContext(owner, f"run_{len(self.asked)}", session, request_id)
        return Answer(context, "fake:1b", self._events())

    async def _events(self) -> AsyncGenerator[Event, None]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            for event in self.says:
                yield event
                if self.gate is not None:
                    await self.gate.wait()
        finally:
            self.at_work -= 1


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return fake_stores(tmp_path)


@pytest.fixture
def answering() -> FakeAnswering:
    return FakeAnswering()


@pytest.fixture
async def responses(stores: Stores, answering: FakeAnswering) -> AsyncIterator[Responses]:
    made = service(stores, answering)
    yield made
    await made.aclose()


def service(stores: Stores, answering: FakeAnswering, **bounds: int) -> Responses:
    return Responses(stores, cast(Any, answering), BackgroundResponses(**bounds))


def said(text: str, name: str = "") -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return item | ({"id": name} if name else {})


def asking(past: Past, *, owner: Owner = ALICE, store: bool = True, background: bool = False, **more: Any) -> Asked:
    def render(response_id: str, context: RunContext, model: str, created_at: int) -> FakeRenderer:
        assert abs(time.time() - created_at) < 60
        return FakeRenderer(response_id, background=background)

    messages = tuple(Message("user", "x") for _ in range(turns_in([*past.earlier, *past.items])))
    return Asked(owner, Question("m", messages, sampling=Sampling(), **more), past, render, store, "req")


async def asked(responses: Responses, text: str, previous: str | None = None, **more: Any) -> dict[str, Any]:
    """One response that nobody streams."""
    past = await responses.past(ALICE, [said(text)], previous, more.pop("conversation", None))
    return await (await responses.run(asking(past, **more))).whole()


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


async def until(happens: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not happens():
            await asyncio.sleep(0.002)


async def over(responses: Responses, response_id: str) -> dict[str, Any]:
    await until(lambda: responses.background.get(ALICE, response_id) is None)
    return await responses.get(ALICE, response_id)
