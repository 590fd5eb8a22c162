"""Stored responses, conversations of items and background runs, through the official SDK against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.doubles.ollama_process import OllamaDouble, fault, reply, sequence, tool_call
from tests.server import HearthServer

pytestmark = pytest.mark.slow
MODEL = "llama3.2:3b"
SLOW = "say it slowly [[tokens:3000]] [[delay:40]]"
TOOL: Any = {
    "type": "function",
    "name": "read_sensor",
    "description": "Reads a sensor.",
    "parameters": {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]},
}


@pytest.fixture
def client(online: HearthServer) -> Iterator[OpenAI]:
    with sdk(online) as made:
        yield made


@pytest.fixture
def web(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as signed_in:
        yield signed_in


def sdk(server: HearthServer, key: str | None = None) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)


def until(happens: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def sent(double: OllamaDouble) -> list[tuple[str, str]]:
    """The newest conversation that was put to the model, system messages left out."""
    messages = double.log("/api/chat")[-1]["body"]["messages"]
    return [(each["role"], each["content"]) for each in messages if each["role"] != "system"]


# ---- chains -----------------------------------------------------------------------------------------------


def test_a_chain_of_three_remembers_everything_but_the_instructions(client: OpenAI, double: OllamaDouble) -> None:
    double.script(sequence(reply("Hello Ottilie.")), reply("Yes."))
    one = client.responses.create(model=MODEL, input="I am Ottilie.", instructions="Speak like a pirate.")
    two = client.responses.create(model=MODEL, input="Are you there?", previous_response_id=one.id)
    assert "pirate" not in json.dumps(double.log("/api/chat")[-1]["body"])
    three = client.responses.create(model=MODEL, input="Who am I?", previous_response_id=two.id)
    assert [text for role, text in sent(double) if role == "user"] == ["I am Ottilie.", "Are you there?", "Who am I?"]
    assert [role for role, _ in sent(double)] == ["user", "assistant", "user", "assistant", "user"]
    assert three.previous_response_id == two.id and one.output_text == "Hello Ottilie."


def test_a_chain_is_one_conversation_of_the_page(client: OpenAI, web: httpx.Client) -> None:
    first = client.responses.with_raw_response.create(model=MODEL, input="a chained hello")
    session = first.headers["x-session-id"]
    second = client.responses.with_raw_response.create(
        model=MODEL, input="a chained question", previous_response_id=first.parse().id
    )
    assert second.headers["x-session-id"] == session
    stored = web.get(f"/api/conversations/{session}").json()
    assert [each["role"] for each in stored["messages"]] == ["user", "assistant", "user", "assistant"]
    assert web.delete(f"/api/conversations/{session}").status_code == 204
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.parse().id)


def test_a_function_call_is_answered_by_the_next_response(
    client: OpenAI, double: OllamaDouble, web: httpx.Client
) -> None:
    double.script(sequence(reply(None, tool_call("read_sensor", {"room": "cellar"})), reply("It is 11 degrees.")))
    one = client.responses.with_raw_response.create(model=MODEL, input="How warm is the cellar?", tools=[TOOL])
    (call,) = one.parse().output
    assert call.type == "function_call" and json.loads(call.arguments) == {"room": "cellar"}
    two = client.responses.with_raw_response.create(
        model=MODEL,
        tools=[TOOL],
        previous_response_id=one.parse().id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "11"}],
    )
    assert two.parse().output_text == "It is 11 degrees."
    assert [role for role, _ in sent(double)] == ["user", "assistant", "tool"]
    session = two.headers["x-session-id"]
    assert session == one.headers["x-session-id"]
    roles = [each["role"] for each in web.get(f"/api/conversations/{session}").json()["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_an_agents_paused_run_goes_on_with_the_output(client: OpenAI, double: OllamaDouble, web: httpx.Client) -> None:
    both = [tool_call("math_calc", {"expression": "6*7"}), tool_call("read_sensor", {"room": "cellar"})]
    double.script(sequence(reply(None, *both), reply("42, and it is 11 degrees.")))
    asked: Any = {"model": MODEL, "tools": [TOOL], "extra_body": {"agent": "react"}}
    one = client.responses.with_raw_response.create(input="6*7, and how warm is the cellar?", **asked)
    kinds = [item.type for item in one.parse().output]
    assert kinds == ["mcp_call", "function_call"]
    call: Any = one.parse().output[1]
    two = client.responses.with_raw_response.create(
        previous_response_id=one.parse().id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "11 degrees"}],
        **asked,
    )
    assert two.parse().output_text == "42, and it is 11 degrees."
    assert two.headers["x-run-id"] == one.headers["x-run-id"]
    assert web.get(f"/api/runs/{two.headers['x-run-id']}").json()["status"] == "completed"


def test_a_reference_brings_back_a_stored_item(client: OpenAI, double: OllamaDouble) -> None:
    double.script(reply("The word is marzipan.", times=1))
    one = client.responses.create(model=MODEL, input="Give me a word.")
    client.responses.create(
        model=MODEL,
        input=[{"type": "item_reference", "id": one.output[0].id}, {"role": "user", "content": "Which word?"}],
    )
    assert sent(double) == [("assistant", "The word is marzipan."), ("user", "Which word?")]


# ---- looked up again ---------------------------------------------------------------------------------------


def test_a_streamed_response_is_got_replayed_and_deleted(client: OpenAI) -> None:
    events = list(client.responses.create(model=MODEL, input="Good morning", stream=True, metadata={"a": "b"}))
    last: Any = events[-1]
    assert last.type == "response.completed"
    found = client.responses.retrieve(last.response.id)
    assert found == last.response and found.metadata == {"a": "b"}
    again = list(client.responses.retrieve(found.id, stream=True))
    assert again == events
    rest = list(client.responses.retrieve(found.id, stream=True, starting_after=3))
    assert [event.sequence_number for event in rest] == list(range(4, len(events)))
    client.responses.delete(found.id)
    for attempt in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            attempt(found.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="x", previous_response_id=found.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_input_items_are_paged(client: OpenAI) -> None:
    said: Any = [{"role": "user", "content": f"word {n}"} for n in range(7)]
    response = client.responses.create(model=MODEL, input=said)
    page = client.responses.input_items.list(response.id, limit=3)
    assert page.has_more is True and len(page.data) == 3
    texts = [item.content[0].text for item in page]  # type: ignore[union-attr]
    assert texts == [f"word {n}" for n in reversed(range(7))]
    forward = [item.content[0].text for item in client.responses.input_items.list(response.id, limit=2, order="asc")]  # type: ignore[union-attr]
    assert forward == texts[::-1]


def test_store_false_keeps_nothing(client: OpenAI, web: httpx.Client) -> None:
    before = web.get("/api/conversations").json()["total"]
    response = client.responses.create(model=MODEL, input="keep nothing", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    assert web.get("/api/conversations").json()["total"] == before


def test_input_is_counted_and_compacted(client: OpenAI, double: OllamaDouble) -> None:
    short = client.responses.input_tokens.count(model=MODEL, input="hi").input_tokens
    assert 0 < short < client.responses.input_tokens.count(model=MODEL, input="hi " * 500).input_tokens
    double.script(reply("It is about tea.", match={"contains": "Summarise"}))
    one = client.responses.create(model=MODEL, input="Tell me about tea.")
    small = client.responses.compact(model=MODEL, previous_response_id=one.id)
    assert [item.type for item in small.output] == ["message", "compaction"] and small.usage.total_tokens > 0
    following: Any = [item.model_dump(exclude_none=True, warnings=False) for item in small.output]
    client.responses.create(model=MODEL, input=[*following, {"role": "user", "content": "And coffee?"}])
    assert [role for role, _ in sent(double)] == ["user", "assistant", "user"]


# ---- a client that leaves -----------------------------------------------------------------------------------


def test_ups_3_a_client_that_leaves_stops_the_model_and_the_response_is_kept_as_cancelled(
    client: OpenAI, double: OllamaDouble
) -> None:
    with client.responses.create(model=MODEL, input=SLOW, stream=True) as stream:
        first: Any = next(stream)
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    double.wait_for_log(lambda log: any(entry["disconnected_at"] for entry in log), 2.0)

    def kept() -> Any:
        try:
            return client.responses.retrieve(first.response.id)
        except openai.NotFoundError:
            return None

    found = until(kept)
    assert found.status == "cancelled" and found.output_text
    replayed: Any = list(client.responses.retrieve(found.id, stream=True))[-1]
    assert replayed.response.status == "cancelled"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_model_that_fails_before_its_first_word_is_an_http_error(
    client: OpenAI, double: OllamaDouble, stream: bool
) -> None:
    double.script(fault("crashed_500", times=9))
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model=MODEL, input="hello", stream=stream)


def test_a_model_that_breaks_off_is_told_and_stored_as_failed(client: OpenAI, double: OllamaDouble) -> None:
    double.script(fault("incomplete_chunked", after_chunks=2))
    events: list[Any] = list(client.responses.create(model=MODEL, input="Good morning to all of you", stream=True))
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    found = client.responses.retrieve(events[0].response.id)
    assert found.status == "failed" and found.error is not None


# ---- in the background ---------------------------------------------------------------------------------------


def poll(client: OpenAI, response_id: str) -> Any:
    def ended() -> Any:
        found = client.responses.retrieve(response_id)
        return found if found.status not in ("queued", "in_progress") else None

    return until(ended)


def test_a_background_response_is_polled(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="Good evening", background=True)
    assert first.status == "queued" and first.background
    done = poll(client, first.id)
    assert done.status == "completed" and "Good evening" in done.output_text
    following = client.responses.create(model=MODEL, input="Thanks", previous_response_id=done.id)
    assert following.status == "completed"


def test_a_background_response_is_cancelled(client: OpenAI, double: OllamaDouble) -> None:
    first = client.responses.create(model=MODEL, input=SLOW, background=True)
    until(lambda: double.stats()["active_requests"] > 0)
    cancelled = client.responses.cancel(first.id)
    assert cancelled.status == "cancelled"
    double.wait_for_log(lambda log: any(entry["disconnected_at"] for entry in log), 2.0)
    assert client.responses.cancel(first.id).status == "cancelled"
    assert client.responses.retrieve(first.id).status == "cancelled"


def test_a_background_stream_goes_on_without_its_reader_and_is_taken_up_again(client: OpenAI) -> None:
    seen: list[Any] = []
    with client.responses.create(
        model=MODEL, input="count [[tokens:30]] [[delay:20]]", background=True, stream=True
    ) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    response_id = seen[0].response.id
    assert "response.queued" in [event.type for event in seen]
    live = client.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    rest: list[Any] = list(live)
    assert [e.sequence_number for e in [*seen, *rest]] == list(range(len(seen) + len(rest)))
    assert rest[-1].type == "response.completed"
    text = "".join(e.delta for e in [*seen, *rest] if e.type == "response.output_text.delta")
    assert text == client.responses.retrieve(response_id).output_text == rest[-1].response.output_text
    assert [e.sequence_number for e in client.responses.retrieve(response_id, stream=True)] == list(
        range(len(seen) + len(rest))
    )


def test_flow_4_st_6_what_a_stopped_or_killed_server_was_at_is_told_as_failed(
    tmp_path: Path, double: OllamaDouble
) -> None:
    server = HearthServer(tmp_path, double.url, OLLAMA_MODEL=MODEL)
    with server:
        with sdk(server) as client:
            conversation = client.conversations.create(items=[{"role": "user", "content": "kept"}])
            done = client.responses.create(model=MODEL, input="hello", conversation=conversation.id)
            stopped = client.responses.create(model=MODEL, input=SLOW, background=True)
            until(lambda: double.stats()["active_requests"] > 0)
        server.stop()
        server.start()
        with sdk(server) as client:
            found = client.responses.retrieve(stopped.id)
            assert found.status == "failed" and "stopped" in (found.error.message if found.error else "")
            killed = client.responses.create(model=MODEL, input=SLOW, background=True)
            until(lambda: double.stats()["active_requests"] > 0)
        server.kill()
        server.start()
        with sdk(server) as client:
            found = client.responses.retrieve(killed.id)
            assert found.status == "failed" and found.error is not None and found.error.code == "server_error"
            assert client.responses.retrieve(done.id) == done
            assert len(list(client.conversations.items.list(conversation.id))) == 3
            client.responses.delete(killed.id)


# ---- conversations -------------------------------------------------------------------------------------------


def test_conversations_live_and_hold_items(client: OpenAI) -> None:
    made = client.conversations.create(metadata={"topic": "tea"}, items=[{"role": "user", "content": "one"}])
    assert made.object == "conversation" and made.metadata == {"topic": "tea"}
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"topic": "coffee"}).metadata == {"topic": "coffee"}
    added = client.conversations.items.create(
        made.id,
        items=[
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "input_text", "text": "three"}]},
        ],
    )
    assert [item.type for item in added.data] == ["message", "message"] and added.has_more is False
    items: list[Any] = list(client.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["one", "two", "three"]
    newest: Any = client.conversations.items.list(made.id, limit=1).data[0]
    assert newest.id == added.data[-1].id
    assert client.conversations.items.retrieve(newest.id, conversation_id=made.id) == newest
    assert client.conversations.items.delete(newest.id, conversation_id=made.id).id == made.id
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(newest.id, conversation_id=made.id)
    assert client.conversations.delete(made.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(made.id)


def test_responses_are_added_to_their_conversation(client: OpenAI, double: OllamaDouble) -> None:
    made = client.conversations.create(items=[{"role": "user", "content": "My name is Ottilie."}])
    one = client.responses.create(model=MODEL, input="Hello", conversation=made.id)
    assert one.conversation is not None and one.conversation.id == made.id
    list(client.responses.create(model=MODEL, input="Who am I?", conversation={"id": made.id}, stream=True))
    assert [text for role, text in sent(double) if role == "user"][:2] == ["My name is Ottilie.", "Hello"]
    items: list[Any] = list(client.conversations.items.list(made.id, order="asc"))
    assert [item.role for item in items] == ["user", "user", "assistant", "user", "assistant"]
    assert items[2].id == one.output[0].id


# ---- refusals -------------------------------------------------------------------------------------------------

NO_ID = "0" * 32
METADATA = {str(n): "x" for n in range(17)}
ITEMS = [{"role": "user", "content": "x"}] * 21
REFUSALS: dict[str, tuple[str, str, Any, int, str, str | None]] = {
    "previous": ("POST", "responses", {"previous_response_id": f"resp_{NO_ID}"}, 400, "previous_response_not_found",
                 "previous_response_id"),
    "conversation": ("POST", "responses", {"conversation": f"conv_{NO_ID}"}, 404, "not_found", "conversation"),
    "both": ("POST", "responses", {"conversation": "c", "previous_response_id": "r"}, 400,
             "mutually_exclusive_parameters", "previous_response_id"),
    "reference": ("POST", "responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, 404, "not_found",
                  "input.0.id"),
    "background": ("POST", "responses", {"background": True, "store": False}, 400, "invalid_value", "background"),
    "model": ("POST", "responses", {"model": "none:1b"}, 404, "model_not_found", "model"),
    "model-background": ("POST", "responses", {"model": "none:1b", "background": True}, 404, "model_not_found",
                         "model"),
    "metadata": ("POST", "responses", {"metadata": METADATA}, 400, "invalid_value", "metadata"),
    "get": ("GET", f"responses/resp_{NO_ID}", None, 404, "not_found", None),
    "get-path": ("GET", "responses/..%2Fx", None, 404, "unknown_url", None),
    "get-stream": ("GET", f"responses/resp_{NO_ID}?stream=true", None, 404, "not_found", None),
    "conversation-id": ("POST", "responses", {"conversation": {"id": None}}, 400, "invalid_value", "conversation.id"),
    "store-unknown": ("POST", "responses", {"tools": [{"type": "code_interpreter"}, {"type": "file_search",
                      "vector_store_ids": [f"vs_{NO_ID}"]}]}, 404, "not_found", "tools[1].vector_store_ids"),
    "container-file": ("POST", "responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto",
                       "file_ids": [f"file-{NO_ID}"]}}]}, 404, "not_found", "tools[0].container.file_ids"),
    "starting-after": ("GET", f"responses/resp_{NO_ID}?starting_after=-1", None, 400, "invalid_value",
                       "starting_after"),
    "cancel": ("POST", f"responses/resp_{NO_ID}/cancel", None, 404, "not_found", None),
    "delete": ("DELETE", f"responses/resp_{NO_ID}", None, 404, "not_found", None),
    "input-items": ("GET", f"responses/resp_{NO_ID}/input_items", None, 404, "not_found", None),
    "limit": ("GET", f"responses/resp_{NO_ID}/input_items?limit=101", None, 400, "invalid_value", "limit"),
    "order": ("GET", f"responses/resp_{NO_ID}/input_items?order=up", None, 400, "invalid_value", "order"),
    "tokens-model": ("POST", "responses/input_tokens", {"model": "none:1b"}, 404, "model_not_found", "model"),
    "compact-nothing": ("POST", "responses/compact", {"input": None}, 400, "missing_required_parameter", "input"),
    "compaction": ("POST", "responses", {"input": [{"type": "compaction", "encrypted_content": "e30="}]}, 400,
                   "invalid_value", "input.0.encrypted_content"),
    "conv-metadata": ("POST", "conversations", {"metadata": {"k" * 65: "x"}}, 400, "invalid_value",
                      f"metadata.{'k' * 65}"),
    "conv-value": ("POST", "conversations", {"metadata": {"k": "x" * 513}}, 400, "invalid_value", "metadata.k"),
    "conv-items": ("POST", "conversations", {"items": ITEMS}, 400, "invalid_value", "items"),
    "conv-item": ("POST", "conversations", {"items": [{"type": "alien"}]}, 400, "invalid_value", "items.0.type"),
    "conv-reference": ("POST", "conversations", {"items": [{"type": "item_reference", "id": "m"}]}, 400,
                       "invalid_value", "items.0.type"),
    "conv-get": ("GET", f"conversations/conv_{NO_ID}", None, 404, "not_found", None),
    "conv-update": ("POST", f"conversations/conv_{NO_ID}", {"metadata": {}}, 404, "not_found", None),
    "conv-update-nothing": ("POST", f"conversations/conv_{NO_ID}", {}, 400, "invalid_value", "metadata"),
    "conv-delete": ("DELETE", f"conversations/conv_{NO_ID}", None, 404, "not_found", None),
    "conv-list": ("GET", f"conversations/conv_{NO_ID}/items", None, 404, "not_found", None),
    "conv-add": ("POST", f"conversations/conv_{NO_ID}/items", {"items": ITEMS[:1]}, 404, "not_found", None),
    "conv-add-nothing": ("POST", f"conversations/conv_{NO_ID}/items", {"items": []}, 400, "invalid_value", "items"),
    "conv-item-get": ("GET", f"conversations/conv_{NO_ID}/items/msg_1", None, 404, "not_found", None),
    "conv-item-delete": ("DELETE", f"conversations/conv_{NO_ID}/items/msg_1", None, 404, "not_found", None),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "param"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_say_what_is_wrong(
    web: httpx.Client, method: str, path: str, body: Any, status: int, code: str, param: str | None
) -> None:
    if path.startswith("responses") and isinstance(body, dict):
        body = {"model": MODEL, "input": "x", "stream": True, **body}
    answer = web.request(method, f"/v1/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert error["type"] == "invalid_request_error" and error["message"].endswith(".")


@pytest.mark.parametrize("after", ["msg_unknown", "x" * 129])
def test_a_page_after_an_item_that_is_not_there_is_refused(client: OpenAI, after: str) -> None:
    made = client.conversations.create(items=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError) as caught:
        client.conversations.items.list(made.id, after=after)
    assert caught.value.param == "after"


def test_what_is_waited_for_cannot_be_cancelled(client: OpenAI) -> None:
    done = client.responses.create(model=MODEL, input="hello")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.cancel(done.id)
    assert caught.value.code == "not_cancellable"


def test_iso_1_iso_2_strangers_get_what_missing_ids_give(
    online: HearthServer, client: OpenAI, web: httpx.Client
) -> None:
    response = client.responses.create(model=MODEL, input="alice's secret", stream=False)
    running = client.responses.create(model=MODEL, input=SLOW, background=True)
    made = client.conversations.create(items=[{"role": "user", "content": "alice's secret"}])
    (item,) = client.conversations.items.list(made.id).data
    theirs = [
        ("GET", f"responses/{response.id}", None),
        ("GET", f"responses/{running.id}", None),
        ("GET", f"responses/{running.id}?stream=true", None),
        ("GET", f"responses/{response.id}/input_items", None),
        ("POST", f"responses/{running.id}/cancel", None),
        ("DELETE", f"responses/{running.id}", None),
        ("POST", "responses", {"model": MODEL, "input": "x", "previous_response_id": response.id}),
        ("POST", "responses", {"model": MODEL, "input": "x", "conversation": made.id}),
        ("POST", "responses", {"model": MODEL, "input": [{"type": "item_reference", "id": response.output[0].id}]}),
        ("GET", f"conversations/{made.id}", None),
        ("POST", f"conversations/{made.id}", {"metadata": {}}),
        ("DELETE", f"conversations/{made.id}", None),
        ("GET", f"conversations/{made.id}/items", None),
        ("POST", f"conversations/{made.id}/items", {"items": [{"role": "user", "content": "x"}]}),
        ("GET", f"conversations/{made.id}/items/{item.id}", None),
        ("DELETE", f"conversations/{made.id}/items/{item.id}", None),
    ]
    ids = [response.id, running.id, made.id, item.id, response.output[0].id]

    def told(answer: httpx.Response) -> tuple[int, str]:
        text = answer.text
        for each in ids:
            text = text.replace(each, "ID").replace(each[:-1] + "x", "ID")
        return answer.status_code, text

    with online.client(online.add_user("responses-stranger")) as stranger:
        for method, path, body in theirs:
            missing, lost = path, json.dumps(body)
            for each in ids:
                missing, lost = missing.replace(each, each[:-1] + "x"), lost.replace(each, each[:-1] + "x")
            foreign = told(stranger.request(method, f"/v1/{path}", json=body))
            assert foreign == told(stranger.request(method, f"/v1/{missing}", json=json.loads(lost))), (method, path)
            assert foreign[0] in (400, 404) and "secret" not in foreign[1]
    assert web.get(f"/v1/responses/{running.id}").json()["status"] in ("queued", "in_progress")
    client.responses.delete(running.id)


@pytest.mark.parametrize("path", ["responses", "conversations", "responses/input_tokens", "responses/compact"])
def test_auth_5_the_key_comes_before_the_body(online: HearthServer, path: str) -> None:
    with online.client("") as nobody:
        answer = nobody.post(f"/v1/{path}", content=b"{ not json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
