"""What is decided before a run: sessions, titles, throttling, models, agents."""

from __future__ import annotations

import pytest

from backend.core.registry import discover_agents
from backend.models.errors import TooManyRequests
from backend.models.messages import Message, ToolCall
from backend.tasks.answering import from_stored, split_at_last_turn
from backend.tasks.recording import title_of
from backend.tasks.sign_in import Throttle

USER, REPLY, SYSTEM = Message("user", "hi"), Message("assistant", "hello"), Message("system", "be kind")
CALLING = Message("assistant", "", tool_calls=(ToolCall("c1", "f", "{}"),))
RESULT = Message("tool", "42", tool_call_id="c1")


@pytest.mark.parametrize(
    ("messages", "past", "fresh"),
    [
        ([USER], 0, (USER,)),
        ([SYSTEM, USER], 0, (USER,)),
        ([SYSTEM, USER, REPLY, USER], 3, (USER,)),
        ([USER, REPLY, USER, CALLING, RESULT], 2, (USER, CALLING, RESULT)),
        ([USER, REPLY], 2, ()),
    ],
    ids=["first", "with-system", "second-turn", "callers-tools", "nothing-new"],
)
def test_history_is_split_at_the_last_answer(messages: list[Message], past: int, fresh: tuple[Message, ...]) -> None:
    found_past, found_fresh = split_at_last_turn(messages)
    assert len(found_past) == past and found_fresh == fresh


@pytest.mark.parametrize(
    ("text", "title"),
    [("  Hello\n there ", "Hello there"), ("", "New conversation"), ("x" * 100, "x" * 59 + "…")],
    ids=["one-line", "empty", "long"],
)
def test_titles_are_short_lines(text: str, title: str) -> None:
    assert title_of([SYSTEM, Message("user", text)]) == title


def test_stored_tool_traffic_is_not_replayed() -> None:
    from backend.models.conversations import StoredMessage

    stored = [StoredMessage(role, text, 0.0) for role, text in (("user", "a"), ("tool", "b"), ("assistant", "c"))]  # type: ignore[arg-type]
    assert [m.content for m in from_stored(stored)] == ["a", "c"]


def test_auth_8_delays_grow_and_end() -> None:
    throttle = Throttle(free=3)
    now = 1000.0
    waits = []
    for _ in range(8):
        throttle.fail("a", now)
        entry = throttle.failures["a"]
        waits.append(entry.until - now if entry.until else 0.0)
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32]
    with pytest.raises(TooManyRequests) as caught:
        throttle.check("a", now)
    assert caught.value.headers["retry-after"] == "32"
    throttle.check("a", now + 33)
    throttle.check("b", now)


def test_auth_8_longest_delay_is_bounded_and_success_clears_it() -> None:
    throttle = Throttle(free=1)
    for _ in range(50):
        throttle.fail("a", 0.0)
    assert throttle.failures["a"].until <= 300
    throttle.clear("a")
    throttle.check("a", 0.0)


def test_auth_8_memory_of_failures_is_bounded() -> None:
    throttle = Throttle(free=5)
    for n in range(12_000):
        throttle.fail(str(n), 0.0)
    assert len(throttle.failures) <= 10_000


def test_agents_are_found_without_importing_them() -> None:
    agents = discover_agents()
    assert set(agents) == {"react", "plan_execute", "documents"}
    assert all(len(agent.when_to_use) > 20 for agent in agents.values())
