from __future__ import annotations

import pytest

from backend.core.checkpoint import caller_call_id, messages_from_json, messages_to_json, run_of_call
from backend.models.errors import InvalidRequest, StorageFailed
from backend.models.messages import Image, Message, ToolCall
from backend.models.run import Owner
from backend.models.tools import FileLink, Source, ToolResult
from backend.tasks.paused import paused_run, trailing_results
from tests.fakes.stores import FakeRuns

ALICE = Owner("default", "alice")
BOB = Owner("default", "bob")
RUN = "run_" + "ab12" * 8
FIRST, SECOND = caller_call_id(RUN, 0), caller_call_id(RUN, 1)


async def waiting_run() -> FakeRuns:
    runs = FakeRuns()
    checkpoint = {"agent": "react", "waiting": [FIRST, SECOND]}
    await runs.save(ALICE, {"run_id": RUN, "session_id": "s1", "checkpoint": checkpoint})
    return runs


def conversation(*ids: str) -> tuple[Message, ...]:
    calls = tuple(ToolCall(each, "look", "{}") for each in (FIRST, SECOND))
    results = [Message("tool", f"result of {each}", tool_call_id=each) for each in ids]
    return (Message("user", "q"), Message("assistant", "", tool_calls=calls), *results)


async def test_results_at_the_end_lead_back_to_the_run_that_waits() -> None:
    paused = await paused_run(await waiting_run(), ALICE, conversation(FIRST, SECOND))
    assert paused is not None
    assert (paused.run_id, paused.agent, len(paused.results)) == (RUN, "react", 2)
    session = paused.session(store=True)
    assert (session.id, session.exists, session.new) == ("s1", True, paused.results)
    assert paused.session(store=False).id is None


async def test_a_missing_result_is_named() -> None:
    with pytest.raises(InvalidRequest, match=SECOND):
        await paused_run(await waiting_run(), ALICE, conversation(FIRST))


@pytest.mark.parametrize(
    ("owner", "messages"),
    [
        pytest.param(BOB, conversation(FIRST, SECOND), id="test_inj_2_somebody_else"),
        pytest.param(ALICE, conversation(), id="no_results"),
        pytest.param(ALICE, (*conversation(FIRST, SECOND), Message("user", "and now?")), id="a_new_turn"),
        pytest.param(ALICE, (Message("tool", "x", tool_call_id="call_7"),), id="an_id_of_the_clients_own"),
        pytest.param(ALICE, (Message("tool", "x", tool_call_id=caller_call_id("run_" + "0" * 32, 1)),), id="unknown"),
    ],
)
async def test_otherwise_nothing_is_resumed(owner: Owner, messages: tuple[Message, ...]) -> None:
    assert await paused_run(await waiting_run(), owner, messages) is None


def test_only_tool_messages_at_the_very_end_are_results() -> None:
    messages = (
        Message("tool", "old", tool_call_id="a"),
        Message("user", "q"),
        Message("tool", "new", tool_call_id="b"),
    )
    assert [each.tool_call_id for each in trailing_results(messages)] == ["b"]
    assert trailing_results(()) == ()


def test_call_ids_lead_back_to_their_run_and_others_do_not() -> None:
    assert run_of_call(caller_call_id(RUN, 12)) == RUN
    assert len(caller_call_id(RUN, 99)) <= 43
    for other in ("call_12", "", "call_" + "g" * 32 + "_0", FIRST + "\n", FIRST + "x", "x" + FIRST):
        assert run_of_call(other) is None


def test_messages_survive_being_written_down() -> None:
    import json

    source = Source("document", "a.pdf, p. 3", "quote ü", "/files/f/view", "f", "a.pdf", 3, 0.5)
    link = FileLink("f1", "plot.png", "image/png", 3, "/api/artifacts/f1")
    messages = [
        Message("system", "rules"),
        Message("user", "look", (Image("image/png", b"\x00\xff"),)),
        Message("assistant", "", tool_calls=(ToolCall("c1", "look", '{"a":1}'),), reasoning="hm"),
        Message("tool", "seen", (), (), "c1", "look", "", ToolResult("t", {"n": 1}, (source,), None, (link,)), (1,)),
    ]
    assert messages_from_json(json.loads(json.dumps(messages_to_json(messages)))) == messages


@pytest.mark.parametrize("damaged", [None, 3, [{}], [{"role": "user"}], ["x"]])
def test_a_damaged_checkpoint_says_so(damaged: object) -> None:
    with pytest.raises(StorageFailed, match="ask again"):
        messages_from_json(damaged)
