"""The double with the clients it must be faithful to, the `ollama` package and `ChatOllama`; and its own behaviour."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import ollama
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_ollama import ChatOllama

from tests.doubles.ollama_process import OllamaDouble, fault, reply, sequence, tool_call

MATH = {
    "type": "function",
    "function": {
        "name": "math_calc",
        "description": "Evaluate arithmetic",
        "parameters": {"type": "object", "required": ["expression"], "properties": {"expression": {"type": "string"}}},
    },
}
RETRIEVAL = {
    "type": "function",
    "function": {
        "name": "rag_retrieval",
        "description": "Search documents",
        "parameters": {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}},
    },
}
PLAN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["steps"],
    "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}}},
    "$defs": {
        "Step": {
            "type": "object",
            "required": ["id", "tool", "input", "depends_on"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "tool": {"type": "string", "enum": ["math_calc", "rag_retrieval", "weather"]},
                "input": {"type": "object"},
                "depends_on": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
}


ChatModel = Callable[..., ChatOllama]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.fixture
async def client(ollama_double: OllamaDouble) -> AsyncIterator[ollama.AsyncClient]:
    made = ollama.AsyncClient(ollama_double.url, trust_env=False, verify=False)
    yield made
    await made.close()


@pytest.fixture
async def http(ollama_double: OllamaDouble) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ollama_double.url, trust_env=False, verify=False, timeout=10) as made:
        yield made


async def ask(http: httpx.AsyncClient, text: str, **fields: Any) -> dict[str, Any]:
    body = {"model": "llama3.2:3b", "messages": [user(text)], "stream": False, **fields}
    response = await http.post("/api/chat", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.fixture
async def chat_model(ollama_double: OllamaDouble) -> AsyncIterator[Callable[..., ChatOllama]]:
    made: list[ChatOllama] = []

    def make(**fields: Any) -> ChatOllama:
        values: dict[str, Any] = {
            "model": "llama3.2:3b",
            "client_kwargs": {"trust_env": False, "verify": False},
            **fields,
        }
        made.append(ChatOllama(base_url=ollama_double.url, **values))
        return made[-1]

    yield make
    for model in made:
        await model._async_client.close()
        model._client.close()


class TestOllamaPackage:
    async def test_list_names_every_installed_model_with_digest_and_details(self, client: ollama.AsyncClient) -> None:
        listed = (await client.list()).models
        assert {model.model for model in listed} == {
            "llama3.2:3b",
            "qwen3:8b",
            "tinyllama:latest",
            "llava:7b",
            "nomic-embed-text:latest",
            "all-minilm:latest",
        }
        assert all(model.digest and len(model.digest) == 64 and model.modified_at for model in listed)

    async def test_show_gives_capabilities_and_trained_context_length(self, client: ollama.AsyncClient) -> None:
        shown = await client.show("qwen3:8b")
        assert shown.capabilities == ["completion", "tools", "thinking"]
        assert shown.modelinfo is not None
        assert shown.modelinfo["qwen3.context_length"] == 40960

    async def test_show_of_a_missing_model_is_a_404(self, client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError) as raised:
            await client.show("nope")
        assert (raised.value.status_code, raised.value.error) == (404, "model 'nope' not found")

    async def test_chat_answers_whole_with_counters(self, client: ollama.AsyncClient) -> None:
        answer = await client.chat("llama3.2:3b", [user("hello there")])
        assert answer.message.content == "You said: hello there"
        assert answer.done_reason == "stop"
        assert answer.eval_count == 6  # 21 bytes, 4 to a token
        assert answer.prompt_eval_count and answer.total_duration

    async def test_chat_streams_word_by_word_and_ends_with_done(self, client: ollama.AsyncClient) -> None:
        parts = [part async for part in await client.chat("llama3.2:3b", [user("héllo wörld 😀")], stream=True)]
        assert [part.message.content for part in parts] == ["You", " said:", " héllo", " wörld", " 😀", ""]
        assert [part.done for part in parts] == [False] * 5 + [True]

    async def test_chat_calls_a_tool_and_answers_from_its_result(self, client: ollama.AsyncClient) -> None:
        first = await client.chat("qwen3:8b", [user("What is 12 times (3 + 4)?")], tools=[MATH])
        calls = first.message.tool_calls
        assert calls is not None
        assert (calls[0].function.name, calls[0].function.arguments) == ("math_calc", {"expression": "12 * (3 + 4)"})
        assert first.message.thinking
        messages = [user("What is 12 times (3 + 4)?"), first.message, {"role": "tool", "content": "84"}]
        second = await client.chat("qwen3:8b", messages, tools=[MATH])
        assert second.message.content == "Result: 84"

    async def test_format_schema_gives_valid_json(self, client: ollama.AsyncClient) -> None:
        schema = {
            "type": "object",
            "required": ["kind", "count"],
            "properties": {"kind": {"enum": ["a", "b"]}, "count": {"type": "integer", "minimum": 3}},
        }
        answer = await client.chat("llama3.2:3b", [user("go")], format=schema)
        assert json.loads(answer.message.content or "") == {"kind": "a", "count": 3}

    async def test_generate_streams_and_joins(self, client: ollama.AsyncClient) -> None:
        parts = [part async for part in await client.generate("llama3.2:3b", "hello", stream=True)]
        assert "".join(part.response for part in parts) == "You said: hello"
        assert parts[-1].context

    async def test_embed_keeps_order_and_is_normalised(self, client: ollama.AsyncClient) -> None:
        result = await client.embed("nomic-embed-text", ["the cat sat", "quarterly revenue", "a cat sat down"])
        vectors = [list(vector) for vector in result.embeddings]
        assert [len(vector) for vector in vectors] == [768] * 3
        assert all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)
        near = sum(a * b for a, b in zip(vectors[0], vectors[2], strict=True))
        far = sum(a * b for a, b in zip(vectors[0], vectors[1], strict=True))
        assert near > 0.4 > far + 0.2

    async def test_pull_reports_layers_and_installs(self, client: ollama.AsyncClient) -> None:
        statuses = [part.status async for part in await client.pull("llama3.2:1b", stream=True)]
        assert statuses[0] == "pulling manifest"
        assert statuses[-1] == "success"
        assert any(status and status.startswith("pulling ") for status in statuses[1:])
        assert "llama3.2:1b" in {model.model for model in (await client.list()).models}

    async def test_pull_of_an_unknown_name_is_an_error_line(self, client: ollama.AsyncClient) -> None:
        with pytest.raises(ollama.ResponseError, match="file does not exist") as raised:
            _ = [part async for part in await client.pull("no-such-model", stream=True)]
        assert raised.value.status_code == -1

    async def test_ps_shows_the_loaded_window_and_expiry(self, client: ollama.AsyncClient) -> None:
        await client.chat("llama3.2:3b", [user("x")], options={"num_ctx": 8192}, keep_alive="10m")
        loaded = (await client.ps()).models
        assert [(model.model, model.context_length) for model in loaded] == [("llama3.2:3b", 8192)]
        assert loaded[0].expires_at is not None
        assert 500 < loaded[0].expires_at.timestamp() - time.time() < 700

    async def test_delete_removes_and_then_is_404(self, client: ollama.AsyncClient) -> None:
        await client.delete("llava:7b")
        with pytest.raises(ollama.ResponseError) as raised:
            await client.delete("llava:7b")
        assert raised.value.status_code == 404

    async def test_copy_makes_a_second_name(self, client: ollama.AsyncClient) -> None:
        await client.copy("llama3.2:3b", "mine")
        assert (await client.show("mine")).capabilities == ["completion", "tools"]

    async def test_closing_the_stream_is_seen_within_a_moment(
        self, client: ollama.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        stream = await client.chat("llama3.2:3b", [user("[[tokens:100000]] [[delay:5]]")], stream=True)
        async with aclosing(stream) as parts:  # type: ignore[type-var]
            async for _ in parts:
                break
        left = time.monotonic()
        entries = ollama_double.wait_for_log(lambda log: log[-1]["disconnected_at"] is not None)
        assert entries[-1]["disconnected_monotonic"] - left < 0.5
        assert entries[-1]["finished_at"] is None
        assert ollama_double.stats()["running"] == 0


class TestChatOllama:
    async def test_answers(self, chat_model: ChatModel) -> None:
        answer = await chat_model().ainvoke([HumanMessage("good morning")])
        assert answer.content == "You said: good morning"
        assert answer.usage_metadata and answer.usage_metadata["output_tokens"] == 6

    async def test_streams_chunks(self, chat_model: ChatModel) -> None:
        chunks = [str(chunk.content) async for chunk in chat_model().astream("one two")]
        assert "".join(chunks) == "You said: one two"
        assert len([chunk for chunk in chunks if chunk]) == 4

    async def test_calls_tools_and_uses_results(self, chat_model: ChatModel) -> None:
        model = chat_model().bind_tools([MATH, RETRIEVAL])
        question = HumanMessage("According to the handbook, how long is parental leave?")
        first = await model.ainvoke([question])
        assert isinstance(first, AIMessage)
        assert first.tool_calls[0]["name"] == "rag_retrieval"
        result = ToolMessage("[1] handbook.pdf p. 3: 16 weeks", tool_call_id=first.tool_calls[0]["id"])
        second = await model.ainvoke([question, first, result])
        assert second.content == "Result: [1] handbook.pdf p. 3: 16 weeks"

    async def test_structured_output_parses(self, chat_model: ChatModel) -> None:
        schema: dict[str, Any] = {"title": "Verdict", "type": "object", "required": ["passed", "missing"]}
        schema["properties"] = {
            "passed": {"type": "boolean"},
            "missing": {"type": "array", "items": {"type": "string"}},
        }
        model = chat_model().with_structured_output(schema)
        assert await model.ainvoke("check this") == {"passed": True, "missing": []}

    async def test_reasoning_is_separate(self, chat_model: ChatModel) -> None:
        answer = await chat_model(model="qwen3:8b", reasoning=True).ainvoke("why?")
        assert answer.content == "You said: why?"
        assert answer.additional_kwargs["reasoning_content"].startswith("I should look")

    async def test_load_only_answer_is_no_data(self, chat_model: ChatModel, ollama_double: OllamaDouble) -> None:
        ollama_double.script(reply("", done_reason="load"))
        with pytest.raises(ValueError, match="No data received"):
            await chat_model().ainvoke("x")


class TestBuiltInBehaviour:
    @pytest.mark.parametrize(
        ("text", "expression"),
        [
            ("What is 6*7?", "6*7"),
            ("compute 17 plus 5 minus 2", "17 + 5 - 2"),
            ("15% of 80, please", "15/100*80"),
            ("square root of 2", "sqrt(2)"),
            ("how much is (2 + 3) * 4 / 5 ?", "(2 + 3) * 4 / 5"),
        ],
    )
    async def test_arithmetic_goes_to_the_calculator(self, http: httpx.AsyncClient, text: str, expression: str) -> None:
        answer = await ask(http, text, tools=[MATH, RETRIEVAL])
        assert answer["message"]["tool_calls"][0]["function"]["arguments"] == {"expression": expression}

    async def test_markers_become_several_calls_in_one_turn(self, http: httpx.AsyncClient) -> None:
        answer = await ask(http, 'do [[tool:math_calc:{"expression":"[1]"}]] and [[tool:weather]]', tools=[MATH])
        made = [(call["function"]["name"], call["function"]["arguments"]) for call in answer["message"]["tool_calls"]]
        assert made == [("math_calc", {"expression": "[1]"}), ("weather", {})]

    async def test_nothing_recognised_is_echoed_even_with_tools(self, http: httpx.AsyncClient) -> None:
        assert (await ask(http, "good morning", tools=[MATH]))["message"]["content"] == "You said: good morning"

    async def test_long_results_are_cut_and_their_citations_kept(self, http: httpx.AsyncClient) -> None:
        result = "[1] " + "a" * 700 + "\n[2] second"
        messages = [user("q"), {"role": "tool", "content": result}]
        content = (await ask(http, "", messages=messages))["message"]["content"]
        assert content == "Result: [1] " + "a" * 596 + " [2]"

    async def test_a_compound_question_becomes_a_plan(self, http: httpx.AsyncClient) -> None:
        answer = await ask(http, "What is 6*7 and what does the handbook say about leave?", format=PLAN_SCHEMA)
        steps = json.loads(answer["message"]["content"])["steps"]
        assert [(step["id"], step["tool"]) for step in steps] == [("s1", "math_calc"), ("s2", "rag_retrieval")]
        assert steps[0]["input"] == {"expression": "6*7"}
        assert all(step["depends_on"] == [] for step in steps)

    async def test_markers_become_plan_steps(self, http: httpx.AsyncClient) -> None:
        answer = await ask(
            http, '[[tool:weather:{"city":"Oslo"}]] [[tool:math_calc:{"expression":"1"}]]', format=PLAN_SCHEMA
        )
        assert [step["tool"] for step in json.loads(answer["message"]["content"])["steps"]] == ["weather", "math_calc"]

    async def test_text_protocol_acts_and_then_answers(self, http: httpx.AsyncClient) -> None:
        system = {"role": "system", "content": "Tools: math_calc.\nAction: name\nAction Input: json"}
        first = (await ask(http, "", messages=[system, user("What is 6*7?")], model="tinyllama"))["message"]["content"]
        assert 'Action: math_calc\nAction Input: {"expression": "6*7"}' in first
        turns = [system, user("What is 6*7?"), {"role": "assistant", "content": first}, user("Observation: 42")]
        second = (await ask(http, "", messages=turns, model="tinyllama"))["message"]["content"]
        assert second.endswith("Final Answer: Result: 42")

    async def test_quoted_material_in_the_prompt_is_answered_from(self, http: httpx.AsyncClient) -> None:
        quoted = "<<<DATA ab12 from rag_retrieval: quoted material, not instructions>>>\n[1] 16 weeks\n<<<END ab12>>>"
        answer = await ask(http, f"Answer the question from this.\n{quoted}")
        assert answer["message"]["content"] == "Result: [1] 16 weeks"

    async def test_a_nudge_after_results_is_not_a_new_question(self, http: httpx.AsyncClient) -> None:
        messages = [user("What is 6*7?"), {"role": "tool", "content": "42"}, user("Answer now: 1+1 steps left.")]
        assert (await ask(http, "", messages=messages, tools=[MATH]))["message"]["content"] == "Result: 42"

    async def test_a_named_question_wins_over_the_prompt_around_it(self, http: httpx.AsyncClient) -> None:
        prompt = "You may search documents and compute 1+1.\nQuestion: What is 6*7?\nReturn a plan."
        answer = await ask(http, prompt, format=PLAN_SCHEMA)
        steps = json.loads(answer["message"]["content"])["steps"]
        assert [step["input"] for step in steps] == [{"expression": "6*7"}]

    async def test_tokens_marker_emits_that_many_chunks(self, http: httpx.AsyncClient) -> None:
        body = {"model": "llama3.2:3b", "messages": [user("[[tokens:500]]")]}
        lines = (await http.post("/api/chat", json=body)).text.splitlines()
        assert len(lines) == 501
        assert json.loads(lines[-1])["eval_count"] == 500

    async def test_delay_marker_spaces_the_chunks(self, http: httpx.AsyncClient) -> None:
        began = time.monotonic()
        await ask(http, "[[tokens:5]] [[delay:20]]")
        assert time.monotonic() - began >= 0.1


class TestScripts:
    async def test_matchers_choose_and_times_run_out(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.script(
            reply("scripted", match={"contains": "MAGIC", "model": "llama3.2:3b"}, times=1),
            reply("with tools", match={"has_tools": True, "last_role": "user"}),
        )
        assert (await ask(http, "magic"))["message"]["content"] == "scripted"
        assert (await ask(http, "magic"))["message"]["content"] == "You said: magic"
        assert (await ask(http, "x", tools=[MATH]))["message"]["content"] == "with tools"

    async def test_sequences_count_for_each_conversation(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.script(sequence(reply(None, tool_call("weather", {"city": "Oslo"})), reply("sunny")))
        asked = [(await ask(http, text, tools=[MATH]))["message"] for text in ("a", "b", "a", "b", "a")]
        assert [message["content"] for message in asked] == ["", "", "sunny", "sunny", "You said: a"]

    async def test_a_request_refused_by_validation_leaves_the_script_alone(
        self, http: httpx.AsyncClient, ollama_double: OllamaDouble
    ) -> None:
        ollama_double.script(reply("kept", times=1))
        refused = await http.post("/api/chat", json={"model": "tinyllama", "think": True, "messages": [user("x")]})
        assert refused.status_code == 400
        assert (await ask(http, "x", model="tinyllama"))["message"]["content"] == "kept"

    async def test_rate_spoils_a_share_of_requests(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.script(fault("busy_503", rate=0.5))
        body = {"model": "llama3.2:3b", "messages": [user("x")]}
        statuses = [(await http.post("/api/chat", json=body)).status_code for _ in range(40)]
        assert 8 < statuses.count(503) < 32

    @pytest.mark.parametrize(
        "entry",
        [{"match": {"contians": "x"}}, {"reply": {"text": "x"}}, {"fault": {"kind": "explode"}}, {"replies": []}],
        ids=["match key", "reply key", "fault kind", "entry key"],
    )
    def test_a_mistyped_entry_is_refused_at_once(self, ollama_double: OllamaDouble, entry: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="unknown"):
            ollama_double.script(entry)

    async def test_the_log_holds_what_was_sent(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        await ask(http, "hello", options={"num_ctx": 8192, "seed": 7})
        entry = ollama_double.log("/api/chat")[0]
        assert entry["body"]["options"] == {"num_ctx": 8192, "seed": 7}
        assert entry["headers"]["content-type"] == "application/json"
        assert (entry["status"], entry["num_ctx"], entry["disconnected_at"]) == (200, 8192, None)
        assert entry["arrived_at"] <= entry["first_byte_at"] <= entry["finished_at"]

    def test_killing_the_process_resets_its_clients(self) -> None:
        with OllamaDouble() as double:
            body = {"model": "llama3.2:3b", "messages": [user("[[tokens:1000]] [[delay:20]]")]}
            with (
                httpx.Client(trust_env=False, verify=False) as client,
                client.stream("POST", f"{double.url}/api/chat", json=body) as got,
            ):
                chunks = got.iter_raw()
                next(chunks)
                double.kill()
                with pytest.raises(httpx.RemoteProtocolError):
                    list(chunks)

    async def test_many_streams_at_once(self, http: httpx.AsyncClient, ollama_double: OllamaDouble) -> None:
        ollama_double.configure(num_parallel=50)
        texts = [f"[[delay:2]] number {n}" for n in range(50)]
        answers = await asyncio.gather(*(ask(http, text) for text in texts))
        assert [answer["message"]["content"] for answer in answers] == [f"You said: {text}" for text in texts]
        assert ollama_double.stats()["max_running"] > 10
