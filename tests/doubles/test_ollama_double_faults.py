"""Every fault of the double, as a client sees it that does nothing but read bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.doubles.ollama.faults import KINDS
from tests.doubles.ollama_process import OllamaDouble, fault, reply, tool_call

TOOL = {"type": "function", "function": {"name": "math_calc", "parameters": {"type": "object", "properties": {}}}}
BODY: dict[str, Any] = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "hé 😀 there"}]}
ECHO = "You said: hé 😀 there"


@pytest.fixture
async def http(ollama_double: OllamaDouble) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ollama_double.url, trust_env=False, verify=False, timeout=10) as made:
        yield made


@dataclass
class Seen:
    """What came back: the raw reads, how the body ended, and the objects in it."""

    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    reads: list[bytes] = field(default_factory=list)
    error: Exception | None = None

    @property
    def raw(self) -> bytes:
        return b"".join(self.reads)

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.split(b"\n") if line.strip()]

    @property
    def content(self) -> str:
        return "".join(item["message"]["content"] or "" for item in self.objects if "message" in item)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [call for item in self.objects for call in item.get("message", {}).get("tool_calls") or ()]

    @property
    def last(self) -> dict[str, Any]:
        return self.objects[-1]


async def read(http: httpx.AsyncClient, **fields: Any) -> Seen:
    seen = Seen()
    try:
        async with http.stream("POST", "/api/chat", json=BODY | fields) as response:
            seen.status, seen.headers = response.status_code, response.headers
            async for data in response.aiter_raw():
                seen.reads.append(data)
    except httpx.TransportError as error:
        seen.error = error
    return seen


async def spoiled(http: httpx.AsyncClient, double: OllamaDouble, kind: str, fields: Any = None, **params: Any) -> Seen:
    double.script(fault(kind, **params))
    return await read(http, **(fields or {}))


class TestInsteadOfAnAnswer:
    @pytest.mark.parametrize(
        ("kind", "status", "text"),
        [
            ("html_502", 502, "<html>"),
            ("empty_403", 403, ""),
            ("unauthorized_401", 401, '{"error":"unauthorized","signin_url"'),
            ("busy_503", 503, '{"error":"server busy, please try again.  maximum'),
            ("terminated_500", 500, '{"error":"llama-server process has terminated'),
            ("crashed_500", 500, '{"error":"model runner has unexpectedly stopped'),
            ("out_of_memory_500", 500, '{"error":"model requires more system memory'),
            ("bad_tool_call_500", 500, '{"error":"error parsing tool call: raw='),
            ("nested_error", 400, '{"error":"{\\"error\\":{\\"code\\":400'),
            ("not_json", 200, "Welcome"),
        ],
    )
    async def test_status_and_body(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str, status: int, text: str
    ) -> None:
        seen = await spoiled(http, ollama_double, kind)
        assert (seen.status, seen.raw.decode()[: len(text)]) == (status, text)
        assert bool(text) == bool(seen.raw)

    async def test_any_status(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "status", status=429, error="slow", headers={"Retry-After": "3"})
        assert (seen.status, seen.raw, seen.headers["retry-after"]) == (429, b'{"error":"slow"}', "3")

    async def test_redirect(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "redirect", location="/elsewhere")
        assert (seen.status, seen.headers["location"]) == (307, "/elsewhere")

    async def test_closed_without_a_byte(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "closed")
        assert isinstance(seen.error, httpx.RemoteProtocolError)

    async def test_n_times_and_then_success(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("busy_503", times=2), fault("terminated_500", times=1))
        assert [(await read(http)).status for _ in range(4)] == [503, 503, 500, 200]


class TestEndsOfStreams:
    async def test_reset_after_k_chunks(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "reset", after_chunks=2)
        assert isinstance(seen.error, httpx.ReadError)
        assert len(seen.objects) == 2

    @pytest.mark.parametrize("kind", ["reset", "incomplete_chunked"])
    async def test_nothing_but_an_end(self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str) -> None:
        seen = await spoiled(http, ollama_double, kind, after_chunks="headers")
        assert (seen.status, isinstance(seen.error, httpx.TransportError)) == (0, True)

    @pytest.mark.parametrize("mid_chunk", [True, False])
    async def test_incomplete_chunked_body(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, mid_chunk: bool
    ) -> None:
        seen = await spoiled(http, ollama_double, "incomplete_chunked", after_chunks=3, mid_chunk=mid_chunk)
        assert isinstance(seen.error, httpx.RemoteProtocolError)
        assert seen.raw.count(b"\n") == 3
        assert seen.raw.endswith(b"\n") is not mid_chunk

    async def test_eof_without_done_is_a_clean_end(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "eof_without_done")
        assert (seen.error, seen.content, seen.last["done"]) == (None, ECHO, False)
        whole = await read(http, stream=False)
        assert whole.last["done"] is False
        assert "eval_count" not in whole.last

    @pytest.mark.parametrize("kind", ["error_line", "nested_error_line"])
    async def test_error_line_after_k_chunks(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str
    ) -> None:
        seen = await spoiled(http, ollama_double, kind, after_chunks=2)
        assert (seen.status, seen.error, len(seen.objects)) == (200, None, 3)
        assert set(seen.last) == {"error"}
        assert seen.last["error"].startswith("{") is (kind == "nested_error_line")

    @pytest.mark.parametrize(("after", "objects"), [("headers", 0), (0, 0), (2, 2)])
    async def test_stall_lasts_until_the_client_leaves(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, after: int | str, objects: int
    ) -> None:
        http.timeout = httpx.Timeout(0.2)
        seen = await spoiled(http, ollama_double, "stall", after_chunks=after)
        assert isinstance(seen.error, httpx.ReadTimeout)
        assert len(seen.objects) == objects
        assert seen.status == (0 if after == "headers" else 200)
        ollama_double.wait_for_log(lambda log: log[0]["disconnected_at"] is not None, 1.0)

    async def test_whole_answers_break_off_half_way(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "reset", {"stream": False})
        assert isinstance(seen.error, httpx.TransportError)
        assert not seen.raw.endswith(b"}")


class TestTime:
    async def test_delay_before_headers(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        began = time.monotonic()
        assert (await spoiled(http, ollama_double, "delay_headers", ms=150)).content == ECHO
        assert time.monotonic() - began >= 0.15

    async def test_delay_between_chunks(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        began = time.monotonic()
        seen = await spoiled(http, ollama_double, "delay_chunks", ms=30)
        assert time.monotonic() - began >= 0.15
        assert len(seen.reads) >= 5


class TestNetworkShapes:
    @pytest.mark.parametrize(
        "kind", ["bytewise", "coalesce", "split_line", "split_utf8", "blank_lines", "no_final_newline"]
    )
    async def test_the_objects_survive(self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str) -> None:
        seen = await spoiled(http, ollama_double, kind)
        assert (seen.error, seen.content, seen.last["done"]) == (None, ECHO, True)

    async def test_bytewise_is_one_byte_per_chunk(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "bytewise")
        assert ollama_double.log()[0]["chunks"] == len(seen.raw)

    async def test_coalesce_joins_lines(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "coalesce", lines=4)
        assert ollama_double.log()[0]["chunks"] == 2
        assert len(seen.objects) == 6

    async def test_split_utf8_cuts_inside_characters(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        seen = await spoiled(http, ollama_double, "split_utf8")
        broken = 0
        for data in seen.reads:
            try:
                data.decode()
            except UnicodeDecodeError:
                broken += 1
        assert broken >= 2

    async def test_blank_lines_and_no_final_newline(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script({"fault": [{"kind": "blank_lines"}, {"kind": "no_final_newline"}]})
        seen = await read(http)
        assert b"\n\n" in seen.raw
        assert seen.raw.endswith(b"}")

    async def test_gzip_and_wrong_content_type(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script({"fault": [{"kind": "gzip"}, {"kind": "wrong_content_type", "content_type": "text/html"}]})
        response = await http.post("/api/chat", json=BODY)
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-type"] == "text/html"
        assert json.loads(response.text.splitlines()[-1])["done"] is True


class TestObjects:
    async def test_final_carries_text(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "final_carries_text")
        assert (seen.content, seen.last["message"]["content"], seen.last["done"]) == (ECHO, " there", True)

    async def test_final_carries_tool_calls(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(reply("so", tool_call("f"), faults=fault("final_carries_tool_calls")))
        seen = await read(http, tools=[TOOL])
        assert seen.last["message"]["tool_calls"][0]["function"]["name"] == "f"
        assert len(seen.calls) == 1

    @pytest.mark.parametrize("reason", ["load", "unload", "new_reason", None])
    async def test_done_reason(self, http: httpx.AsyncClient, ollama_double: OllamaDouble, reason: str | None) -> None:
        seen = await spoiled(http, ollama_double, "done_reason", reason=reason)
        assert (seen.last["done"], seen.last.get("done_reason")) == (True, reason)

    async def test_counters_absent(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "counters_absent")
        assert set(seen.last) == {"model", "created_at", "message", "done", "done_reason"}

    async def test_extra_and_null_fields(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script({"fault": [{"kind": "extra_fields"}, {"kind": "null_fields"}]})
        seen = await read(http)
        assert all(item["x_new_field"] for item in seen.objects)
        assert (seen.last["done_reason"], seen.last["message"]["content"]) == (None, None)
        assert seen.content == ECHO

    async def test_models_null(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("models_null", match={"path": "/api/tags"}))
        assert (await http.get("/api/tags")).json() == {"models": None}


def call_names(seen: Seen) -> list[str]:
    return [call["function"]["name"] for call in seen.calls]


class TestToolCalls:
    async def test_spread_over_chunks(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "tool_calls_spread")
        assert len([item for item in seen.objects if item["message"].get("tool_calls")]) == 2

    async def test_ids(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(*(fault(kind, times=1) for kind in ("repeated_ids", "absent_ids", "zero_index")))
        repeated, absent, zero = [await read(http) for _ in range(3)]
        assert [call["id"] for call in repeated.calls] == ["call_same0000"] * 2
        assert "id" not in absent.calls[0]
        assert zero.calls[0]["function"]["index"] == 0

    @pytest.mark.parametrize(
        ("form", "start"),
        [
            ("object", '{"name": "math_calc", "arguments"'),
            ("parameters", '{"name": "math_calc", "parameters"'),
            ("fenced", "```json\n{"),
            ("tag", "<tool_call>\n{"),
            ("array", '[{"name"'),
            ("several", '{"name"'),
            ("function", "<function=math_calc>{"),
            ("prose", "I will call"),
        ],
    )
    async def test_calls_as_text(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, form: str, start: str
    ) -> None:
        seen = await spoiled(http, ollama_double, "calls_as_text", form=form)
        assert seen.content.startswith(start)
        assert seen.calls == []

    async def test_spoiled_calls(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        kinds = ("string_arguments", "unknown_tool", "empty_name", "duplicate_calls", "wrong_arguments")
        ollama_double.script(*(fault(kind, times=1) for kind in kinds))
        text, unknown, empty, twice, wrong = [await read(http) for _ in kinds]
        assert text.calls[0]["function"]["arguments"] == '{"expression": "6*7"}'
        assert (call_names(unknown), call_names(empty)) == (["no_such_tool"], [""])
        assert twice.calls[0]["function"]["arguments"] == twice.calls[1]["function"]["arguments"]
        assert wrong.calls[0]["function"]["arguments"]["extra"] == 1

    async def test_truncated_arguments_end_with_length(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        seen = await spoiled(http, ollama_double, "truncated_arguments")
        assert seen.calls[0]["function"]["arguments"] == {"expression": "6"}
        assert seen.last["done_reason"] == "length"


class TestText:
    async def test_unicode_oddities_on_the_wire(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "unicode_oddities")
        for piece in ("\x85".encode(), b"\\u2028", b"\\u2029", b"\\u0000", b"\\ud83d", "😀".encode()):
            assert piece in seen.raw
        assert "half \ud83d," in seen.content

    async def test_long_line(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        seen = await spoiled(http, ollama_double, "long_line", mib=2)
        assert max(len(line) for line in seen.raw.split(b"\n")) > 2 * 1024 * 1024

    @pytest.mark.parametrize(
        ("kind", "start"),
        [
            ("think_in_content", "<think>\n"),
            ("think_no_opener", "Let me see.\n</think>"),
            ("think_tag_split", "<think>"),
        ],
    )
    async def test_think_tags(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str, start: str
    ) -> None:
        seen = await spoiled(http, ollama_double, kind)
        assert seen.content.startswith(start)
        assert seen.content.endswith(ECHO)
        assert any("<think>" in item["message"]["content"] for item in seen.objects) is (kind == "think_in_content")

    async def test_thinking_only_and_empty(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("thinking_only", times=1), fault("empty_answer", times=1))
        thinking, empty = await read(http, model="qwen3:8b"), await read(http)
        assert (thinking.content, thinking.last["done_reason"]) == ("", "length")
        assert thinking.objects[0]["message"]["thinking"]
        assert len(empty.objects) == 1
        assert "eval_count" not in empty.last

    @pytest.mark.parametrize("kind", ["endless_whitespace", "endless_text"])
    async def test_endless_output_obeys_num_predict(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str
    ) -> None:
        seen = await spoiled(http, ollama_double, kind, {"options": {"num_predict": 50}})
        assert (seen.last["done_reason"], seen.last["eval_count"], len(seen.content)) == ("length", 50, 200)

    async def test_endless_forever_stops_when_the_client_leaves(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.script(fault("endless_text", forever=True))
        task = asyncio.create_task(read(http))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        left = time.monotonic()
        log = ollama_double.wait_for_log(lambda log: log[0]["disconnected_at"] is not None)
        assert log[0]["disconnected_monotonic"] - left < 0.5
        assert ollama_double.stats()["running"] == 0

    async def test_repetition_runs_into_the_guard_of_rendered_models(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        options = {"options": {"num_predict": 100}}
        rendered = await spoiled(http, ollama_double, "endless_repetition", {"model": "qwen3:8b", **options})
        native = await read(http, **options)
        assert (rendered.error, rendered.last["done"]) == (None, False)
        assert native.last["done_reason"] == "length"

    async def test_json_cut_and_fenced(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("json_cut", times=1), fault("json_fenced", times=1))
        cut, fenced = await read(http, format="json"), await read(http, format="json")
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.content)
        assert cut.last["done_reason"] == "length"
        assert "```json\n{" in fenced.content


class TestPlainEndpoints:
    @pytest.mark.parametrize("path", ["/api/tags", "/api/version", "/api/ps"])
    async def test_faults_reach_every_endpoint(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, path: str
    ) -> None:
        ollama_double.script(*(fault(kind, match={"path": "*"}, times=1) for kind in ("html_502", "gzip", "reset")))
        assert (await http.get(path)).status_code == 502
        assert (await http.get(path)).json()
        with pytest.raises(httpx.TransportError):
            await http.get(path)
        assert (await http.get(path)).status_code == 200

    async def test_embed_can_fail_and_recover(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("status", status=400, error="boom", match={"path": "/api/embed"}, times=1))
        body = {"model": "all-minilm", "input": ["x"]}
        assert [(await http.post("/api/embed", json=body)).status_code for _ in range(2)] == [400, 200]


async def test_scripted_lines_arrive_byte_for_byte(http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
    ollama_double.script(reply(lines=["{not json", "", '{"done":true}']))
    assert (await read(http)).raw == b'{not json\n\n{"done":true}\n'


async def test_a_scripted_error_has_a_status_or_a_line_by_version(
    http: httpx.AsyncClient, ollama_double: OllamaDouble
) -> None:
    ollama_double.script(reply(error="boom", status=500))
    assert (await read(http)).status == 500
    ollama_double.configure(version="0.12.0")
    old = await read(http)
    assert (old.status, old.objects) == (200, [{"error": "boom"}])


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_no_fault_breaks_the_double_itself(
    http: httpx.AsyncClient, ollama_double: OllamaDouble, kind: str, stream: bool
) -> None:
    """Whatever the fault, the next request is served and nothing is left running."""
    ollama_double.script(fault(kind, times=1, **({"status": 418} if kind == "status" else {})))
    http.timeout = httpx.Timeout(0.3 if kind == "stall" else 5)
    await read(http, stream=stream, tools=[TOOL], options={"num_predict": 64})
    assert (await read(http)).content == ECHO
    ollama_double.wait_for_log(lambda log: all(entry["finished_at"] or entry["disconnected_at"] for entry in log))
    assert ollama_double.stats()["running"] == 0
