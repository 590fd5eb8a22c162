"""The whole of chat completions with the official SDK: several answers, probabilities, pictures, files, kept ones."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.doubles.ollama_process import OllamaDouble, fault, reply
from tests.server import HearthServer, upload_and_wait

LLAMA, QWEN, LLAVA = "llama3.2:3b", "qwen3:8b", "llava:7b"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
CHAT = "/v1/chat/completions"
FUNCTION = {
    "name": "math_calc",
    "description": "Arithmetic",
    "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
}
TOOL: Any = {"type": "function", "function": FUNCTION}
NOTE = "The walls of the pavilion are painted ochre.\n"


@pytest.fixture
def sdk(online: HearthServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as client:
        yield client


@pytest.fixture
def client(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as signed_in:
        yield signed_in


@pytest.fixture(scope="module")
def stranger(_online: HearthServer) -> str:
    """Another user's key."""
    return _online.add_user("chat-stranger")


def user(text: str, *parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts] if parts else text}]


def asked(double: OllamaDouble) -> list[dict[str, Any]]:
    """The bodies that reached Ollama's chat."""
    return [entry["body"] for entry in double.log("/api/chat")]


def texts(chunks: list[ChatCompletionChunk]) -> dict[int, str]:
    out: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            out[choice.index] = out.get(choice.index, "") + (choice.delta.content or "")
    return out


# ---- several answers --------------------------------------------------------------------------------


def test_n_answers_come_from_as_many_runs_and_their_usage_is_summed(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(*(reply(word, times=1) for word in ("one", "two", "three")))
    one = sdk.chat.completions.create(model=LLAMA, messages=user("hello"), store=False)
    double.reset()
    double.script(*(reply(word, times=1) for word in ("one", "two", "three")))
    done = sdk.chat.completions.create(model=LLAMA, messages=user("hello"), n=3, seed=5)
    assert sorted(choice.message.content or "" for choice in done.choices) == ["one", "three", "two"]
    assert [choice.index for choice in done.choices] == [0, 1, 2]
    assert sorted(body["options"]["seed"] for body in asked(double)) == [5, 6, 7]
    assert done.usage is not None and one.usage is not None
    assert done.usage.prompt_tokens == 3 * one.usage.prompt_tokens
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


def test_n_answers_interleave_in_one_stream(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    stream = sdk.chat.completions.create(
        model=LLAMA, messages=user("[[tokens:12]]"), n=2, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    *pieces, last = chunks
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens == 24
    first, second = texts(pieces)[0], texts(pieces)[1]
    assert first == second and first
    finished = [(choice.index, choice.finish_reason) for chunk in pieces for choice in chunk.choices]
    assert sorted(each for each in finished if each[1]) == [(0, "stop"), (1, "stop")]
    ends = {index: finished.index((index, "stop")) for index in (0, 1)}
    assert all(index != which for which, end in ends.items() for index, _ in finished[end + 1 :])


def test_the_streaming_helper_builds_every_choice(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply("the answer"))
    with sdk.chat.completions.stream(model=LLAMA, messages=user("hello"), n=2) as stream:
        whole = stream.get_final_completion()
    assert [choice.message.content for choice in whole.choices] == ["the answer", "the answer"]


def test_one_conversation_keeps_the_first_of_n_answers(sdk: openai.OpenAI, client: httpx.Client) -> None:
    done = sdk.chat.completions.create(model=LLAMA, messages=user("keep the first of two"), n=2)
    session = (done.model_extra or {})["session_id"]
    kept = client.get(f"/api/conversations/{session}").json()["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant"]
    assert kept[1]["content"] == done.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_one_failing_answer_fails_the_request(sdk: openai.OpenAI, double: OllamaDouble, stream: bool) -> None:
    double.script(fault("error_line", error="it broke", after_chunks=2, times=1))
    with pytest.raises(openai.APIError):
        done: Any = sdk.chat.completions.create(
            model=LLAMA, messages=user("[[tokens:40]][[delay:5]]"), n=3, stream=stream
        )
        for _ in done:
            pass
    _all_over(double)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_ups_3_a_client_that_leaves_stops_all_answers(online: HearthServer, double: OllamaDouble, stream: bool) -> None:
    body = {"model": LLAMA, "messages": user("[[tokens:400]][[delay:20]]"), "n": 3, "stream": stream}
    with online.client() as leaving:
        if stream:
            with leaving.stream("POST", CHAT, json=body) as answer:
                next(answer.iter_bytes())
        else:
            with pytest.raises(httpx.ReadTimeout):
                leaving.post(CHAT, json=body, timeout=0.7)
    _all_over(double)


def _all_over(double: OllamaDouble) -> None:
    deadline = time.monotonic() + 5.0
    while double.stats()["active_requests"]:
        assert time.monotonic() < deadline, double.stats()
        time.sleep(0.02)


# ---- probabilities ----------------------------------------------------------------------------------


def test_logprobs_of_a_whole_answer(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(model=LLAMA, messages=user("hello you"), logprobs=True, top_logprobs=2)
    (choice,) = done.choices
    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    for token in choice.logprobs.content:
        assert token.logprob <= 0 and bytes(token.bytes or ()).decode() == token.token
        assert len(token.top_logprobs) == 2
    assert choice.logprobs.refusal is None


def test_logprobs_come_with_the_chunk_of_their_text(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    stream = sdk.chat.completions.create(model=QWEN, messages=user("hello you"), logprobs=True, stream=True, n=2)
    chunks = list(stream)
    for chunk in chunks:
        (choice,) = chunk.choices
        if choice.logprobs is not None:
            assert "".join(token.token for token in choice.logprobs.content or ()) == choice.delta.content
            assert all(token.top_logprobs == [] for token in choice.logprobs.content or ())
        else:
            assert not choice.delta.content
    assert texts(chunks)[0] == texts(chunks)[1] == "You said: hello you"


def test_logprobs_of_an_ollama_that_gives_none_are_a_400(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.configure(version="0.12.3")
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.chat.completions.create(model=LLAMA, messages=user("hello"), logprobs=True, stream=stream)
        assert (caught.value.param, caught.value.code) == ("logprobs", "unsupported_parameter")


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_call_has_no_logprobs(sdk: openai.OpenAI, double: OllamaDouble, choice: Any) -> None:
    done = sdk.chat.completions.create(
        model=LLAMA, messages=user("What is 6*7?"), tools=[TOOL], tool_choice=choice, logprobs=True
    )
    assert done.choices[0].message.tool_calls and done.choices[0].logprobs is None


# ---- pictures and files -----------------------------------------------------------------------------


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def test_a_picture_reaches_a_vision_model(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    sdk.chat.completions.create(
        model=LLAVA,
        messages=user("What is this?", picture(f"data:image/png;base64,{PIXEL}")),
        extra_body={"agent": "chat"},
    )
    message = asked(double)[-1]["messages"][-1]
    assert message["images"] == [PIXEL] and message["content"] == "What is this?"


@pytest.mark.parametrize(
    ("model", "url", "code"),
    [
        (LLAMA, f"data:image/png;base64,{PIXEL}", "unsupported_content"),
        (LLAVA, "http://127.0.0.1:9/picture.png", "invalid_value"),
        (LLAVA, "file:///etc/passwd", "invalid_value"),
    ],
    ids=["no vision", "address", "path"],
)
def test_net_1_other_pictures_are_refused_before_ollama_is_asked(
    sdk: openai.OpenAI, double: OllamaDouble, model: str, url: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=model, messages=user("What is this?", picture(url)))
    assert caught.value.code == code and (caught.value.param or "").startswith("messages.0.content")
    assert not asked(double)


def by_data(text: str, name: str = "note.txt") -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {"type": "file", "file": {"filename": name, "file_data": f"data:text/plain;base64,{data}"}}


def by_id(file_id: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_id": file_id}}


def test_inj_1_a_small_file_is_read_whole_as_quoted_text(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(
        model=LLAMA, messages=user("What colour?", by_data(NOTE)), extra_body={"agent": "chat"}
    )
    assert "ochre" in (done.choices[0].message.content or "")
    (message,) = asked(double)[-1]["messages"]
    assert message["role"] == "user" and "quoted material" in message["content"] and "note.txt" in message["content"]
    assert message["content"].endswith("What colour?")


def test_the_conversation_keeps_the_words_and_not_the_file(sdk: openai.OpenAI, client: httpx.Client) -> None:
    done = sdk.chat.completions.create(
        model=LLAMA, messages=user("Colour of the pavilion?", by_data(NOTE)), extra_body={"agent": "chat"}
    )
    kept = client.get(f"/api/conversations/{(done.model_extra or {})['session_id']}").json()
    assert kept["title"] == "Colour of the pavilion?" and "ochre" not in kept["messages"][0]["content"]


@pytest.mark.slow
def test_a_file_by_id_is_read_and_a_large_one_searched(
    sdk: openai.OpenAI, client: httpx.Client, double: OllamaDouble
) -> None:
    other = upload_and_wait(client, "other.txt", b"The gate of the pavilion is painted mauve. " * 3)
    small = upload_and_wait(client, "small.txt", NOTE.encode())
    sdk.chat.completions.create(
        model=LLAMA, messages=user("What colour?", by_id(small["file_id"])), extra_body={"agent": "chat"}
    )
    assert "ochre" in asked(double)[-1]["messages"][-1]["content"]
    long = "\n\n".join([*(f"Entry {n} is about ducks, rain and reeds by the lake." * 9 for n in range(60)), NOTE])
    large = upload_and_wait(client, "large.txt", long.encode())
    double.reset()
    done = sdk.chat.completions.create(
        model="hearth", messages=user("Which colour are the pavilion's walls?", by_id(large["file_id"]))
    )
    hearth = (done.choices[0].message.model_extra or {})["hearth"]
    assert hearth["route"]["agent"] == "react"
    assert {citation["filename"] for citation in hearth["citations"]} <= {"large.txt"}
    assert [step["name"] for step in hearth["steps"]] == ["rag_retrieval"]
    assert "mauve" not in hearth["steps"][0]["output_preview"]
    plain = sdk.chat.completions.create(
        model=LLAMA, messages=user("Which colour are the pavilion's walls?", by_id(large["file_id"])), n=2
    )
    assert "ochre" in asked(double)[-1]["messages"][-1]["content"] and len(plain.choices) == 2
    for document in (other, small, large):
        client.delete(f"/api/files/documents/{document['file_id']}")


def test_iso_3_a_strangers_file_is_a_404(
    online: HearthServer, client: httpx.Client, double: OllamaDouble, stranger: str
) -> None:
    mine = upload_and_wait(client, "mine.txt", NOTE.encode())
    with online.client(stranger) as other:
        errors = [
            other.post(CHAT, json={"model": LLAMA, "messages": user("x", by_id(file_id))})
            for file_id in (mine["file_id"], "file-" + "0" * 46)
        ]
    assert [answer.status_code for answer in errors] == [404, 404]
    assert errors[0].json() == errors[1].json()
    assert errors[0].json()["error"]["param"] == "messages.0.content.1.file.file_id"
    assert not asked(double)
    client.delete(f"/api/files/documents/{mine['file_id']}")


def test_a_damaged_file_is_a_400_that_names_it(sdk: openai.OpenAI) -> None:
    broken = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}}
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=LLAMA, messages=user("x", broken))
    assert (caught.value.code, caught.value.param) == ("unsupported_file", "messages.0.content.1.file.file_data")


# ---- tools ------------------------------------------------------------------------------------------


def test_allowed_tools_are_the_only_ones_the_model_sees(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    other = {"type": "function", "function": {**FUNCTION, "name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "math_calc"}}]}
    done = sdk.chat.completions.create(
        model=LLAMA,
        messages=user("What is 6*7?"),
        tools=[TOOL, other],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},  # type: ignore[arg-type]
    )
    assert [call.function.name for call in done.choices[0].message.tool_calls or ()] == ["math_calc"]  # type: ignore[union-attr]
    assert [tool["function"]["name"] for tool in asked(double)[0]["tools"]] == ["math_calc"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_older_functions_go_round_trip(sdk: openai.OpenAI, double: OllamaDouble, stream: bool) -> None:
    messages = user("What is 6*7?")
    if stream:
        with sdk.chat.completions.stream(model=LLAMA, messages=messages, functions=[FUNCTION]) as chunks:  # type: ignore[list-item]
            choice: Any = chunks.get_final_completion().choices[0]
    else:
        choice = sdk.chat.completions.create(model=LLAMA, messages=messages, functions=[FUNCTION]).choices[0]  # type: ignore[list-item]
    call = choice.message.function_call
    assert (choice.finish_reason, call.name, json.loads(call.arguments)) == (
        "function_call", "math_calc", {"expression": "6*7"},
    )  # fmt: skip
    assert not choice.message.tool_calls
    told = [
        *messages,
        {"role": "assistant", "content": None, "function_call": {"name": call.name, "arguments": call.arguments}},
        {"role": "function", "name": "math_calc", "content": "42"},
    ]
    done = sdk.chat.completions.create(model=LLAMA, messages=told, functions=[FUNCTION])  # type: ignore[list-item]
    assert "42" in (done.choices[0].message.content or "") and done.choices[0].finish_reason == "stop"


class Place(BaseModel):
    city: str
    why: str


def test_an_agents_answer_is_held_to_a_response_format(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.parse(
        model=LLAMA, messages=user("What is 6*7?"), response_format=Place, extra_body={"agent": "react"}
    )
    assert isinstance(done.choices[0].message.parsed, Place)
    hearth = (done.choices[0].message.model_extra or {})["hearth"]
    assert [step["name"] for step in hearth["steps"]] == ["math_calc"]


# ---- what is kept -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_kept_completion_can_be_read_changed_and_deleted(
    sdk: openai.OpenAI, double: OllamaDouble, stream: bool
) -> None:
    label = {"case": f"crud-{stream}"}
    parts = [{"role": "system", "content": "Be brief."}, *user("keep me", {"type": "text", "text": "please"})]
    made: Any = sdk.chat.completions.create(
        model=LLAMA, messages=parts, store=True, metadata=label, temperature=0.5, stream=stream
    )
    if stream:
        chunks = list(made)
        made_id, text = chunks[0].id, texts(chunks)[0]
    else:
        made_id, text = made.id, made.choices[0].message.content
    kept = sdk.chat.completions.retrieve(made_id)
    assert (kept.id, kept.object, kept.choices[0].message.content) == (made_id, "chat.completion", text)
    assert kept.usage is not None and kept.usage.total_tokens > 0
    extra = kept.model_extra or {}
    assert (kept.metadata, extra["temperature"], extra["tools"]) == (label, 0.5, None)
    assert [each.id for each in sdk.chat.completions.list(metadata=label)] == [made_id]
    messages = list(sdk.chat.completions.messages.list(made_id))
    assert [(each.id, each.role) for each in messages] == [(f"{made_id}-0", "system"), (f"{made_id}-1", "user")]
    assert messages[0].content == "Be brief." and messages[1].content is None
    assert [part.text for part in messages[1].content_parts or ()] == ["keep me", "please"]  # type: ignore[union-attr]
    changed = sdk.chat.completions.update(made_id, metadata={"case": "changed"})
    assert changed.metadata == {"case": "changed"} and changed.id == made_id
    assert not list(sdk.chat.completions.list(metadata=label))
    assert sdk.chat.completions.delete(made_id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.retrieve(made_id)


@pytest.mark.parametrize("store", [None, False])
def test_nothing_is_kept_without_being_asked_for(sdk: openai.OpenAI, double: OllamaDouble, store: bool | None) -> None:
    done = sdk.chat.completions.create(model=LLAMA, messages=user("do not keep me"), store=store)
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.retrieve(done.id)


def test_the_list_pages_in_both_orders_and_by_model(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    label = {"case": "paging"}
    made = [
        sdk.chat.completions.create(model=model, messages=user("x"), store=True, metadata=label).id
        for model in (LLAMA, QWEN, LLAMA, LLAMA)
    ]
    assert [each.id for each in sdk.chat.completions.list(metadata=label, limit=1)] == made
    assert [each.id for each in sdk.chat.completions.list(metadata=label, limit=3, order="desc")] == made[::-1]
    assert [each.id for each in sdk.chat.completions.list(metadata=label, model=QWEN)] == [made[1]]
    page = sdk.chat.completions.list(metadata=label, after=made[0], limit=2)
    assert [each.id for each in page.data] == made[1:3] and page.has_more
    for each in made:
        sdk.chat.completions.delete(each)


def test_iso_1_iso_2_a_strangers_completion_is_like_a_missing_one(
    online: HearthServer, sdk: openai.OpenAI, double: OllamaDouble, stranger: str
) -> None:
    mine = sdk.chat.completions.create(model=LLAMA, messages=user("secret"), store=True, n=2).id
    with online.client(stranger) as other:
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages")):
            body = {"json": {"metadata": {}}} if method == "POST" else {}
            answers = [other.request(method, f"{CHAT}/{each}{path}", **body) for each in (mine, "chatcmpl-nope")]  # type: ignore[arg-type]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].json() == answers[1].json()
        assert other.get(CHAT).json() == {
            "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
        }  # fmt: skip
    assert len(sdk.chat.completions.retrieve(mine).choices) == 2
    sdk.chat.completions.delete(mine)


def test_deleting_the_conversation_deletes_what_was_kept_of_it(
    sdk: openai.OpenAI, client: httpx.Client, double: OllamaDouble
) -> None:
    done = sdk.chat.completions.create(model=LLAMA, messages=user("forget me wholly"), store=True)
    assert client.delete(f"/api/conversations/{(done.model_extra or {})['session_id']}").status_code < 300
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.retrieve(done.id)


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "nope"}, "after")],
    ids=["limit low", "limit high", "order", "after"],
)
def test_bad_paging_is_a_400_that_names_it(client: httpx.Client, query: dict[str, Any], param: str) -> None:
    error = client.get(CHAT, params=query).json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_value", param)


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "metadata"), ({"metadata": {"a": 1}}, "metadata.a"), ({"metadata": "x"}, "metadata")],
    ids=["missing", "number", "text"],
)
def test_bad_metadata_of_an_update_is_a_400_that_names_it(
    client: httpx.Client, body: dict[str, Any], param: str
) -> None:
    answer = client.post(f"{CHAT}/chatcmpl-x", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


# ---- the rest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "think"),
    [(None, None), ("none", False), ("minimal", False), ("low", True), ("medium", True), ("xhigh", True)],
)
def test_reasoning_effort_becomes_think(
    sdk: openai.OpenAI, double: OllamaDouble, effort: Any, think: bool | None
) -> None:
    extra = {} if effort is None else {"reasoning_effort": effort}
    done = sdk.chat.completions.create(model=QWEN, messages=user("hello"), extra_body={"agent": "chat", **extra})
    assert asked(double)[-1].get("think") == think
    details = done.usage.completion_tokens_details if done.usage else None
    assert details is not None and details.reasoning_tokens is not None
    assert (details.reasoning_tokens > 0) is (think is not False)
    sdk.chat.completions.create(model=LLAMA, messages=user("hello"), extra_body={"agent": "chat", **extra})
    assert "think" not in asked(double)[-1], "a model that cannot think is not asked to"


def test_the_smaller_fields(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(
        model=LLAMA,
        messages=[
            *user("hello"),
            {"role": "assistant", "content": None, "refusal": "I will not."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            *user("why?"),
        ],
        max_tokens=50,
        max_completion_tokens=20,
        stop=["", "a", "b", "c"],
        service_tier="flex",
        verbosity="low",
        safety_identifier="x",
        prompt_cache_key="k",
        extra_body={"agent": "chat"},
    )
    body = asked(double)[-1]
    assert body["options"]["num_predict"] == 20 and body["options"]["stop"] == ["a", "b", "c"]
    assert [m["content"] for m in body["messages"] if m["role"] == "assistant"] == ["I will not.", "No."]
    assert done.service_tier == "default" and (done.system_fingerprint or "").startswith("fp_")
    assert done.usage is not None and done.usage.prompt_tokens_details is not None
    assert done.usage.prompt_tokens_details.cached_tokens == 0


def test_web_search_options_need_the_tool(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(
            model=LLAMA, messages=user("news?"), web_search_options={}, extra_body={"disabled_tools": ["web_search"]}
        )
    assert caught.value.param == "web_search_options"
