"""Plug-ins through the front door: another server's tools in Hearth, and Hearth's tools for another agent."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.doubles.ollama_process import OllamaDouble, reply, tool_call
from tests.server import ROOT, HearthServer, upload_and_wait

pytestmark = pytest.mark.slow
SERVERS = {
    "notes": {
        "command": sys.executable,
        "args": ["-m", "tests.doubles.services.mcp_server"],
        "cwd": str(ROOT),
        "tools": ["shout", "picture", "erase", "surroundings"],
    },
    "hers": {"command": sys.executable, "args": ["-c", "pass"], "users": ["other"]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[HearthServer]:
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "mcp.json").write_text(json.dumps({"mcpServers": SERVERS}))
    with HearthServer(folder, double_process.url, SECRET_KEY="k3y-" * 10 + "0123456789") as running:
        yield running


def tools_of(server: HearthServer, key: str | None = None) -> dict[str, dict[str, Any]]:
    with server.client(key) as client:
        return {tool["name"]: tool for tool in client.get("/api/tools").json()["tools"]}


@pytest.fixture(scope="module")
def reached(server: HearthServer) -> HearthServer:
    """The server once its plug-in has answered."""
    deadline = time.monotonic() + 60
    while "notes_shout" not in tools_of(server):
        assert time.monotonic() < deadline, tools_of(server)["notes"]
        time.sleep(0.1)
    return server


@pytest.fixture(scope="module")
def other_key(reached: HearthServer) -> str:
    """A second user's key."""
    return reached.add_user("other")


def test_a_plug_in_is_listed_with_what_it_may_do(reached: HearthServer) -> None:
    tools = tools_of(reached)
    assert tools["notes_shout"]["available"]
    assert tools["notes_shout"]["outbound"]
    assert (tools["notes_shout"]["needs_confirmation"], tools["notes_erase"]["needs_confirmation"]) == (False, True)
    assert "notes_leave" not in tools
    with reached.client() as client:
        assert "unavailable" in client.get("/health/ready").json()["plugins"]


def test_inj_2_a_user_who_is_not_on_the_list_does_not_see_the_plug_in(reached: HearthServer, other_key: str) -> None:
    assert "hers" not in tools_of(reached)
    deadline = time.monotonic() + 20
    while "hers" not in tools_of(reached, other_key):
        assert time.monotonic() < deadline, "whom the list names does not see the plug-in"
        time.sleep(0.5)


def test_a_plug_in_runs_by_hand_and_its_image_can_be_fetched(reached: HearthServer) -> None:
    with reached.client() as client:
        done = client.post("/api/tools/notes_shout/run", json={"arguments": {"text": "hi"}}).json()
        assert (done["text"], done["error"]) == ("HI", None)
        assert client.post("/api/tools/notes_shout/run", json={"arguments": {}}).status_code == 400
        (link,) = client.post("/api/tools/notes_picture/run", json={"arguments": {}}).json()["files"]
        assert client.get(link["url"]).headers["content-type"] == "image/png"
        around = client.post("/api/tools/notes_surroundings/run", json={"arguments": {}}).json()["text"].split()
        assert set(around) <= {"PATH", "HOME", "LANG"}


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
def test_a_plug_in_is_used_by_the_agents(reached: HearthServer, double: OllamaDouble, agent: str) -> None:
    body = {
        "model": "hearth",
        "agent": agent,
        "messages": [{"role": "user", "content": 'shout it [[tool:notes_shout:{"text":"quiet"}]]'}],
    }
    with reached.client() as client:
        message = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
    assert [(step["name"], step["status"]) for step in message["hearth"]["steps"]] == [("notes_shout", "completed")]
    assert "QUIET" in message["content"]


def test_inj_2_a_plug_in_that_changes_something_waits_for_the_user(reached: HearthServer, double: OllamaDouble) -> None:
    body = {
        "model": "hearth",
        "agent": "react",
        "messages": [{"role": "user", "content": 'erase it [[tool:notes_erase:{"name":"a"}]]'}],
    }
    with reached.client() as client:
        steps = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["hearth"]["steps"]
    assert "is erased" not in json.dumps(steps)


def test_inj_2_a_response_asks_for_approval_and_calls_after_it(reached: HearthServer, double: OllamaDouble) -> None:
    erase = reply(None, tool_call("notes_erase", {"name": "a"}))
    double.script(
        reply("May I erase it?", match={"has_tool_result": True, "last_contains": "confirmation"}),
        reply("It is gone.", match={"has_tool_result": True}),
        erase,
    )
    tools = [{"type": "mcp", "server_label": "notes", "require_approval": "always"}]
    with reached.client() as client:
        first = client.post("/v1/responses", json={"model": "hearth", "input": "erase it", "tools": tools}).json()
        request, message = first["output"]
        assert (request["type"], request["server_label"], request["name"]) == ("mcp_approval_request", "notes", "erase")
        assert message["content"][0]["text"] == "May I erase it?"
        agreed = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
        body = {"model": "hearth", "previous_response_id": first["id"], "input": [agreed], "tools": tools}
        call, message = client.post("/v1/responses", json=body).json()["output"]
    assert (call["type"], call["name"], call["output"]) == ("mcp_call", "erase", "a is erased")
    assert message["content"][0]["text"] == "It is gone."


@asynccontextmanager
async def connected(server: HearthServer, mode: str = "legacy", key: str | None = None) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {server.key if key is None else key}"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_an_official_client_lists_and_calls_hearths_tools(reached: HearthServer, mode: str) -> None:
    async with connected(reached, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"math_calc", "data_analysis", "rag_retrieval"} <= set(tools)
        assert not [name for name in tools if name.startswith("notes_")]
        assert "expression" in tools["math_calc"].input_schema["properties"]
        answer = await client.call_tool("math_calc", {"expression": "6*7"})
        assert not answer.is_error
        assert "42" in answer.content[0].text
        failed = await client.call_tool("math_calc", {})
        assert failed.is_error
        with pytest.raises(MCPError, match="no tool named"):
            await client.call_tool("notes_shout", {"text": "x"})


async def test_documents_are_resources_of_their_owner_alone(reached: HearthServer, other_key: str) -> None:
    with reached.client() as client:
        document = upload_and_wait(client, "plan.txt", b"The plan is to plant beans.")
    uri = f"hearth://documents/{document['file_id']}"
    async with connected(reached) as client:
        listed = (await client.list_resources()).resources
        assert (listed[0].uri, listed[0].name) == (uri, "plan.txt")
        assert "plant beans" in (await client.read_resource(uri)).contents[0].text
        assert (await client.list_resource_templates()).resource_templates[0].name == "page"
        for wrong in ("hearth://documents/nope", "file:///etc/passwd", uri + "/../x"):
            with pytest.raises(MCPError, match="There is no such"):
                await client.read_resource(wrong)
    async with connected(reached, key=other_key) as client:
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError, match="no such document"):
            await client.read_resource(uri)


async def test_what_a_user_switched_off_is_off_here_too(reached: HearthServer, other_key: str) -> None:
    with reached.client(other_key) as client:
        client.put("/api/tools/settings", json={"disabled_tools": ["math_calc"]}).raise_for_status()
    async with connected(reached, key=other_key) as client:
        assert "math_calc" not in {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="no tool named"):
            await client.call_tool("math_calc", {"expression": "1"})


def test_without_a_key_it_is_a_401_in_the_usual_envelope(server: HearthServer) -> None:
    with server.client("") as client:
        refused = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    with server.client() as client:
        assert client.get("/mcp").status_code == 405
        assert client.post("/mcp", headers={"host": "evil.example"}, json={}).status_code == 403
        bodies: list[tuple[bytes, int]] = [(b"{", 400), (b"[" * 5_000, 400), (b" " * 2_000_000, 413)]
        for body, status in bodies:
            headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
            assert client.post("/mcp", content=body, headers=headers).status_code == status
