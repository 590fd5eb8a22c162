"""Each tool by hand, and through chat completions by both agents; the services behind them are played on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.doubles.ollama_process import OllamaDouble, reply, sequence, tool_call
from tests.doubles.services import mediawiki, open_meteo, tavily, websites
from tests.doubles.services.in_thread import served
from tests.server import HearthServer, upload_and_wait

pytestmark = pytest.mark.slow
SALES = b"city,amount\nParis,10.5\nBerlin,20\nParis,30.25\n"
SITE = "SITE"
"""Stands for the address of the site that is played."""
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "math_calc": ({"expression": "integrate(x^2, (x, 0, 3))"}, "9"),
    "python_code": ({"code": "import math\nprint(math.comb(10, 3))\n2**10"}, "1024"),
    "sql_query": ({"query": "SELECT city, sum(amount) FROM sales GROUP BY city ORDER BY 2 DESC"}, "40.75"),
    "data_analysis": ({"file": "sales.csv", "question": "the mean of amount"}, "20.25"),
    "rag_retrieval": ({"query": "notice period", "files": ["contract.txt"]}, "three months"),
    "document_text": ({"files": ["contract.txt"]}, "end of a quarter"),
    "web_search": ({"query": "volcano"}, "Volcano wakes"),
    "fetch_url": ({"url": f"{SITE}/"}, "Roses & lilies grow here."),
    "wikipedia": ({"query": "Marie Curie"}, "physicist"),
    "weather": ({"location": "Oslo", "days": 2}, "partly cloudy"),
}


ANSWER = "That is what was found."
CITED = {"rag_retrieval": " [1]", "document_text": " [1]"}
"""An answer from the user's documents that names no passage would be told so."""


@pytest.fixture(scope="module")
def site() -> Iterator[dict[str, str]]:
    answers = {
        "site": websites.answer, "tavily": tavily.answer, "wiki": mediawiki.answer, "meteo": open_meteo.answer
    }  # fmt: skip
    with served(answers) as doubles:
        yield {name: double.url for name, double in doubles.items()}


@pytest.fixture(scope="module")
def equipped(
    site: dict[str, str], tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble
) -> Iterator[HearthServer]:
    """A server with every tool at hand and two documents."""
    settings = {
        "OLLAMA_MODEL": "llama3.2:3b",
        "TAVILY_API_KEY": tavily.KEY,
        "TAVILY_URL": site["tavily"],
        "WIKIPEDIA_URL": site["wiki"],
        "WEATHER_URL": site["meteo"],
        "GEOCODING_URL": site["meteo"],
        "FETCH_ALLOWED_HOSTS": site["site"].removeprefix("http://"),
    }
    with HearthServer(tmp_path_factory.mktemp("equipped"), double_process.url, **settings) as server:
        with server.client() as web:
            upload_and_wait(web, "sales.csv", SALES)
            upload_and_wait(web, "contract.txt", b"The notice period is three months to the end of a quarter.")
        yield server


def arguments_of(name: str, site: dict[str, str]) -> dict[str, Any]:
    wanted: dict[str, Any] = json.loads(json.dumps(CALLS[name][0]).replace(SITE, site["site"]))
    return wanted


def sdk(server: HearthServer) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0)


def test_these_are_all_the_tools_there_are(equipped: HearthServer) -> None:
    with equipped.client() as web:
        listed = {tool["name"]: tool["available"] for tool in web.get("/api/tools").json()["tools"]}
    assert listed == dict.fromkeys(CALLS, True)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_by_hand(equipped: HearthServer, site: dict[str, str], name: str) -> None:
    with equipped.client() as web:
        answer = web.post(f"/api/tools/{name}/run", json={"arguments": arguments_of(name, site)}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    # Passages and pages stand in the sources, what is told about them in the text.
    told = found["text"] + json.dumps([source["quote"] for source in found["sources"]], ensure_ascii=False)
    assert found["error"] is None and CALLS[name][1] in told, found
    assert 0 < found["seconds"] < 60


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
@pytest.mark.parametrize("name", CALLS)
def test_an_agent_uses_it(
    equipped: HearthServer, double: OllamaDouble, site: dict[str, str], name: str, agent: str
) -> None:
    arguments, said = arguments_of(name, site), ANSWER + CITED.get(name, "")
    if agent == "react":
        double.script(sequence(reply(None, tool_call(name, arguments)), reply(said)))
    else:
        step = {"id": "s1", "purpose": "look", "tool": name, "input": arguments, "depends_on": []}
        double.script(
            reply(json.dumps({"steps": [step]}), match={"format_property": "steps"}),
            reply(said, match={"has_tool_result": True, "has_format": False}),
        )
    # The address stands in the question: only those a person wrote are read without asking.
    question = f"Use {name} for me: {json.dumps(arguments)}"
    answer = sdk(equipped).chat.completions.create(
        model="llama3.2:3b", messages=[{"role": "user", "content": question}], extra_body={"agent": agent}
    )
    message = answer.choices[0].message
    assert message.content == said
    steps = (message.model_extra or {})["hearth"]["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [(name, "completed")], steps
    seen = [each["content"] for each in double.log("/api/chat")[-1]["body"]["messages"] if each["role"] == "tool"]
    assert len(seen) == 1 and CALLS[name][1] in seen[0]
