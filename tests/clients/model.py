"""The model behind the double: what a capable one would answer to the questions of the clients' scripts."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.checks import BROKEN_QUESTION, DOCUMENT_QUESTION, PERSON_QUESTION, WEATHER_QUESTION
from tests.doubles.ollama_process import Entry, fault, reply, tool_call

_ADA = {"name": "Ada Lovelace", "age": 36}
_OUTPUT_TOOLS = ("final_result", "Person", "person")
"""How the libraries name the tool that stands for a structured answer."""
_JOKE = {"setup": "Why did the cat sit on the keyboard?", "punchline": "To keep an eye on the mouse."}
_SAN_FRANCISCO = "weather in San Francisco"


def entries() -> list[Entry]:
    """The script, most particular first. What nothing matches is answered by the double's built-in behaviour."""
    return [
        fault("error_line", error="the model runner has stopped", after_chunks=2, match={"contains": BROKEN_QUESTION}),
        reply(json.dumps(_ADA), match={"contains": PERSON_QUESTION, "has_format": True}),
        *(_calls(name, _ADA, PERSON_QUESTION) for name in _OUTPUT_TOOLS),
        _calls("get_weather", {"city": "Paris"}, WEATHER_QUESTION),
        _calls("rag_retrieval", {"query": DOCUMENT_QUESTION}, DOCUMENT_QUESTION),
        *_of_langchain_tests(),
    ]


def _of_langchain_tests() -> list[Entry]:
    """What LangChain's conformance tests expect of a model that can call tools."""
    return [
        _calls("magic_function", {"input": 3}),
        _calls("magic_function_no_args", {}),
        _calls("greeting_generator", {"answer_style": "Pirate"}),
        _calls("my_adder_tool", {"a": 3, "b": 4}, "3 + 4"),
        _calls("get_weather", {"location": "San Francisco, CA"}, _SAN_FRANCISCO),
        *(
            _calls("unicode_customer", {"customer_name": name, "description": "A company"}, name)
            for name in ("你好啊集团", "こんにちは株式会社")
        ),
        _calls("Joke", _JOKE),
        reply(json.dumps(_JOKE), match={"contains": "joke", "has_format": True}),
    ]


def _calls(tool: str, arguments: dict[str, Any], question: str = "") -> Entry:
    """A question that needs a tool, while there is no result yet."""
    match: dict[str, Any] = {"has_tool": tool, "last_role": "user"}
    return reply(None, tool_call(tool, arguments), match=match | ({"contains": question} if question else {}))
