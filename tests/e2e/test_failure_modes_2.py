"""Every way in which programs on top of Ollama are known to fail, 17 to 31; see test_failure_modes.py."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.doubles.ollama_process import fault, reply
from tests.e2e.failing import (
    AGENTS,
    CHAT,
    FIRST_S,
    GAP_S,
    JSON_SCHEMA,
    LLAMA,
    LLAVA,
    MATH,
    QWEN,
    SUM,
    TINY,
    WAYS,
    Caller,
    answers_sum,
)

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


# ---- 17 to 19: the network between ------------------------------------------------------------


@STREAMED
def test_failure_17_line_breaks_of_unicode_and_blank_lines_do_not_end_a_line(caller: Caller, stream: bool) -> None:
    odd = "next\x85line, ls\u2028ps\u2029, bell\x07, tag <b>&amp;, \U0001f600 done"
    caller.double.script(fault("unicode_oddities", text=odd, times=1), fault("blank_lines", match={"path": CHAT}))
    assert caller.ask(stream=stream).text == odd
    assert caller.ask("a\x85b", stream=stream).text == "You said: a\x85b"


@pytest.mark.parametrize("way", WAYS)
def test_failure_18_proxy_of_the_environment_is_not_used(caller: Caller, way: str) -> None:
    assert caller.server.environment["HTTP_PROXY"], "the server was started with a proxy that leads nowhere"
    assert answers_sum(caller.ask(SUM, way), way)


@STREAMED
@pytest.mark.parametrize("kind", ["html_502", "not_json", "redirect"])
def test_failure_18_page_of_a_proxy_is_recognised_as_such(caller: Caller, kind: str, stream: bool) -> None:
    caller.double.script(fault(kind))
    answer = caller.ask(stream=stream)
    assert answer.status == 502
    assert "not Ollama (a proxy?)" in answer.message
    assert "html" not in answer.message.lower()
    caller.still_works()
    caller.after(fault("html_502", times=2))
    assert caller.ask("hi", stream=stream).text == "You said: hi", "a gateway may be starting anew"


@pytest.mark.parametrize("way", WAYS)
def test_failure_19_empty_403_hints_at_the_setting_that_causes_it(caller: Caller, way: str) -> None:
    caller.double.script(fault("empty_403", match={"path": CHAT}))
    answer = caller.ask(SUM, way)
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert "OLLAMA_ORIGINS" in answer.message
    assert len(caller.sent()) == 1, "asking again would not help"
    caller.still_works()


def test_failure_19_nothing_of_the_caller_s_headers_reaches_ollama(caller: Caller) -> None:
    headers = {"origin": caller.server.url, "x-forwarded-for": "10.1.2.3", "cookie": "a=b", "referer": "http://x.test/"}
    caller.ask(extra_headers=headers)
    entry = caller.double.log(CHAT)[-1]
    got = {name.lower(): value for name, value in dict(entry["headers"]).items()}
    assert got["host"] == caller.double.url.removeprefix("http://")
    assert not {"origin", "cookie", "referer", "authorization", "x-forwarded-for"} & got.keys()
    assert caller.server.key not in json.dumps(entry)


# ---- 20 to 24: what models and templates do not take -------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_failure_20_thinking_that_is_not_supported_is_left_out(caller: Caller, way: str) -> None:
    answer = caller.ask(SUM, way, reasoning_effort="high")
    assert answers_sum(answer, way)
    assert all("think" not in body for body in caller.sent()), "not asked for where the model does not list it"
    refusal = reply(error=f'"{QWEN}" does not support thinking', status=400, match={"think": True})
    caller.after(refusal)
    answer = caller.ask(SUM, way, model=QWEN, reasoning_effort="high", stream=True)
    assert answers_sum(answer, way)
    assert [body.get("think") for body in caller.sent()][:2] == [True, None], "listed, but refused: once without"


@pytest.mark.parametrize("way", AGENTS)
def test_failure_20_agents_do_without_native_tools(caller: Caller, way: str) -> None:
    answer = caller.ask(SUM, way, model="wordless:1b", stream=True)
    assert answers_sum(answer, way)
    assert all("tools" not in body for body in caller.sent())
    caller.after(reply(error="registry/x does not support tools", status=400, match={"has_tools": True}))
    answer = caller.ask(SUM, way, stream=True)
    assert answers_sum(answer, way), "listed, but refused: in words or by a schema"


@STREAMED
def test_failure_20_caller_s_tools_for_a_model_without_are_asked_for_by_a_schema(caller: Caller, stream: bool) -> None:
    answer = caller.ask("6*7", plain=True, model=TINY, tools=[MATH], stream=stream)
    assert [name for name, _ in answer.calls] == ["math_calc"]
    assert answer.finish == "tool_calls"
    assert all("tools" not in body and "format" in body for body in caller.sent())


@STREAMED
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["think_in_content", "think_no_opener", "think_tag_split"])
def test_failure_21_thinking_inside_the_content_never_shows(caller: Caller, kind: str, way: str, stream: bool) -> None:
    caller.double.script(fault(kind, text="A secret thought.", match={"path": CHAT}))
    answer = caller.ask(SUM, way, model=QWEN, stream=stream, reasoning_effort="low")
    assert answers_sum(answer, way)
    assert "think>" not in answer.text
    assert "secret" not in answer.text
    if way == "chat":
        assert "A secret thought." in answer.reasoning


@STREAMED
def test_failure_22_format_that_is_ignored_is_noticed(caller: Caller, stream: bool) -> None:
    prose = "Sure! A thing is something red."
    caller.double.script(reply(prose, match={"has_format": True, "think": False}))
    answer = caller.ask(
        "a thing", plain=True, model=QWEN, response_format=JSON_SCHEMA, reasoning_effort="none", stream=stream
    )
    assert set(json.loads(answer.text)) == {"colour", "count"}, "with think unset the same model keeps to it"
    assert caller.sent()[0]["think"] is False
    caller.after(reply(prose, match={"model": QWEN}))
    answer = caller.ask("a thing", plain=True, model=QWEN, response_format=JSON_SCHEMA, stream=stream)
    assert answer.error is not None, "never prose where JSON was promised"
    assert answer.code == "model_fault"
    assert len(caller.sent()) <= 3


def test_failure_22_plan_does_not_depend_on_it(caller: Caller) -> None:
    caller.double.script(reply("Sure! First I would compute.", match={"has_format": True}))
    answer = caller.ask("What is 6*7?", "plan_execute", model=QWEN, reasoning_effort="none")
    assert answer.steps == [("math_calc", "completed")]
    assert "42" in answer.text


MESSAGES: dict[str, list[dict[str, Any]]] = {
    "two-system": [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": SUM},
    ],
    "developer-late": [{"role": "user", "content": SUM}, {"role": "developer", "content": "Be terse."}],
    "two-questions": [{"role": "user", "content": "hi"}, {"role": "user", "content": SUM}],
    "begins-with-assistant": [{"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": SUM}],
}


@pytest.mark.parametrize("model", ["strict:1b", "turns:1b"])
@pytest.mark.parametrize("shape", list(MESSAGES))
@pytest.mark.parametrize("way", WAYS)
def test_failure_23_strict_templates_get_a_conversation_they_take(
    caller: Caller, way: str, shape: str, model: str
) -> None:
    answer = caller.ask(MESSAGES[shape], way, model=model)
    assert answer.error is None, answer.message
    assert "42" in answer.text if way in AGENTS else answer.text.endswith(SUM)
    for body in caller.sent():
        roles = [message["role"] for message in body["messages"]]
        assert roles.count("system") <= 1
        assert "system" not in roles[1:]
        assert "user" in roles


@STREAMED
def test_failure_23_instructions_alone_and_a_prefilled_answer_are_taken_too(caller: Caller, stream: bool) -> None:
    alone = [{"role": "system", "content": "Say hello."}]
    assert caller.ask(alone, model="strict:1b", stream=stream).text == "You said: Say hello."
    begun = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"}]
    assert caller.ask(begun, model="turns:1b", stream=stream).error is None
    assert caller.sent()[-1]["messages"][-1]["role"] == "assistant", "a prefill is meant as one"


@STREAMED
@pytest.mark.parametrize("way", WAYS)
def test_failure_24_model_that_was_only_loaded_is_asked_again(caller: Caller, way: str, stream: bool) -> None:
    loaded = reply("", done_reason="load", times=1)
    caller.double.script(loaded)
    assert answers_sum(caller.ask(SUM, way, stream=stream), way)
    caller.after(reply("", done_reason="load"))
    answer = caller.ask(SUM, way, stream=stream)
    assert answer.status == 502
    assert "loaded the model but gave no answer" in answer.message
    assert len(caller.sent()) == 3
    caller.still_works()


def test_failure_24_conversation_without_a_user_is_refused_here(caller: Caller) -> None:
    answer = caller.ask([{"role": "assistant", "content": "hello"}])
    assert (answer.status, answer.code) == (400, "invalid_value")
    assert caller.sent() == []


# ---- 25 to 28: lifetime, load, silence, leaving ------------------------------------------------


def test_failure_25_keep_alive_for_ever_goes_out_as_a_number(caller: Caller) -> None:
    assert caller.server.environment["OLLAMA_KEEP_ALIVE"] == "-1"
    for way in WAYS:
        assert answers_sum(caller.ask(SUM, way), way)
    caller.sdk.embeddings.create(model="hearth", input="some text")
    assert [body["keep_alive"] for body in caller.sent()] == [-1] * len(caller.sent())
    assert {body["keep_alive"] for body in caller.sent("/api/embed")} == {-1}


@STREAMED
@pytest.mark.parametrize("way", WAYS)
def test_failure_26_busy_is_tried_again_then_handed_on_with_a_time(caller: Caller, way: str, stream: bool) -> None:
    caller.double.script(fault("busy_503", times=2))
    assert answers_sum(caller.ask(SUM, way, stream=stream), way)
    caller.after(fault("busy_503"))
    answer = caller.ask(SUM, way, stream=stream)
    assert (answer.status, answer.code) == (503, "upstream_busy")
    assert int(answer.headers["retry-after"]) > 0
    assert len(caller.sent()) == 3
    caller.still_works()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["chat", "react"])
def test_failure_27_hanging_ollama_is_left_in_time(caller: Caller, way: str) -> None:
    final = {"has_tool_result": way == "react"}
    caller.double.script(reply("one two three four", match=final, faults=fault("stall", after_chunks=2)))
    began = time.monotonic()
    answer = caller.ask(SUM, way, stream=True)
    assert GAP_S <= time.monotonic() - began < GAP_S + 4
    assert answer.text == "one two"
    assert (answer.status, answer.code) == (200, "upstream_timeout")
    assert "stopped in the middle" in answer.message
    caller.closed_within(1.0)
    stalled = [entry for entry in caller.double.log(CHAT) if entry["disconnected_at"]]
    assert len(stalled) == 1, "left once, and not tried again"
    caller.after(fault("stall", after_chunks="headers"))
    answer = caller.ask(SUM, way)
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert f"{FIRST_S:g} s" in answer.message
    assert len(caller.sent()) == 1
    caller.still_works()


@pytest.mark.slow
def test_failure_27_health_says_so_when_ollama_hangs_altogether(caller: Caller) -> None:
    caller.double.script(fault("stall", match={"path": "*"}, after_chunks="headers"))
    with caller.server.client() as http:
        began = time.monotonic()
        while (health := http.get("/health").json())["status"] == "ok":
            assert time.monotonic() - began < 10, "what is remembered does not count for ever"
            time.sleep(0.5)
    assert health["status"] == "degraded"
    assert "does not answer in time" in health["message"]


def read_a_little(caller: Caller, question: str, way: str) -> None:
    """Ask with streaming, and leave after the first words of the answer."""
    chunks = caller.sdk.chat.completions.create(
        model=LLAMA,
        messages=[{"role": "user", "content": question}],
        extra_body={"agent": way, "store": False},
        stream=True,
    )
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    chunks.close()


def wait_little(caller: Caller, question: str, way: str) -> None:
    """Ask without streaming, and lose patience."""
    with pytest.raises(openai.APITimeoutError):
        caller.sdk.with_options(timeout=1.0).chat.completions.create(
            model=LLAMA, messages=[{"role": "user", "content": question}], extra_body={"agent": way, "store": False}
        )


@pytest.mark.parametrize("leave", [read_a_little, wait_little], ids=["streamed", "whole"])
@pytest.mark.parametrize("way", WAYS)
def test_failure_28_ollama_stops_computing_when_the_user_has_left(
    caller: Caller, way: str, leave: Callable[[Caller, str, str], None]
) -> None:
    pieces = [f"w{n} " for n in range(500)]
    final = {"has_format": False} if way == "plan_execute" else {"has_tool_result": way == "react"}
    caller.double.script(reply(None, chunks=pieces, delay_ms=50, match=final))
    leave(caller, SUM, way)
    gone = time.monotonic()
    caller.double.wait_for_log(lambda log: bool([e for e in log if e["path"] == CHAT][-1]["disconnected_at"]), 1.0)
    assert time.monotonic() - gone < 1.0
    assert all(body["stream"] for body in caller.sent()), "only a stream is noticed to be unread"
    caller.still_works()


def test_failure_28_planning_is_stopped_as_well(caller: Caller) -> None:
    caller.double.script(reply(None, chunks=["{"] * 500, delay_ms=50, match={"has_format": True}))
    wait_little(caller, SUM, "plan_execute")
    caller.double.wait_for_log(lambda log: bool([e for e in log if e["path"] == CHAT][-1]["disconnected_at"]), 1.0)


# ---- 29 to 31: embeddings, counters, files -----------------------------------------------------


def test_failure_29_batch_that_is_refused_is_split(caller: Caller) -> None:
    texts = [f"text number {n}" for n in range(8)]
    calm = caller.sdk.embeddings.create(model="hearth", input=texts).data
    caller.after(
        fault("status", status=400, error="the input length exceeds the context length", times=3,
              match={"path": "/api/embed"})
    )  # fmt: skip
    split = caller.sdk.embeddings.create(model="hearth", input=texts).data
    assert [item.index for item in split] == list(range(8))
    assert [item.embedding for item in split] == [item.embedding for item in calm], "in order, and the same"
    assert sorted(len(body["input"]) for body in caller.sent("/api/embed")) == [1, 1, 2, 2, 4, 4, 8]


def test_failure_29_item_that_cannot_be_embedded_is_named(caller: Caller) -> None:
    words = "embedding contains NaN or Inf values"
    caller.double.script(
        fault("status", status=400, error=words, match={"path": "/api/embed", "contains": "poison"})
    )  # fmt: skip
    with pytest.raises(openai.APIStatusError) as caught:
        caller.sdk.embeddings.create(model="hearth", input=["one", "two", "poison pill", "four"])
    error = caught.value.response.json()["error"]
    assert caught.value.status_code in (400, 502)
    assert "poison pill" in error["message"]
    assert caller.double.url not in error["message"]


@STREAMED
@pytest.mark.parametrize("way", WAYS)
def test_failure_30_counters_that_are_missing_are_estimated(caller: Caller, way: str, stream: bool) -> None:
    caller.double.script(fault("counters_absent", match={"path": CHAT}))
    answer = caller.ask(SUM, way, stream=stream)
    assert answers_sum(answer, way)
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert all(step["estimated"] for step in answer.hearth["usage_by_step"]), "and said to be a guess"
    caller.forget()
    answer = caller.ask(SUM, way, stream=stream)
    assert not any(step.get("estimated") for step in answer.hearth["usage_by_step"])


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("/etc/passwd", "chat"),
        ("file:///etc/passwd", "react"),
        ("http://127.0.0.1:9/x.png", "plan_execute"),
        ("data:,/etc/passwd", "chat"),
    ],
)
def test_failure_31_image_that_is_a_path_or_address_is_never_opened(caller: Caller, url: str, way: str) -> None:
    content = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = caller.ask([{"role": "user", "content": content}], way, model=LLAVA)
    assert answer.status == 400
    assert "data: URLs" in answer.message or "base64" in answer.message
    assert caller.sent() == []


def test_failure_31_bytes_that_spell_a_path_are_only_bytes(caller: Caller) -> None:
    for data in (PNG, b"/etc/passwd"):
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        content = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": url}}]
        assert caller.ask([{"role": "user", "content": content}], model=LLAVA).error is None
        assert base64.b64decode(caller.sent()[-1]["messages"][-1]["images"][0]) == data
