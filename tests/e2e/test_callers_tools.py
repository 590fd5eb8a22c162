"""The caller's own tools beside the server's, in one agent run, through the official SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.doubles.ollama_process import OllamaDouble, reply, sequence, tool_call
from tests.server import HearthServer

pytestmark = pytest.mark.slow
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "read_sensor",
        "description": "Reads a sensor.",
        "parameters": {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]},
    },
}


def sdk(server: HearthServer, key: str | None = None) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)


def script(double: OllamaDouble, agent: str) -> None:
    if agent == "react":
        both = [tool_call("math_calc", {"expression": "6*7"}), tool_call("read_sensor", {"room": "cellar"})]
        double.script(sequence(reply(None, *both), reply("42, and it is 11 degrees.")))
        return
    steps = [
        {"id": "s1", "purpose": "multiply", "tool": "math_calc", "input": {"expression": "6*7"}, "depends_on": []},
        {"id": "s2", "purpose": "look", "tool": "read_sensor", "input": {"room": "cellar"}, "depends_on": []},
    ]
    double.script(
        reply(json.dumps({"steps": steps}), match={"format_property": "steps"}),
        reply("42, and it is 11 degrees.", match={"has_tool_result": True, "has_format": False}),
    )


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_our_tools_run_here_the_callers_come_back_and_the_run_goes_on(
    online: HearthServer, double: OllamaDouble, agent: str, stream: bool
) -> None:
    script(double, agent)
    client = sdk(online)
    messages: list[Any] = [{"role": "user", "content": "what is 6*7, and how warm is the cellar?"}]
    asked: dict[str, Any] = {"model": "llama3.2:3b", "tools": [TOOL], "extra_body": {"agent": agent}}
    if stream:
        with client.chat.completions.stream(messages=messages, **asked) as events:
            for _ in events:
                pass
            first = events.get_final_completion()
    else:
        first = client.chat.completions.create(messages=messages, **asked)
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or ()
    assert (call.function.name, json.loads(call.function.arguments)) == ("read_sensor", {"room": "cellar"})
    hearth: Any = (choice.message.model_extra or {})["hearth"]
    assert ("math_calc", "completed") in [(step["name"], step["status"]) for step in hearth["steps"]]
    with online.client() as web:
        waiting = web.get(f"/api/runs/{hearth['run_id']}").json()
    assert waiting["status"] == "waiting"
    assert "checkpoint" not in waiting

    messages += [
        {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
        {"role": "tool", "tool_call_id": call.id, "content": "11 degrees"},
    ]
    second = client.chat.completions.create(messages=messages, **asked)
    assert second.choices[0].message.content == "42, and it is 11 degrees."
    after: Any = (second.choices[0].message.model_extra or {})["hearth"]
    assert after["run_id"] == hearth["run_id"]
    assert after["session_id"] == hearth["session_id"]
    assert "math_calc" in [step["name"] for step in after["steps"]]
    # The calculation was not done twice, and the model saw both results.
    last = double.log("/api/chat")[-1]["body"]["messages"]
    done = [message.get("tool_name") for message in last if message["role"] == "tool"]
    assert sorted(done) == ["math_calc", "read_sensor"]
    assert any("11 degrees" in message["content"] for message in last)
    with online.client() as web:
        assert web.get(f"/api/runs/{hearth['run_id']}").json()["status"] == "completed"


def test_without_an_agent_the_request_is_a_plain_completion(online: HearthServer, double: OllamaDouble) -> None:
    double.script(reply(None, tool_call("read_sensor", {"room": "hall"})))
    answer = sdk(online).chat.completions.create(
        model="llama3.2:3b", tools=[TOOL], messages=[{"role": "user", "content": "how warm is the hall?"}]
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls or ()] == ["read_sensor"]
    offered = double.log("/api/chat")[0]["body"]["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["read_sensor"]


def test_inj_2_results_for_a_strangers_run_resume_nothing(online: HearthServer, double: OllamaDouble) -> None:
    script(double, "react")
    asked: dict[str, Any] = {"model": "llama3.2:3b", "tools": [TOOL], "extra_body": {"agent": "react"}}
    question = {"role": "user", "content": "what is 6*7, and how warm is the cellar?"}
    first = sdk(online).chat.completions.create(messages=[question], **asked)
    (call,) = first.choices[0].message.tool_calls or ()
    double.reset()
    stranger = sdk(online, online.add_user("stranger"))
    made_up: list[Any] = [
        {"role": "user", "content": "go on"},
        {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
        {"role": "tool", "tool_call_id": call.id, "content": "x"},
    ]
    answer = stranger.chat.completions.create(messages=made_up, **asked)
    assert (answer.model_extra or {})["run_id"] != (first.model_extra or {})["run_id"]
    assert "cellar" not in json.dumps(double.log("/api/chat")[0]["body"]["messages"][:2])
