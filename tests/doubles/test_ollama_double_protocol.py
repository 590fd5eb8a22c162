"""The double on the wire: validation texts, versions, context window, loading, queueing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.doubles.ollama_process import OllamaDouble, reply, tool_call

Body = dict[str, Any]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def http(ollama_double: OllamaDouble) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ollama_double.url, trust_env=False, verify=False, timeout=10) as made:
        yield made


async def chat(http: httpx.AsyncClient, **fields: Any) -> Body:
    response = await http.post("/api/chat", json={"model": "llama3.2:3b", "messages": HELLO, "stream": False} | fields)
    assert response.status_code == 200, response.text
    return dict(response.json())


class TestGroundRules:
    @pytest.mark.parametrize("path", ["/", "/api/tags", "/api/version"])
    async def test_head_answers_without_a_body(self, http: httpx.AsyncClient, path: str) -> None:
        response = await http.head(path)
        assert (response.status_code, response.content) == (200, b"")

    async def test_root_says_it_is_running(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/")).text == "Ollama is running"

    async def test_unknown_path_and_wrong_verb_are_plain_text(self, http: httpx.AsyncClient) -> None:
        missing, wrong = await http.get("/api/nothing"), await http.get("/api/chat")
        assert (missing.status_code, missing.text) == (404, "404 page not found")
        assert (wrong.status_code, wrong.text) == (405, "405 method not allowed")
        assert missing.headers["content-type"].startswith("text/plain")

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "example.org"}, 403),
            ({"Host": "192.168.1.5:11434"}, 200),
            ({"Host": "box.local"}, 200),
            ({"Host": "8.8.8.8"}, 403),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "http://localhost:3000"}, 200),
            ({"Authorization": "Bearer ignored"}, 200),
        ],
        ids=["public name", "private address", "local name", "public address", "foreign origin", "own origin", "token"],
    )
    async def test_host_and_origin_are_checked(
        self, http: httpx.AsyncClient, headers: dict[str, str], status: int
    ) -> None:
        response = await http.get("/api/tags", headers=headers)
        assert response.status_code == status
        assert status == 200 or response.content == b""

    async def test_stream_is_chunked_ndjson_one_object_a_line(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/api/chat", json={"model": "LLAMA3.2:3B", "messages": HELLO})
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.text.endswith("\n")
        assert {json.loads(line)["model"] for line in response.text.splitlines()} == {"LLAMA3.2:3B"}

    async def test_angle_brackets_are_escaped_on_the_wire(self, http: httpx.AsyncClient) -> None:
        response = await http.post(
            "/api/chat", json={"model": "llama3.2:3b", "messages": [{"role": "user", "content": "<a&b>"}]}
        )
        assert "\\u003ca\\u0026b\\u003e" in response.text

    async def test_a_chunked_request_body_is_read(self, http: httpx.AsyncClient) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for byte in json.dumps({"model": "llama3.2:3b", "messages": HELLO, "stream": False}).encode():
                yield bytes([byte])

        response = await http.post("/api/chat", content=pieces())
        assert response.json()["message"]["content"] == "You said: hello"


def message(**fields: Any) -> Body:
    return {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "x"} | fields]}


def chat_body(**fields: Any) -> Body:
    return {"model": "llama3.2:3b", "messages": HELLO, **fields}


TEXT_ARGUMENTS = [{"function": {"name": "f", "arguments": '{"a":1}'}}]
CHAT_ERRORS: list[Any] = [
    pytest.param(b"", 400, "missing request body", id="empty body"),
    pytest.param(b'{"model":', 400, "unexpected EOF", id="cut body"),
    pytest.param(b"{nope}", 400, "invalid character 'n'", id="not json"),
    pytest.param(b"[1]", 400, "json: cannot unmarshal array into Go value", id="a list"),
    pytest.param({"messages": HELLO}, 400, "model is required", id="no model"),
    pytest.param({"model": "", "messages": HELLO}, 400, "model is required", id="empty model"),
    pytest.param({"model": 7}, 400, "json: cannot unmarshal number", id="number as model"),
    pytest.param({"model": "nope", "messages": HELLO}, 404, "model 'nope' not found", id="unknown model"),
    pytest.param(message(content=[{"type": "text"}]), 400, "json: cannot unmarshal array", id="list content"),
    pytest.param(message(tool_calls=TEXT_ARGUMENTS), 400, "json: cannot unmarshal string", id="string arguments"),
    pytest.param(
        message(images=["data:image/png;base64,AA"]), 400, "illegal base64 data at input byte 4", id="data url"
    ),
    pytest.param(message(images=["AAA"]), 400, "illegal base64 data at input byte", id="short base64"),
    pytest.param(chat_body(think="ultra"), 400, 'invalid think value: "ultra" (must be', id="bad think"),
    pytest.param(chat_body(think=True), 400, '"llama3.2:3b" does not support thinking', id="think on a plain model"),
    pytest.param(chat_body(keep_alive="-1"), 400, 'time: missing unit in duration "-1"', id="keep_alive -1 text"),
    pytest.param(chat_body(keep_alive="soon"), 400, 'time: invalid duration "soon"', id="keep_alive word"),
    pytest.param(chat_body(keep_alive=True), 400, "Unsupported type: 'bool'", id="keep_alive bool"),
    pytest.param(chat_body(top_logprobs=21), 400, "top_logprobs must be between 0 and 20", id="top_logprobs"),
    pytest.param(
        chat_body(options={"temperature": "0"}), 500, 'option "temperature" must be of type float32', id="float"
    ),
    pytest.param(chat_body(options={"num_ctx": "9"}), 500, 'option "num_ctx" must be of type integer', id="integer"),
    pytest.param(chat_body(options={"stop": "x"}), 500, 'option "stop" must be of type array', id="bare stop"),
    pytest.param(chat_body(format="xml"), 500, 'invalid format: "xml"; expected "json" or a valid', id="format"),
    pytest.param(
        {"model": "tinyllama", "messages": HELLO, "tools": [TOOL]},
        400,
        "registry.ollama.ai/library/tinyllama:latest does not support tools",
        id="tools without the capability",
    ),
    pytest.param({"model": "all-minilm", "messages": HELLO}, 400, '"all-minilm" does not support chat', id="embedder"),
]


class TestValidation:
    @pytest.mark.parametrize(("body", "status", "text"), CHAT_ERRORS)
    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
    async def test_chat_refuses(
        self, http: httpx.AsyncClient, body: bytes | Body, status: int, text: str, stream: bool
    ) -> None:
        raw = body if isinstance(body, bytes) else json.dumps({"stream": stream} | body).encode()
        response = await http.post("/api/chat", content=raw)
        assert response.status_code == status
        assert response.json()["error"].startswith(text)
        assert response.headers["content-type"] == "application/json; charset=utf-8"

    @pytest.mark.parametrize(
        ("path", "body", "status", "text"),
        [
            ("/api/generate", {"prompt": "x"}, 404, "model '' not found"),
            ("/api/generate", {"model": "all-minilm", "prompt": "x"}, 400, '"all-minilm" does not support generate'),
            ("/api/generate", {"model": "tinyllama", "raw": True, "system": "s", "prompt": "x"}, 400, "raw mode"),
            ("/api/embed", {"input": "x"}, 404, "model '' not found"),
            ("/api/embed", {"model": "no", "input": "x"}, 404, 'model "no" not found, try pulling it first'),
            ("/api/embed", {"model": "all-minilm", "input": [1]}, 400, "invalid input type"),
            ("/api/embed", {"model": "all-minilm", "input": "y" * 9999, "truncate": False}, 400, "the input length"),
            ("/api/embeddings", {"model": "all-minilm", "prompt": "y" * 9999}, 500, "the input length exceeds"),
            ("/api/show", {}, 400, "model is required"),
            ("/api/show", {"model": "no"}, 404, "model 'no' not found"),
            ("/api/pull", {"model": "no", "stream": False}, 500, "pull model manifest: file does not exist"),
            ("/api/pull", {"model": "a b"}, 400, "invalid model name"),
            ("/api/copy", {"source": "no", "destination": "x"}, 404, 'model "no" not found'),
        ],
    )
    async def test_other_endpoints_refuse(
        self, http: httpx.AsyncClient, path: str, body: Body, status: int, text: str
    ) -> None:
        response = await http.post(path, json=body)
        assert (response.status_code, response.json()["error"][: len(text)]) == (status, text)

    @pytest.mark.parametrize(
        "fields",
        [
            {"think": False},
            {"keep_alive": "0"},
            {"keep_alive": -1},
            {"format": ""},
            {"format": None},
            {"tool_choice": "required", "n": 2},
            {"options": {"mirostat": 1, "num_ctx": 4096.7}},
        ],
        ids=str,
    )
    async def test_chat_accepts(self, http: httpx.AsyncClient, fields: Body) -> None:
        assert (await chat(http, **fields))["done_reason"] == "stop"

    async def test_strict_template_wants_a_user_and_one_leading_system(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.models([{"name": "strict", "strict_template": True}])
        messages = [*HELLO, {"role": "system", "content": "late"}]
        response = await http.post("/api/chat", json={"model": "strict", "messages": messages})
        assert response.status_code == 500
        assert "System message must be at the beginning" in json.loads(response.json()["error"])["error"]["message"]

    @pytest.mark.parametrize(
        ("roles", "status"),
        [("ua", 200), ("suau", 200), ("uu", 500), ("au", 500), ("uauu", 500)],
    )
    async def test_alternating_template_wants_user_and_assistant_by_turns(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, roles: str, status: int
    ) -> None:
        ollama_double.models([{"name": "turns", "alternating_template": True}])
        names = {"s": "system", "u": "user", "a": "assistant"}
        messages = [{"role": names[role], "content": "x"} for role in roles]
        response = await http.post("/api/chat", json={"model": "turns", "messages": messages, "stream": False})
        assert response.status_code == status


class TestEmbeddings:
    async def test_dimensions_cut_and_renormalise(self, http: httpx.AsyncClient) -> None:
        body = {"model": "nomic-embed-text", "input": ["a b c", ""], "dimensions": 64}
        vectors = (await http.post("/api/embed", json=body)).json()["embeddings"]
        assert [len(vector) for vector in vectors] == [64, 64]
        assert all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)

    @pytest.mark.parametrize("value", ["", [], None], ids=repr)
    async def test_no_input_gives_no_vectors_but_loads(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, value: Any
    ) -> None:
        response = await http.post("/api/embed", json={"model": "all-minilm", "input": value})
        assert response.json()["embeddings"] == []
        assert ollama_double.stats()["loads"] == {"all-minilm:latest": 1}

    async def test_the_same_text_gives_the_same_vector(self, http: httpx.AsyncClient) -> None:
        body = {"model": "all-minilm", "input": ["same words", "same words"]}
        first, second = (await http.post("/api/embed", json=body)).json()["embeddings"]
        assert first == second

    async def test_the_old_endpoint_is_not_normalised(self, http: httpx.AsyncClient) -> None:
        body = {"model": "all-minilm", "prompt": "a b c"}
        vector = (await http.post("/api/embeddings", json=body)).json()["embedding"]
        assert sum(x * x for x in vector) > 10


class TestVersions:
    @pytest.mark.parametrize(
        ("version", "keys"),
        [
            ("0.5.7", {"function": {"name", "arguments"}}),
            ("0.12.6", {"function": {"name", "arguments", "index"}}),
            ("0.12.11", {"function": {"name", "arguments", "index"}, "id": None}),
        ],
    )
    async def test_tool_call_ids_and_indices_appear_with_their_version(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, version: str, keys: dict[str, Any]
    ) -> None:
        ollama_double.configure(version=version)
        ollama_double.script(reply(None, tool_call("weather")))
        call = (await chat(http, tools=[TOOL]))["message"]["tool_calls"][0]
        assert set(call) == set(keys)
        assert set(call["function"]) == keys["function"]

    @pytest.mark.parametrize(
        ("version", "think", "field", "inline"),
        [
            ("0.8", None, False, True),
            ("0.8", False, False, True),
            ("0.12.3", None, False, True),
            ("0.12.3", True, True, False),
            ("0.12.4", None, True, False),
            ("0.33", False, False, False),
            ("0.33", "low", True, False),
        ],
    )
    async def test_where_reasoning_goes(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, version: str, think: Any, field: bool, inline: bool
    ) -> None:
        ollama_double.configure(version=version)
        answer = (await chat(http, model="qwen3:8b", think=think))["message"]
        assert (("thinking" in answer), answer["content"].startswith("<think>")) == (field, inline)

    @pytest.mark.parametrize(("version", "status"), [("0.12.4", 400), ("0.12.5", 200)])
    async def test_think_false_on_a_plain_model(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, version: str, status: int
    ) -> None:
        ollama_double.configure(version=version)
        assert (await http.post("/api/chat", json=chat_body(think=False))).status_code == status

    @pytest.mark.parametrize(("version", "status"), [("0.12.5", 200), ("0.12.6", 500)])
    async def test_failures_before_the_first_chunk(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble, version: str, status: int
    ) -> None:
        ollama_double.configure(version=version)
        response = await http.post("/api/chat", json=chat_body(format="xml"))
        assert response.status_code == status
        assert json.loads(response.text)["error"].startswith("invalid format")

    async def test_old_versions_show_less(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.configure(version="0.5.0")
        await chat(http)
        shown = (await http.post("/api/show", json={"model": "llama3.2:3b"})).json()
        tag = (await http.get("/api/tags")).json()["models"][0]
        loaded = (await http.get("/api/ps")).json()["models"][0]
        assert ("capabilities" in shown, "capabilities" in tag, "context_length" in loaded) == (False, False, False)
        assert (await http.get("/api/version")).json() == {"version": "0.5.0"}

    async def test_tools_made_one_late_block_before_0_8(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.configure(version="0.5")
        lines = (await http.post("/api/chat", json=chat_body(tools=[TOOL]))).text.splitlines()
        assert [json.loads(line)["message"]["content"] for line in lines] == ["You said: hello", ""]


def filler(number: int) -> Body:
    return {"role": "user" if number % 2 else "assistant", "content": f"turn {number} " + "x" * 400}


class TestContextWindow:
    async def test_oldest_turns_go_and_system_stays(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        messages = [{"role": "system", "content": "SYS"}, *(filler(n) for n in range(20)), *HELLO]
        body = chat_body(messages=messages, options={"num_ctx": 500}, _debug_render_only=True)
        rendered = (await http.post("/api/chat", json=body)).json()["_debug_info"]["rendered_template"]
        assert rendered.startswith("<|system|>SYS")
        assert "turn 0 " not in rendered
        assert "turn 19 " in rendered
        assert rendered.endswith("<|user|>hello\n")
        entry = ollama_double.log("/api/chat")[0]
        assert entry["kept_messages"] < len(messages)
        assert entry["prompt_tokens"] == -(-len(rendered.encode()) // 4) <= 500

    async def test_a_native_model_refuses_with_a_nested_error(self, http: httpx.AsyncClient) -> None:
        body = chat_body(messages=[{"role": "user", "content": "x" * 9000}], options={"num_ctx": 512})
        response = await http.post("/api/chat", json=body)
        inner = json.loads(response.json()["error"])["error"]
        assert response.status_code == 400
        assert (inner["type"], inner["n_ctx"]) == ("exceed_context_size_error", 512)

    async def test_a_rendered_model_cuts_to_half_the_window(self, http: httpx.AsyncClient) -> None:
        messages = [{"role": "user", "content": "x" * 9000}]
        answer = await chat(http, model="qwen3:8b", messages=messages, options={"num_ctx": 512})
        assert answer["prompt_eval_count"] == 256
        refused = await http.post(
            "/api/chat", json={"model": "qwen3:8b", "messages": messages, "options": {"num_ctx": 512}, "shift": False}
        )
        assert refused.status_code == 400
        assert refused.json()["error"].startswith("the prompt is longer than the context length currently available")

    async def test_truncate_false_keeps_everything_and_fails(self, http: httpx.AsyncClient) -> None:
        body = chat_body(messages=[filler(n) for n in range(20)] + HELLO, options={"num_ctx": 500}, truncate=False)
        assert (await http.post("/api/chat", json=body)).status_code == 400

    async def test_num_predict_ends_with_length(self, http: httpx.AsyncClient) -> None:
        answer = await chat(http, options={"num_predict": 2})
        assert (answer["message"]["content"], answer["done_reason"]) == ("You said", "length")
        assert answer["eval_count"] == 2

    async def test_stop_strings_end_the_content(self, http: httpx.AsyncClient) -> None:
        answer = await chat(http, options={"stop": ["aid:"]})
        assert (answer["message"]["content"], answer["done_reason"]) == ("You s", "stop")

    async def test_the_window_is_capped_at_the_trained_length(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        await chat(http, model="tinyllama", options={"num_ctx": 99999})
        assert ollama_double.log("/api/chat")[0]["num_ctx"] == 2048


class TestLoading:
    async def test_empty_messages_load_and_keep_alive_0_unloads(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        assert (await chat(http, messages=[]))["done_reason"] == "load"
        assert ollama_double.stats()["loaded"] == ["llama3.2:3b"]
        assert (await chat(http, messages=[], keep_alive=0))["done_reason"] == "unload"
        assert ollama_double.stats()["loaded"] == []

    async def test_only_changed_load_options_reload(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        for options in ({"temperature": 0.1}, {"temperature": 0.9, "seed": 1}, {"num_ctx": 4096}):
            await chat(http, options=options)
        assert (ollama_double.stats()["total_loads"], ollama_double.stats()["total_reloads"]) == (1, 0)
        await chat(http, options={"num_ctx": 8192})
        await chat(http, options={"num_ctx": 8192}, shift=False)
        assert ollama_double.stats()["reloads"] == {"llama3.2:3b": 2}

    async def test_a_model_expires_after_its_keep_alive(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        await chat(http, keep_alive=0.2)
        assert len((await http.get("/api/ps")).json()["models"]) == 1
        await asyncio.sleep(0.35)
        assert (await http.get("/api/ps")).json() == {"models": []}

    async def test_each_request_renews_the_keep_alive(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        await chat(http, keep_alive=0.3)
        await chat(http, keep_alive="10m")
        await asyncio.sleep(0.4)
        assert ollama_double.stats()["loaded"] == ["llama3.2:3b"]

    async def test_forever_expires_in_292_years(self, http: httpx.AsyncClient) -> None:
        await chat(http, keep_alive=-1)
        expires = (await http.get("/api/ps")).json()["models"][0]["expires_at"]
        assert int(expires[:4]) > time.gmtime().tm_year + 280

    async def test_nothing_is_sent_while_the_model_loads(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.configure(load_seconds=0.3)
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/api/chat", json=chat_body(), timeout=0.15)
        assert (await chat(http))["load_duration"] > 100_000_000

    async def test_a_full_queue_is_503(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.configure(load_seconds=0.3, max_queue=2)
        responses = await asyncio.gather(*(http.post("/api/chat", json=chat_body()) for _ in range(6)))
        assert sorted(response.status_code for response in responses) == [200] * 3 + [503] * 3
        busy = next(response for response in responses if response.status_code == 503)
        assert busy.json() == {"error": "server busy, please try again.  maximum pending requests exceeded"}

    async def test_requests_to_a_loaded_model_wait_for_a_slot(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.configure(num_parallel=2)
        slow = chat_body(messages=[{"role": "user", "content": "[[tokens:5]] [[delay:10]]"}])
        await asyncio.gather(*(http.post("/api/chat", json=slow) for _ in range(6)))
        assert ollama_double.stats()["max_running"] == 2

    async def test_a_fourth_model_evicts_the_idle_one(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        for model in ("tinyllama", "llava:7b", "qwen3:8b", "llama3.2:3b"):
            await chat(http, model=model)
        assert ollama_double.stats()["loaded"] == ["llava:7b", "qwen3:8b", "llama3.2:3b"]

    async def test_a_load_error_is_a_500(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.models([{"name": "big", "load_error": "model requires more system memory"}])
        response = await http.post("/api/chat", json={"model": "big", "messages": HELLO})
        assert (response.status_code, response.json()["error"]) == (500, "model requires more system memory")

    async def test_a_client_that_leaves_while_queued_frees_its_place(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.configure(load_seconds=0.25)
        first = asyncio.create_task(http.post("/api/chat", json=chat_body()))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/api/chat", json=chat_body(), timeout=0.1)
        assert (await first).status_code == 200
        stats = ollama_double.stats()
        assert (stats["waiting_for_load"], stats["running"], stats["total_loads"]) == (0, 0, 1)


async def test_logprobs_come_with_each_chunk(http: httpx.AsyncClient) -> None:
    answer = await chat(http, logprobs=True, top_logprobs=2)
    assert [entry["token"] for entry in answer["logprobs"]] == ["You", " said:", " hello"]
    assert len(answer["logprobs"][0]["top_logprobs"]) == 2
