"""Whole documents and checked citations, over HTTP: with the Ollama double, and with the built-in model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.doubles.ollama_process import OllamaDouble, reply, sequence, tool_call
from tests.server import HearthServer, upload_and_wait

pytestmark = pytest.mark.slow
RULES = [f"Rule {n}: whoever is number {n} hands in form {n} by {1 + n % 28} March 2027." for n in range(1, 13)]
HANDBOOK = "\n\n".join(f"{rule} {'It holds for all who work in the house. ' * 80}" for rule in RULES)
CONTRACT = "The notice period is three months to the end of a quarter. The deposit is two months of rent."


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[HearthServer]:
    folder = tmp_path_factory.mktemp("library")
    with HearthServer(folder, double_process.url, OLLAMA_MODEL="llama3.2:3b") as server:
        with server.client() as web:
            upload_and_wait(web, "contract.txt", CONTRACT.encode())
            upload_and_wait(web, "handbook.txt", HANDBOOK.encode())
        yield server


def ask(server: HearthServer, question: str, **extra: Any) -> dict[str, Any]:
    """The message of a chat completion."""
    client = OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0)
    answer = client.chat.completions.create(
        model="llama3.2:3b", messages=[{"role": "user", "content": question}], extra_body=extra
    )
    return answer.choices[0].message.model_dump()


def streamed(server: HearthServer, question: str) -> list[dict[str, Any]]:
    body = {"model": "llama3.2:3b", "stream": True, "messages": [{"role": "user", "content": question}]}
    with server.client() as web, web.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def test_a_long_document_is_read_part_by_part_with_progress(library: HearthServer, double: OllamaDouble) -> None:
    double.script(
        reply("The handbook lays down twelve rules [1].", match={"contains": "There are rules"}),
        reply("- There are rules [1]"),
    )
    chunks = streamed(library, "summarise handbook.txt")
    events = [chunk["hearth_event"] for chunk in chunks if "hearth_event" in chunk]
    assert events[0]["agent"] == "documents"
    planned = [event for event in events if event["type"] == "step_planned"]
    finished = [event for event in events if event["type"] == "tool_finished" and event["id"].startswith("part-")]
    assert len(planned) == len(finished) > 1
    assert planned[0]["purpose"].startswith(f"part 1 of {len(planned)}: handbook.txt")
    asked = [call["body"]["messages"][-1]["content"] for call in double.log("/api/chat")]
    assert all(any(rule in text for text in asked) for rule in RULES)
    hearth = next(
        chunk["choices"][0]["delta"]["hearth"] for chunk in chunks if "hearth" in chunk["choices"][0]["delta"]
    )
    assert [step["status"] for step in hearth["steps"]] == ["completed"] * len(hearth["steps"])


def test_the_agent_can_be_asked_for_by_name(library: HearthServer, double: OllamaDouble) -> None:
    double.script(reply("It is about notice [1]."))
    message = ask(library, "What matters in contract.txt?", agent="documents")
    assert message["content"] == "It is about notice [1]."
    assert message["hearth"]["route"]["agent"] == "documents"
    assert CONTRACT in double.log("/api/chat")[-1]["body"]["messages"][-1]["content"]


def searched(double: OllamaDouble, answer: str) -> None:
    double.script(sequence(reply(None, tool_call("rag_retrieval", {"query": "notice period"})), reply(answer)))


def test_a_true_quotation_is_narrowed_to_its_words(library: HearthServer, double: OllamaDouble) -> None:
    searched(double, 'It says "the notice period is three months to the end of a quarter" [1].')
    hearth = ask(library, "What is the notice period in contract.txt?", agent="react")["hearth"]
    (citation,) = hearth["citations"]
    assert citation["quote"] == "The notice period is three months to the end of a quarter"
    assert citation["quoted"] is True and citation["unit"] == "page" and "heading" in citation and "label" in citation
    assert citation["url"].startswith(library.url)
    assert hearth["support"]["status"] == "supported"


def test_an_invented_quotation_is_dropped_and_the_answer_says_so(library: HearthServer, double: OllamaDouble) -> None:
    searched(double, 'It says "the notice period is nine months without any exception" [1].')
    message = ask(library, "What is the notice period in contract.txt?", agent="react")
    assert message["hearth"]["citations"] == [] and not message.get("annotations")
    assert message["hearth"]["support"] | {"reason": ""} == {
        "status": "unsupported", "citations": 0, "dropped": 1, "reason": "",
    }  # fmt: skip
    assert message["content"].endswith("\n\nNote: no passage of your documents was found that supports this answer.")


def test_an_answer_that_found_nothing_gets_no_note(library: HearthServer, double: OllamaDouble) -> None:
    searched(double, "I could not find this in your documents.")
    message = ask(library, "Who signed contract.txt?", agent="react")
    assert message["content"] == "I could not find this in your documents."


def test_a_run_without_documents_has_no_support_to_tell(library: HearthServer, double: OllamaDouble) -> None:
    double.script(sequence(reply(None, tool_call("math_calc", {"expression": "17*23"})), reply("It is 391.")))
    message = ask(library, "What is 17 * 23?", agent="react")
    assert message["content"] == "It is 391."
    assert message["hearth"]["support"]["status"] == "none"


def test_the_note_comes_as_a_delta_and_is_stored(library: HearthServer, double: OllamaDouble) -> None:
    searched(double, "The moon is made of green cheese.")
    chunks = streamed(library, "Was sagt der Vertrag in contract.txt über den Mond?")
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text.endswith("In Ihren Dokumenten wurde keine Stelle gefunden, die diese Antwort stützt.")
    session = next(chunk["session_id"] for chunk in chunks if "session_id" in chunk)
    with library.client() as web:
        stored = web.get(f"/api/conversations/{session}").json()["messages"][-1]
    assert stored["content"] == text and stored["support"]["status"] == "unsupported"


def offline_answer(server: HearthServer, question: str) -> dict[str, Any]:
    with server.client() as web:
        answer: httpx.Response = web.post(
            "/v1/chat/completions", json={"model": "hearth", "messages": [{"role": "user", "content": question}]}
        )
    message: dict[str, Any] = answer.json()["choices"][0]["message"]
    return message


def test_without_a_language_model_the_whole_document_is_read_too(offline: HearthServer) -> None:
    with offline.client() as web:
        upload_and_wait(web, "house_rules.txt", HANDBOOK.encode())
    message = offline_answer(offline, "list every date in house_rules.txt")
    found = re.findall(r"Rule (\d+):", message["content"])
    assert found == [str(n) for n in range(1, 13)]
    assert message["hearth"]["route"]["agent"] == "documents"
    assert message["hearth"]["support"] == {
        "status": "supported", "citations": 12, "dropped": 0,
        "reason": "Every citation points at a passage that the run has seen.",
    }  # fmt: skip
    assert all(each["quoted"] for each in message["hearth"]["citations"])
