"""Which tools may run: per user and per request, through the front door."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.server import HearthServer

pytestmark = pytest.mark.slow
ASK = {"model": "llama3.2:3b", "agent": "react", "messages": [{"role": "user", "content": "what is 6*7"}]}


@pytest.fixture
def client(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as client:
        yield client
        client.put("/api/tools/settings", json={"disabled_tools": []})


def offered(double: OllamaDouble) -> set[str]:
    asked = double.log("/api/chat")[0]["body"]
    return {tool["function"]["name"] for tool in asked.get("tools", ())}


def test_a_tool_a_user_has_switched_off_is_not_offered_and_shown_so(client: httpx.Client, double: OllamaDouble) -> None:
    assert client.put("/api/tools/settings", json={"disabled_tools": ["math_calc"]}).status_code == 200
    shown = {tool["name"]: tool["enabled"] for tool in client.get("/api/tools").json()["tools"]}
    assert shown["math_calc"] is False
    assert shown["data_analysis"] is True
    client.post("/v1/chat/completions", json=ASK).raise_for_status()
    assert "math_calc" not in offered(double)
    assert "data_analysis" in offered(double)


def test_the_switch_is_one_users_own(online: HearthServer, client: httpx.Client) -> None:
    client.put("/api/tools/settings", json={"disabled_tools": ["math_calc"]})
    with online.client(online.add_user("other")) as other:
        shown = {tool["name"]: tool["enabled"] for tool in other.get("/api/tools").json()["tools"]}
    assert shown["math_calc"] is True


@pytest.mark.parametrize(
    ("fields", "there", "gone"),
    [
        ({"enabled_tools": ["math_calc"]}, {"math_calc"}, {"data_analysis", "rag_retrieval"}),
        ({"disabled_tools": ["data_analysis"]}, {"math_calc"}, {"data_analysis"}),
        ({"enabled_tools": []}, set(), {"math_calc"}),
    ],
)
def test_a_request_can_narrow_the_tools(
    client: httpx.Client, double: OllamaDouble, fields: dict[str, list[str]], there: set[str], gone: set[str]
) -> None:
    client.post("/v1/chat/completions", json={**ASK, **fields}).raise_for_status()
    assert there <= offered(double)
    assert not gone & offered(double)


def test_a_request_cannot_bring_back_what_the_user_switched_off(client: httpx.Client, double: OllamaDouble) -> None:
    client.put("/api/tools/settings", json={"disabled_tools": ["math_calc"]})
    body = {**ASK, "enabled_tools": ["math_calc", "data_analysis"]}
    client.post("/v1/chat/completions", json=body).raise_for_status()
    assert offered(double) == {"data_analysis"}


@pytest.mark.parametrize("field", ["enabled_tools", "disabled_tools"])
def test_an_unknown_tool_is_a_400_that_names_the_field(client: httpx.Client, field: str) -> None:
    refused = client.post("/v1/chat/completions", json={**ASK, field: ["nope"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)


def test_settings_refuse_unknown_names(client: httpx.Client) -> None:
    refused = client.put("/api/tools/settings", json={"disabled_tools": ["nope"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "disabled_tools")
