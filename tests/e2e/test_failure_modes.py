"""Every way in which programs on top of Ollama are known to fail, 1 to 16: what the user sees, and what Ollama got.

Each runs through the front door, with the official SDK; the numbers are those of our catalogue of failures. The other
half is in test_failure_modes_2.py.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from backend.api import sse
from backend.api.openai_stream import ChatChunks
from backend.models.messages import Event, Finished, TextDelta
from tests.doubles.ollama_process import OllamaDouble, fault, reply, tool_call
from tests.e2e.failing import (
    AGENTS,
    CHAT,
    FIRST_S,
    JSON_SCHEMA,
    LLAMA,
    MATH,
    MODELS,
    QWEN,
    SETTINGS,
    SUM,
    TINY,
    WAYS,
    Caller,
    answers_sum,
    caller_of,
    contents,
)
from tests.fakes.tools import run_context
from tests.server import HearthServer

FORMS = ("object", "parameters", "fenced", "tag", "array", "several", "function")
"""How models write calls into their text."""
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def long_history(turns: int, size: int = 200) -> list[dict[str, Any]]:
    """A conversation of `turns` turns of about `2 * size` words."""
    said: list[dict[str, Any]] = [{"role": "system", "content": "Answer as a pirate."}]
    for n in range(turns):
        said.append({"role": "user", "content": f"question {n} " + "word " * size})
        said.append({"role": "assistant", "content": f"answer {n} " + "word " * size})
    return said


# ---- 1, 2: nobody there, model not there -------------------------------------------------------


@pytest.mark.slow
def test_failure_01_connection_refused_is_a_503_with_a_hint_and_mends_itself(tmp_path: Path) -> None:
    port = free_port()
    settings = SETTINGS | {"EMBEDDING_MODEL": "all-MiniLM-L6-v2"}
    double = OllamaDouble(port=port)
    double.url = f"http://127.0.0.1:{port}"
    with HearthServer(tmp_path, double.url, **settings) as server:
        assert "ollama serve" in server.output, "the start says it, and goes on"
        asking = Caller(server, double)
        for way in WAYS:
            answer = asking.ask(SUM, way)
            assert (answer.status, answer.code) == (503, "upstream_unreachable")
            assert "`ollama serve`" in answer.message
            assert answer.headers["retry-after"].isdigit()
        assert asking.ask(SUM, "chat", stream=True).status == 503
        with server.client() as http:
            health = http.get("/health").json()
        assert health["status"] == "degraded"
        assert "ollama serve" in health["message"]
        assert "42" in asking.ask("What is 6*7?", "react", model="hearth").text, "the built-in model stands in"
        with double, caller_of(server, double) as online:
            deadline = time.monotonic() + 10
            while online.ask("there?").status == 503:
                assert time.monotonic() < deadline
                time.sleep(0.3)
            online.still_works()
        asking.sdk.close()


@pytest.mark.parametrize("way", WAYS)
def test_failure_02_model_not_found_names_what_is_installed_and_pulls_nothing(caller: Caller, way: str) -> None:
    for stream in (False, True):
        answer = caller.ask(SUM, way, model="llama3.2:33b", stream=stream)
        assert (answer.status, answer.code) == (404, "model_not_found")
        assert LLAMA in answer.message, "a typing error is seen at once"
        assert "ollama pull llama3.2:33b" in answer.message
    assert caller.sent("/api/pull") == caller.sent(CHAT) == []


def test_failure_02_model_removed_a_moment_ago_is_not_found_either(caller: Caller) -> None:
    assert caller.ask(model="gone:1b").finish == "stop"
    caller.double.models([each for each in MODELS if each != {"name": "gone:1b"}])
    answer = caller.ask(model="gone:1b")
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert LLAMA in answer.message
    caller.still_works()


# ---- 3 to 7: calls -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_failure_03_tool_call_as_text_is_run_by_the_agent(caller: Caller, form: str) -> None:
    said = tool_call("math_calc", {"expression": "6*7"})
    caller.double.script(reply("", said, faults=fault("calls_as_text", form=form), match={"has_tool_result": False}))
    answer = caller.ask("How much is it?", "react", stream=True)
    assert "42" in answer.text
    assert "math_calc" not in answer.text
    assert answer.steps == [("math_calc", "completed")]
    result = caller.sent()[-1]["messages"]
    assert result[-1]["role"] == "tool"
    assert "42" in result[-1]["content"]


@STREAMED
@pytest.mark.parametrize("form", FORMS)
def test_failure_03_tool_call_as_text_is_passed_on_to_the_caller_whose_tool_it_is(
    caller: Caller, form: str, stream: bool
) -> None:
    said = tool_call("math_calc", {"expression": "6*7"})
    caller.double.script(reply("", said, faults=fault("calls_as_text", form=form)))
    answer = caller.ask("6*7", plain=True, tools=[MATH], stream=stream)
    assert answer.calls[0] == ("math_calc", {"expression": "6*7"})
    assert len(answer.calls) == 1 or form == "several"
    assert (answer.finish, answer.text) == ("tool_calls", "")


@STREAMED
def test_failure_03_text_that_only_looks_like_a_call_stays_text(caller: Caller, stream: bool) -> None:
    said = tool_call("math_calc", {"expression": "6*7"})
    foreign = '{"name": "not_offered", "arguments": {}}'
    caller.double.script(
        reply("", said, faults=fault("calls_as_text", form="prose"), times=1),
        reply(foreign, times=1),
    )
    prose = caller.ask("6*7", plain=True, tools=[MATH], stream=stream)
    assert prose.text.startswith("I will call the tool now: {")
    assert (prose.calls, prose.finish) == ([], "stop")
    assert caller.ask("6*7", plain=True, tools=[MATH], stream=stream).text == foreign


def test_failure_03_plan_in_a_fence_with_talk_around_is_still_a_plan(caller: Caller) -> None:
    plan = {
        "steps": [{"id": "s1", "purpose": "p", "tool": "math_calc", "input": {"expression": "6*7"}, "depends_on": []}]
    }
    match = {"format_property": "steps"}
    caller.double.script(reply(json.dumps(plan), match=match, faults=fault("json_fenced")))
    answer = caller.ask("How much is it?", "plan_execute")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text


@STREAMED
@pytest.mark.parametrize("way", WAYS)
def test_failure_04_only_thinking_is_asked_again_without(caller: Caller, way: str, stream: bool) -> None:
    caller.double.script(fault("thinking_only", times=1, match={"has_format": False}))
    answer = caller.ask(SUM, way, model=QWEN, stream=stream)
    assert answers_sum(answer, way)
    assert answer.finish == "stop"
    thinks = [body.get("think") for body in caller.sent() if "format" not in body]
    assert thinks[:2] == [None, False]


@pytest.mark.parametrize("way", WAYS)
def test_failure_04_thinking_for_ever_is_never_an_empty_success(caller: Caller, way: str) -> None:
    caller.double.script(fault("thinking_only", match={"has_format": False}))
    answer = caller.ask(SUM, way, model=QWEN)
    assert answer.finish == "length"
    assert answer.text or answer.hearth["stopped_because"]
    assert "Still thinking" not in answer.text
    assert len(caller.sent()) <= 12
    caller.after(fault("thinking_only", done_reason="stop", match={"has_format": False}))
    answer = caller.ask(SUM, way, model=QWEN, stream=True)
    assert answer.code == "model_fault" if way == "chat" else answer.finish == "length" or answers_sum(answer, way)
    caller.still_works()


@pytest.mark.parametrize("stream", [False, True], ids=["status", "line"])
@pytest.mark.parametrize("way", WAYS)
def test_failure_05_malformed_arguments_are_asked_for_again_at_low_temperature(
    caller: Caller, way: str, stream: bool
) -> None:
    words = "error parsing tool call: raw='{\"expression\": 6*7', err=invalid character '*'"
    match = {"has_format": True} if way == "plan_execute" else {"has_tools": True}
    caller.double.script(
        fault("error_line", error=words, after_chunks=0, times=1, match=match)
        if stream
        else fault("bad_tool_call_500", times=1, match=match)
    )
    if way == "chat":
        answer = caller.ask("6*7", plain=True, tools=[MATH], stream=stream)
        assert answer.calls == [("math_calc", {"expression": "6*7"})]
    else:
        answer = caller.ask(SUM, way, stream=stream)
        assert "42" in answer.text
        assert answer.steps == [("math_calc", "completed")]
    first, second = (body["options"]["temperature"] for body in caller.sent()[:2])
    assert second == 0
    assert first == (0 if way == "plan_execute" else 0.7)


def test_failure_05_model_that_always_writes_malformed_calls_is_blamed_not_ollama(caller: Caller) -> None:
    caller.double.script(fault("bad_tool_call_500", match={"has_tools": True}))
    for _ in range(6):
        answer = caller.ask("6*7", plain=True, tools=[MATH])
        assert (answer.status, answer.code) == (502, "model_fault")
        assert "tool call" in answer.message
    assert len(caller.sent()) == 12, "twice each, and the circuit breaker leaves Ollama in peace"
    caller.still_works()


def test_failure_05_agent_of_such_a_model_still_answers(caller: Caller) -> None:
    caller.double.script(fault("bad_tool_call_500", match={"has_tools": True}))
    answer = caller.ask(SUM, "react")
    assert answer.error is None
    assert "42" in answer.text, "calls by a JSON schema or in words do without the server's parser"


def test_failure_06_wrong_arguments_and_names_are_told_to_the_model(caller: Caller) -> None:
    caller.double.script(
        reply("", tool_call("calculate", {"expression": "6*7"}), times=1),
        reply("", tool_call("math_calc", {"formula": "6*7"}), times=1),
        reply("", tool_call("math_calc", {"expression": "6*7"}), times=1),
    )
    answer = caller.ask("How much is it?", "react")
    assert "42" in answer.text
    assert answer.steps[-1] == ("math_calc", "completed")
    told = contents(caller.sent()[-1], "tool")
    assert "calculate" in told[0]
    assert "math_calc" in told[0], "the tools there are"
    assert "expression" in told[1], "the field that is missing"


@pytest.mark.parametrize("way", AGENTS)
def test_failure_06_lossless_repairs_are_made_without_asking(caller: Caller, way: str) -> None:
    data = '[{"price": 10}, {"price": 20}]'
    # A table as a list where text belongs, and a field that nobody asked for.
    wrong = {"data": json.loads(data), "question": "mean price", "colour": "red"}
    if way == "react":
        caller.double.script(reply("", tool_call("data_analysis", wrong), match={"has_tool_result": False}))
    else:
        step = {"id": "s1", "purpose": "p", "tool": "data_analysis", "input": wrong, "depends_on": []}
        caller.double.script(reply(json.dumps({"steps": [step]}), match={"format_property": "steps"}))
    answer = caller.ask("What is the mean?", way)
    assert answer.steps == [("data_analysis", "completed")]
    assert "15" in answer.text


def test_failure_06_plan_with_wrong_input_asks_for_the_input_once(caller: Caller) -> None:
    step = {"id": "s1", "purpose": "p", "tool": "math_calc", "input": {"formula": "6*7"}, "depends_on": []}
    caller.double.script(
        reply(json.dumps({"steps": [step]}), match={"format_property": "steps"}),
        reply('{"expression": "6*7"}', match={"format_property": "expression"}),
    )
    answer = caller.ask("How much is it?", "plan_execute")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text


def test_failure_07_same_call_twice_in_one_turn_is_run_once_and_answered_twice(caller: Caller) -> None:
    twice = [tool_call("math_calc", {"expression": "6*7"}), tool_call("math_calc", {"expression": "6*7"})]
    caller.double.script(reply("", *twice, match={"has_tool_result": False}))
    answer = caller.ask("How much is it?", "react")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text
    last = caller.sent()[-1]["messages"]
    asked = [call["id"] for message in last for call in message.get("tool_calls", ())]
    assert len(set(asked)) == 2
    assert [message["tool_call_id"] for message in last if message["role"] == "tool"] == asked


def test_failure_07_same_call_for_ever_ends_with_an_answer(caller: Caller) -> None:
    caller.double.script(reply("", tool_call("math_calc", {"expression": "6*7"}), match={"has_tools": True}))
    answer = caller.ask("How much is it?", "react", stream=True)
    assert answer.steps.count(("math_calc", "completed")) == 1
    assert "42" in answer.text
    assert len(caller.sent()) <= 6
    assert "tools" not in caller.sent()[-1], "in the end it is offered none"


def test_failure_07_plan_that_never_suffices_runs_each_step_once_and_ends(caller: Caller) -> None:
    caller.double.script(reply('{"missing": ["more"], "passed": false}', match={"format_property": "passed"}))
    answer = caller.ask(SUM, "plan_execute")
    assert answer.steps.count(("math_calc", "completed")) == 1
    assert "42" in answer.text
    plans = [body for body in caller.sent() if "steps" in (body.get("format") or {}).get("properties", {})]
    assert len(plans) <= 6


# ---- 8: JSON without end -----------------------------------------------------------------------


@STREAMED
def test_failure_08_json_and_then_blanks_for_ever_is_an_answer(caller: Caller, stream: bool) -> None:
    pieces = ['{"colour":', ' "red", "count": 1}', *["\n  "] * 4000]
    caller.double.script(reply(None, chunks=pieces, delay_ms=1, times=1))
    answer = caller.ask("a thing", plain=True, response_format=JSON_SCHEMA, stream=stream)
    assert json.loads(answer.text) == {"colour": "red", "count": 1}
    assert answer.finish == "stop"
    body = caller.sent()[0]
    assert body["format"] == JSON_SCHEMA["json_schema"]["schema"]
    assert '"colour"' in contents(body, "system")[0], "the model does not see the format, so it stands in the prompt"
    assert body["options"]["num_predict"] > 0
    caller.double.wait_for_log(lambda log: bool(log[-1]["disconnected_at"]), 1.0)


@STREAMED
def test_failure_08_nothing_but_blanks_is_a_fault_of_the_model(caller: Caller, stream: bool) -> None:
    caller.double.script(fault("endless_whitespace", match={"has_format": True}))
    answer = caller.ask("a thing", plain=True, response_format={"type": "json_object"}, stream=stream)
    assert (answer.status, answer.code) == (502, "model_fault")
    caller.after(fault("endless_whitespace", match={"has_format": True}, times=1))
    answer = caller.ask("a thing", plain=True, response_format={"type": "json_object"}, stream=stream)
    assert json.loads(answer.text), "once is survived"


def test_failure_08_plan_of_blanks_is_made_without_the_model(caller: Caller) -> None:
    caller.double.script(fault("endless_whitespace", match={"has_format": True}))
    answer = caller.ask("What is 6*7?", "plan_execute")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text


# ---- 9 to 12: the window -----------------------------------------------------------------------


def test_failure_09_nothing_is_forgotten_silently_in_a_long_chat(caller: Caller) -> None:
    history = long_history(20)
    for stream in (False, True):
        answer = caller.ask([*history, {"role": "user", "content": "and now?"}], model=TINY, stream=stream)
        assert answer.text == "You said: and now?"
    entry = caller.double.log(CHAT)[-1]
    sent = entry["body"]["messages"]
    assert entry["kept_messages"] == len(sent) < len(history), "Ollama itself dropped nothing"
    assert sent[0] == history[0]
    assert sent[1]["content"].startswith("question 0 "), "the first message says what everything is about"
    assert sent[2]["role"] == "assistant"
    assert "earlier messages of this conversation were left out here" in sent[2]["content"]
    assert sent[-1]["content"] == "and now?"


@pytest.mark.parametrize("way", AGENTS)
def test_failure_09_agents_keep_their_tools_and_results_in_a_long_chat(caller: Caller, way: str) -> None:
    history = long_history(40)
    answer = caller.ask([*history, {"role": "user", "content": SUM}], way, model="narrow:1b")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text
    for entry in caller.double.log(CHAT):
        assert entry["kept_messages"] == len(entry["body"]["messages"]) < 70
        assert [message["role"] for message in entry["body"]["messages"]].count("system") == 1
    assert "42" in contents(caller.sent()[-1], "tool")[0]


@pytest.mark.parametrize("name", ["narrow:1b", "narrower:1b"], ids=["native", "rendered"])
@pytest.mark.parametrize("way", WAYS)
def test_failure_10_question_beyond_the_window_is_refused_alike_by_every_model(
    caller: Caller, way: str, name: str
) -> None:
    for stream in (False, True):
        answer = caller.ask("word " * 20_000, way, model=name, stream=stream)
        assert (answer.status, answer.code) == (400, "context_length_exceeded")
        assert "shorten it" in answer.message
    assert caller.sent() == [], "nothing is sent that would be cut silently"


@STREAMED
def test_failure_10_prompt_that_ollama_finds_too_long_is_trimmed_and_tried_once_more(
    caller: Caller, stream: bool
) -> None:
    caller.double.script(fault("nested_error", times=1))
    history = [*long_history(5), {"role": "user", "content": "and now?"}]
    assert caller.ask(history, model=TINY, stream=stream).text == "You said: and now?"
    first, second = (json.dumps(body["messages"]) for body in caller.sent())
    assert len(second) < len(first)
    caller.after(fault("nested_error"))
    answer = caller.ask(history, model=TINY, stream=stream)
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert len(caller.sent()) == 2


@pytest.mark.slow
def test_failure_11_slow_first_token_is_waited_for_up_to_its_own_limit(caller: Caller) -> None:
    answer = caller.ask(SUM, model="slow:1b", stream=True)
    assert answer.error is None, "longer than the limit between two tokens, shorter than that before the first"
    caller.forget()
    began = time.monotonic()
    answer = caller.ask(SUM, model="stuck:1b", stream=True)
    assert FIRST_S <= time.monotonic() - began < FIRST_S + 4
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert "loading the model" in answer.message
    assert len(caller.sent()) == 1, "a second try would only wait again"
    caller.still_works()


async def test_failure_11_caller_is_kept_warm_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "COMMIT_SECONDS", 0.05)
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    sent: list[bytes] = []

    async def answer() -> AsyncGenerator[Event, None]:
        await asyncio.sleep(0.4)
        yield TextDelta("late")
        yield Finished("stop")

    async def receive() -> dict[str, Any]:
        return await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    encoder = ChatChunks(run_context(), "m", include_usage=False)
    await sse.EventStream(answer(), encoder, {})({"type": "http"}, receive, send)
    at = next(n for n, frame in enumerate(sent) if b"late" in frame)
    assert b'"role":"assistant"' in b"".join(sent[:at]), "the head does not wait for the model"
    assert sent[:at].count(b": ping\n\n") >= 2
    assert b"[DONE]" in sent[-2]


@pytest.mark.slow
def test_failure_12_mixed_calls_never_load_the_model_anew_but_to_grow(caller: Caller) -> None:
    def everything() -> None:
        for stream in (False, True):
            for way in WAYS:
                assert caller.ask(SUM, way, model="mixed:1b", stream=stream).error is None
            caller.ask("6*7", plain=True, model="mixed:1b", tools=[MATH], stream=stream)
            caller.ask("a thing", plain=True, model="mixed:1b", response_format=JSON_SCHEMA, stream=stream)
            caller.ask("hi", model="mixed:1b", max_tokens=20, temperature=0, seed=1, stop=["x"], stream=stream)
        caller.ask("What is 6*7?", model="mixed:1b", way="auto")
        caller.sdk.embeddings.create(model="hearth", input="some text")

    everything()
    windows = [body["options"]["num_ctx"] for body in caller.sent()]
    assert windows == sorted(windows), "it only ever grows"
    assert max(windows) <= 16_384
    reloads = caller.double.stats()["total_reloads"]
    assert reloads == len(set(windows)) - 1
    everything()
    assert caller.double.stats()["total_reloads"] == reloads, "from then on never again"
    assert {body["keep_alive"] for body in caller.sent()} == {-1}


# ---- 13 to 16: broken off, garbled -------------------------------------------------------------


@pytest.mark.parametrize(("kind", "way"), [("terminated_500", "chat"), ("crashed_500", "react")])
def test_failure_13_runner_that_died_is_waited_for(caller: Caller, kind: str, way: str) -> None:
    caller.double.script(fault(kind, times=2))
    answer = caller.ask(SUM, way, stream=True)
    assert answers_sum(answer, way)
    caller.after(fault(kind))
    answer = caller.ask(SUM, way, stream=True)
    assert (answer.status, answer.code) == (503, "upstream_crashed")
    assert "smaller model" in answer.message
    assert len(caller.sent()) == 3
    caller.still_works()


@pytest.mark.parametrize("way", WAYS)
def test_failure_13_too_little_memory_is_said(caller: Caller, way: str) -> None:
    answer = caller.ask(SUM, way, model="huge:70b")
    assert (answer.status, answer.code) == (503, "out_of_memory")
    assert "smaller OLLAMA_NUM_CTX" in answer.message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["eof_without_done", "reset", "incomplete_chunked"])
def test_failure_14_answer_without_an_end_is_an_error_not_a_short_success(caller: Caller, how: str, way: str) -> None:
    final = {"has_format": False} if way == "plan_execute" else {"has_tool_result": way == "react"}
    caller.double.script(reply("one two three four five", match=final, faults=fault(how, after_chunks=3)))
    answer = caller.ask(SUM, way, stream=True)
    assert answer.text == "one two three"
    assert answer.status == 200
    assert answer.code == "upstream_cut"
    assert answer.finish is None
    assert len([body for body in caller.sent() if "format" not in body]) == (2 if way == "react" else 1), "no retry"
    answer = caller.ask(SUM, way)
    assert (answer.status, answer.code) == (502, "upstream_cut")
    caller.still_works()


@pytest.mark.parametrize("way", WAYS)
def test_failure_14_answer_cut_before_its_first_word_is_tried_again(caller: Caller, way: str) -> None:
    caller.double.script(fault("eof_without_done", after_chunks=0, times=2))
    answer = caller.ask(SUM, way, stream=True)
    assert answers_sum(answer, way)
    assert answer.finish == "stop"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["error_line", "nested_error_line"])
def test_failure_15_error_in_mid_stream_is_told_and_ends_the_stream(caller: Caller, kind: str, way: str) -> None:
    final = {"has_format": False} if way == "plan_execute" else {"has_tool_result": way == "react"}
    caller.double.script(reply("one two three four five", match=final, faults=fault(kind, after_chunks=2)))
    body = {"model": LLAMA, "messages": [{"role": "user", "content": SUM}], "agent": way, "stream": True}
    with caller.server.client() as http:
        lines = http.post("/v1/chat/completions", json=body | {"store": False}).text.splitlines()
    frames = [line.removeprefix("data: ") for line in lines if line.startswith("data: ") and line != "data: [DONE]"]
    assert set(json.loads(frames[-1])) == {"error"}, "the last frame is the error"
    assert not any(choice["finish_reason"] for f in frames[:-1] for choice in json.loads(f)["choices"])
    answer = caller.ask(SUM, way, stream=True)
    assert answer.text == "one two"
    assert answer.status == 200
    assert answer.error is not None
    assert caller.ask(SUM, way).status in (502, 503)
    caller.still_works()


@STREAMED
@pytest.mark.parametrize("kind", ["split_utf8", "bytewise", "split_line"])
def test_failure_16_characters_cut_by_the_network_come_out_whole(caller: Caller, kind: str, stream: bool) -> None:
    text = "Grüße 👩‍👩‍👧 日本語 €"
    caller.double.script(fault(kind, match={"path": CHAT}))
    assert caller.ask(text, stream=stream).text == f"You said: {text}"


@STREAMED
def test_failure_16_character_that_ollama_broke_itself_is_passed_on_as_it_is(caller: Caller, stream: bool) -> None:
    caller.double.script(reply(None, chunks=["a\ufffd", "\ufffdb 👍"]))
    assert caller.ask(stream=stream).text == "a\ufffd\ufffdb 👍"
