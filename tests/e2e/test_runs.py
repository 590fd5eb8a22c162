"""Runs of agents through the front door: traces, live events, cancelling, and what a dead server leaves."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.server import ROOT, HearthServer

CHAT = "/v1/chat/completions"
MATH = 'Compute [[tool:math_calc:{"expression":"17*23"}]]'
SLOW = "slow please [[tokens:500]] [[delay:50]]"
HANGING = 'Wait [[tool:sleepy:{"seconds":60}]]'
SLEEPY = """
from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from backend.models.run import RunContext
from backend.models.tools import ToolResult
from backend.tools.port import BaseTool, ToolServices


class Args(BaseModel):
    seconds: float = Field(description="How long")


class Sleepy(BaseTool):
    name = "sleepy"
    description = "Sleeps"
    Args = Args
    timeout_s = 120.0

    async def run(self, arguments: Args, context: RunContext) -> ToolResult:
        await asyncio.sleep(arguments.seconds)
        return ToolResult("slept")


def create(services: ToolServices) -> Sleepy:
    return Sleepy()
"""


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[HearthServer]:
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(ROOT / "backend", code / "backend", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "frontend").symlink_to(ROOT / "frontend")
    (code / "backend" / "tools" / "sleepy.py").write_text(SLEEPY, encoding="utf-8")
    folder = tmp_path_factory.mktemp("runs")
    with HearthServer(folder, double_process.url, code, OLLAMA_MODEL="llama3.2:3b") as running:
        yield running


@pytest.fixture
def server(_server: HearthServer, double: OllamaDouble) -> HearthServer:
    return _server


@pytest.fixture
def client(server: HearthServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "hearth-react", "messages": [{"role": "user", "content": text}], **more}


def frames(answer: httpx.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbered events of a stream."""
    number = 0
    for line in answer.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            yield number, json.loads(line[6:])


def events_of(client: httpx.Client, run_id: str, after: int = 0, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    with client.stream("GET", f"/api/runs/{run_id}/events?after={after}", headers=headers) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        return list(frames(answer))


def wait_until(holds: Callable[[], Any], seconds: float, otherwise: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


class Asking(threading.Thread):
    """A streamed question asked beside the test; `chunks` are its frames, `run_id` comes with the head."""

    def __init__(self, server: HearthServer, **question: Any) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.question = question
        self.run_id = ""
        self.chunks: list[str] = []
        self.start()
        wait_until(lambda: self.run_id, 20, "the answer did not begin")

    def run(self) -> None:
        with (
            self.server.client() as client,
            client.stream("POST", CHAT, json={**self.question, "stream": True}) as answer,
        ):
            self.run_id = answer.headers["x-run-id"]
            self.chunks += [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]

    def last(self) -> dict[str, Any]:
        """The finish chunk, once the stream has ended as it should."""
        self.join(20)
        assert self.chunks[-1] == "[DONE]"
        found: dict[str, Any] = json.loads(self.chunks[-2])["choices"][0]
        return found


def test_trace_of_an_agent_run_tells_all_and_lists_lightly(client: httpx.Client) -> None:
    done = client.post(CHAT, json=body(MATH)).json()
    run = client.get(f"/api/runs/{done['run_id']}").json()
    assert run["status"] == "completed" and run["answer"] == done["choices"][0]["message"]["content"]
    assert run["query"] == MATH and run["route"]["agent"] == "react" and run["session_id"] == done["session_id"]
    assert run["request_id"].startswith("req_")
    step = run["steps"][0]
    assert (step["name"], step["arguments"], step["status"]) == ("math_calc", {"expression": "17*23"}, "completed")
    assert "391" in step["output"] and step["duration_ms"] >= 0
    assert len(run["calls"]) >= 2 and "math_calc" in run["calls"][0]["tools"]
    assert any(MATH in message["content"] for message in run["calls"][0]["messages"])
    assert run["usage"]["total_tokens"] == done["usage"]["total_tokens"]
    row = client.get("/api/runs", params={"session_id": done["session_id"]}).json()["runs"][0]
    assert (row["run_id"], row["agent"], row["step_count"]) == (done["run_id"], "react", 1)
    assert row["tokens"] == run["usage"]["total_tokens"] and "steps" not in row and "calls" not in row


def test_plain_completion_leaves_no_trace_and_nothing_is_kept_with_store_false(client: httpx.Client) -> None:
    before = client.get("/api/runs").json()["total"]
    client.post(CHAT, json=body("hello", model="hearth-chat"))
    unstored = client.post(CHAT, json=body(MATH, store=False)).json()
    assert client.get("/api/runs").json()["total"] == before
    assert client.get(f"/api/runs/{unstored['run_id']}").status_code == 404


def test_live_events_equal_the_replay_and_resume_without_loss_or_doubling(
    server: HearthServer, client: httpx.Client
) -> None:
    asking = Asking(server, **body("Count [[tokens:60]] [[delay:20]]"))
    live = events_of(client, asking.run_id)
    asking.join(20)
    assert [number for number, _ in live] == list(range(1, len(live) + 1))
    assert [event["n"] for _, event in live] == [number for number, _ in live]
    assert live[0][1]["type"] == "run_started" and live[-1][1]["type"] == "finished"
    assert 2 <= sum(event["type"] == "text" for _, event in live) < 60
    answer = client.get(f"/api/runs/{asking.run_id}").json()["answer"]
    assert "".join(event["text"] for _, event in live if event["type"] == "text") == answer
    assert events_of(client, asking.run_id) == live
    for after in (1, 3, len(live)):
        assert events_of(client, asking.run_id, after) == live[after:]
    assert events_of(client, asking.run_id, **{"last-event-id": "2"}) == live[2:]


def test_watcher_that_reconnects_in_mid_run_misses_nothing(server: HearthServer, client: httpx.Client) -> None:
    asking = Asking(server, **body("Count [[tokens:60]] [[delay:20]]"))
    seen: list[tuple[int, dict[str, Any]]] = []
    with client.stream("GET", f"/api/runs/{asking.run_id}/events") as answer:
        for numbered in frames(answer):
            seen.append(numbered)
            if len(seen) == 4:
                break
    seen += events_of(client, asking.run_id, after=seen[-1][0])
    assert seen == events_of(client, asking.run_id)


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
def test_cancel_stops_a_hanging_tool_and_the_answer_ends_properly(
    server: HearthServer, client: httpx.Client, agent: str
) -> None:
    asking = Asking(server, **body(HANGING, model="hearth", agent=agent))
    wait_until(
        lambda: any('"tool_started"' in chunk for chunk in asking.chunks) or started(client, asking.run_id),
        10, "the tool never started",
    )  # fmt: skip
    began = time.monotonic()
    answer = client.post(f"/api/runs/{asking.run_id}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"run_id": asking.run_id, "status": "cancelled"})
    assert time.monotonic() - began < 1.0
    last = asking.last()
    assert last["finish_reason"] == "stop"
    assert last["delta"]["hearth"]["stopped_because"] == "The run was cancelled."
    run = client.get(f"/api/runs/{asking.run_id}").json()
    assert (run["status"], run["stopped_because"]) == ("cancelled", "The run was cancelled.")
    assert [step["status"] for step in run["steps"]] == ["cancelled"]
    assert client.post(f"/api/runs/{asking.run_id}/cancel").status_code == 200, "twice is fine"
    row = client.get("/api/runs?status=cancelled").json()["runs"][0]
    assert row["run_id"] == asking.run_id


def started(client: httpx.Client, run_id: str) -> bool:
    return any(step["status"] == "running" for step in client.get(f"/api/runs/{run_id}").json()["steps"])


@pytest.mark.parametrize("model", ["hearth-react", "hearth-chat"])
def test_cancel_stops_the_model_within_a_second_and_keeps_what_was_written(
    server: HearthServer, double: OllamaDouble, client: httpx.Client, model: str
) -> None:
    asking = Asking(server, **body(SLOW, model=model))
    time.sleep(0.5)
    assert client.post(f"/api/runs/{asking.run_id}/cancel").json()["status"] == "cancelled"
    wait_until(lambda: double.log("/api/chat")[-1].get("disconnected_at"), 1.0, "the model was still at it")
    assert asking.last()["delta"]["hearth"]["stopped_because"] == "The run was cancelled."
    session = client.get("/api/conversations").json()["conversations"][0]["session_id"]
    kept = client.get(f"/api/conversations/{session}").json()["messages"][-1]
    assert kept["partial"] is True and kept["content"].startswith("000 ")


def test_cancel_ends_an_answer_that_is_not_streamed(server: HearthServer, client: httpx.Client) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        with server.client() as asking:
            answers.append(asking.post(CHAT, json=body(SLOW)))

    thread = threading.Thread(target=ask)
    thread.start()
    running = wait_until(lambda: client.get("/api/runs?status=running").json()["runs"], 10, "it never ran")
    time.sleep(0.3)
    client.post(f"/api/runs/{running[0]['run_id']}/cancel")
    thread.join(10)
    done = answers[0].json()["choices"][0]
    assert done["finish_reason"] == "stop" and done["message"]["content"].startswith("000 ")


def test_cancelling_what_is_over_is_a_conflict_and_what_is_unknown_not_found(client: httpx.Client) -> None:
    done = client.post(CHAT, json=body(MATH)).json()
    over = client.post(f"/api/runs/{done['run_id']}/cancel")
    assert over.status_code == 409 and over.json()["error"]["code"] == "conflict"
    assert client.post("/api/runs/run_none/cancel").status_code == 404


def test_client_gone_cancels_the_run(server: HearthServer, double: OllamaDouble, client: httpx.Client) -> None:
    with server.client() as other, other.stream("POST", CHAT, json=body(SLOW, stream=True)) as answer:
        run_id = answer.headers["x-run-id"]
        next(answer.iter_bytes())
    run = wait_until(
        lambda: run if (run := client.get(f"/api/runs/{run_id}").json())["status"] != "running" else None,
        2, "it went on",
    )  # fmt: skip
    assert run["status"] == "cancelled" and "left" in run["stopped_because"]
    wait_until(lambda: double.log("/api/chat")[-1].get("disconnected_at"), 1.0, "the model went on")


def test_failed_run_is_stored_with_the_sentence_the_client_got(
    server: HearthServer, double: OllamaDouble, client: httpx.Client
) -> None:
    double.script({"fault": [{"kind": "error_line", "after_chunks": 2}], "reply": {"content": "one two three four"}})
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as sdk,
        pytest.raises(openai.APIError) as caught,
    ):
        list(sdk.chat.completions.create(**body("fail", stream=True)))
    row = client.get("/api/runs?status=failed").json()["runs"][0]
    run = client.get(f"/api/runs/{row['run_id']}").json()
    assert run["error"]["message"] == caught.value.message and run["error"]["code"]
    assert events_of(client, row["run_id"])[-1][1]["message"] == caught.value.message


def test_iso_1_strangers_run_is_a_missing_one(server: HearthServer, client: httpx.Client) -> None:
    run_id = client.post(CHAT, json=body(MATH)).json()["run_id"]
    key = server.add_user("stranger")
    with server.client(key) as stranger:
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("DELETE", "")):
            foreign = stranger.request(method, f"/api/runs/{run_id}{path}")
            missing = stranger.request(method, f"/api/runs/run_{'0' * 32}{path}")
            assert foreign.status_code == missing.status_code == 404
            assert foreign.json() == missing.json()
        assert stranger.get("/api/runs").json()["runs"] == []


def test_deleted_run_is_gone(client: httpx.Client) -> None:
    run_id = client.post(CHAT, json=body(MATH)).json()["run_id"]
    assert client.delete(f"/api/runs/{run_id}").status_code == 204
    assert client.get(f"/api/runs/{run_id}").status_code == 404
    assert client.delete(f"/api/runs/{run_id}").status_code == 404


@pytest.mark.parametrize("query", ["status=odd", "page=0", "limit=0", "limit=1000"])
def test_bad_list_arguments_are_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/api/runs?{query}").status_code == 400


def test_deleting_a_conversation_takes_a_run_that_goes_on_with_it(server: HearthServer, client: httpx.Client) -> None:
    session = client.post(CHAT, json=body("hello", model="hearth-chat")).json()["session_id"]
    asking = Asking(server, **body(HANGING, session_id=session))
    wait_until(lambda: started(client, asking.run_id), 10, "the tool never started")
    assert client.delete(f"/api/conversations/{session}").status_code == 204
    client.post(f"/api/runs/{asking.run_id}/cancel")
    asking.join(10)
    assert client.get(f"/api/runs/{asking.run_id}").status_code == 404


def test_run_that_waited_for_the_callers_tools_is_one_trace(client: httpx.Client) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "open_door",
            "parameters": {"type": "object", "properties": {"which": {"type": "string"}}},
        },
    }
    text = f'{MATH} and [[tool:open_door:{{"which":"front"}}]]'
    first = client.post(CHAT, json=body(text, tools=[tool], agent="react")).json()
    run_id, message = first["run_id"], first["choices"][0]["message"]
    run = client.get(f"/api/runs/{run_id}").json()
    assert run["status"] == "waiting" and run["tool_calls"][0]["name"] == "open_door" and "checkpoint" not in run
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "opened"} for call in message["tool_calls"]]
    question = body(text, tools=[tool], agent="react")
    question["messages"] += [{"role": "assistant", "tool_calls": message["tool_calls"]}, *results]
    second = client.post(CHAT, json=question).json()
    assert second["run_id"] == run_id
    hearth = second["choices"][0]["message"]["hearth"]
    assert [step["name"] for step in hearth["steps"]] == ["math_calc"], "the earlier steps are part of the answer"
    assert len(hearth["usage_by_step"]) == 2
    run = client.get(f"/api/runs/{run_id}").json()
    assert run["status"] == "completed" and run["tool_calls"][0]["output"] == "opened"
    assert [call["index"] for call in run["calls"]] == [0, 1]
    told = [event["type"] for _, event in events_of(client, run_id)]
    assert told.count("run_started") == told.count("finished") == 2


@pytest.mark.slow
def test_run_of_a_killed_server_reads_as_interrupted(
    tmp_path_factory: pytest.TempPathFactory, double: OllamaDouble
) -> None:
    server = HearthServer(tmp_path_factory.mktemp("killed"), double.url, OLLAMA_MODEL="llama3.2:3b").start()
    try:
        asking = threading.Thread(target=_ask_and_lose, args=(server,), daemon=True)
        asking.start()
        with server.client() as client:
            row = wait_until(lambda: client.get("/api/runs").json()["runs"], 20, "the run was never stored")[0]
        server.kill()
        asking.join(10)
        server.start()
        with server.client() as client:
            run = client.get(f"/api/runs/{row['run_id']}").json()
            assert run["status"] == "interrupted" and run["error"]["code"] == "interrupted"
            listed = client.get("/api/runs?status=interrupted").json()["runs"]
            assert [each["run_id"] for each in listed] == [row["run_id"]]
            told = events_of(client, row["run_id"])
            assert told[0][1]["type"] == "run_started" and told[-1][1]["status"] == "interrupted"
            assert client.post(f"/api/runs/{row['run_id']}/cancel").status_code == 409
    finally:
        server.stop()


def _ask_and_lose(server: HearthServer) -> None:
    with server.client() as client, pytest.raises(httpx.HTTPError):
        client.post(CHAT, json=body(SLOW))
