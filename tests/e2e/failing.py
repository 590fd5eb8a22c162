"""Asking a real server, with the official SDK, while the Ollama behind it misbehaves."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai

from tests.doubles.ollama_process import Entry, OllamaDouble
from tests.server import HearthServer

LLAMA, QWEN, TINY, LLAVA = "llama3.2:3b", "qwen3:8b", "tinyllama:latest", "llava:7b"
SPECIAL: dict[str, dict[str, Any]] = {
    "gone:1b": {},
    "mixed:1b": {"context_length": 131_072},
    "narrow:1b": {"context_length": 8192},
    "narrower:1b": {"context_length": 8192, "execution": "rendered"},
    "slow:1b": {"load_seconds": 1.0},
    "stuck:1b": {"load_seconds": 30.0},
    "huge:70b": {"load_error": "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"},
    "strict:1b": {"strict_template": True},
    "turns:1b": {"strict_template": True, "alternating_template": True},
    "wordless:1b": {"capabilities": ["completion"], "context_length": 32_768},
}
"""Models of their own for single failures, installed from the start, since the server remembers what there is."""
MODELS = [
    *(LLAMA, QWEN, TINY, LLAVA, "nomic-embed-text", "all-minilm"),
    *({"name": name, **fields} for name, fields in SPECIAL.items()),
]
CHAT = "/api/chat"
WAYS = ("chat", "react", "plan_execute")
AGENTS = ("react", "plan_execute")
FIRST_S, GAP_S = 1.5, 0.7
"""The server's limits on Ollama's silence: before the first line, and between two."""
LONGEST_S = 30.0
"""No question may take longer, whatever Ollama does."""
SETTINGS = {
    "OLLAMA_TIMEOUT": str(FIRST_S),
    "OLLAMA_GAP_TIMEOUT": str(GAP_S),
    "OLLAMA_MODEL": LLAMA,
    "OLLAMA_KEEP_ALIVE": "-1",
    "EMBEDDING_MODEL": "ollama:nomic-embed-text",
    # A proxy that leads nowhere: whoever heeds it never reaches Ollama.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}
MATH = {
    "type": "function",
    "function": {
        "name": "math_calc",
        "description": "Arithmetic",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
}
SUM = 'Work it out, please: [[tool:math_calc:{"expression":"6*7"}]]'
"""The double calls math_calc (or plans it) on this, and answers `Result: 42 …` from what came of it."""
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}


@dataclass(slots=True)
class Answer:
    """What a user of the SDK sees of one question. `error` is the body of the failure, None when there was none."""

    status: int = 200
    text: str = ""
    reasoning: str = ""
    finish: str | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    call_ids: list[str] = field(default_factory=list)
    hearth: dict[str, Any] = field(default_factory=dict)
    usage: Any = None
    error: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        return self.error["code"] if self.error else None

    @property
    def message(self) -> str:
        return str(self.error["message"]) if self.error else ""

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Name and status of every tool that ran here."""
        return [(step["name"], step["status"]) for step in self.hearth.get("steps", ())]


class Caller:
    """Asks questions and looks at what the double got."""

    def __init__(self, server: HearthServer, double: OllamaDouble) -> None:
        self.server = server
        self.double = double
        self.sdk = openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=60)

    def ask(
        self,
        said: str | Sequence[dict[str, Any]] = "hello there",
        way: str = "chat",
        *,
        model: str = LLAMA,
        stream: bool = False,
        plain: bool = False,
        **fields: Any,
    ) -> Answer:
        """One question. `plain` leaves `agent` out, as requests with their own tools or response_format have it."""
        messages: Any = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
        extra = {"store": False} if plain else {"agent": way, "store": False}
        began = time.monotonic()
        answer = Answer()
        try:
            if stream:
                self._streamed(answer, model, messages, extra, fields)
            else:
                self._whole(answer, model, messages, extra, fields)
        except openai.APIStatusError as problem:
            answer.status = problem.status_code
            answer.error = dict(problem.response.json()["error"])
            answer.headers = {key.lower(): value for key, value in problem.response.headers.items()}
        except openai.APIError as problem:
            assert isinstance(problem.body, dict), repr(problem)
            answer.error = dict(problem.body)
        assert time.monotonic() - began < LONGEST_S
        self._check(answer)
        return answer

    def _whole(self, answer: Answer, model: str, messages: Any, extra: dict[str, Any], fields: dict[str, Any]) -> None:
        done = self.sdk.chat.completions.create(model=model, messages=messages, extra_body=extra, **fields)
        message = done.choices[0].message
        more = message.model_extra or {}
        answer.text, answer.finish, answer.usage = message.content or "", done.choices[0].finish_reason, done.usage
        answer.reasoning = more.get("reasoning_content", "")
        answer.hearth = more.get("hearth", {})
        for call in message.tool_calls or ():
            answer.calls.append((call.function.name, json.loads(call.function.arguments)))  # type: ignore[union-attr]
            answer.call_ids.append(call.id)

    def _streamed(
        self, answer: Answer, model: str, messages: Any, extra: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        with self.sdk.chat.completions.create(
            model=model,
            messages=messages,
            extra_body=extra,
            stream=True,
            stream_options={"include_usage": True},
            **fields,
        ) as chunks:
            calls: dict[int, list[str]] = {}
            for chunk in chunks:
                if chunk.usage is not None:
                    answer.usage = chunk.usage
                if not chunk.choices:
                    continue
                delta = chunk.choices[0].delta
                more = delta.model_extra or {}
                answer.text += delta.content or ""
                answer.reasoning += more.get("reasoning_content") or ""
                answer.hearth = more.get("hearth", answer.hearth)
                answer.finish = chunk.choices[0].finish_reason or answer.finish
                for call in delta.tool_calls or ():
                    parts = calls.setdefault(call.index, ["", "", ""])
                    parts[0] += call.id or ""
                    parts[1] += (call.function and call.function.name) or ""
                    parts[2] += (call.function and call.function.arguments) or ""
            answer.calls = [(name, json.loads(arguments)) for _, name, arguments in calls.values()]
            answer.call_ids = [call_id for call_id, _, _ in calls.values()]

    def _check(self, answer: Answer) -> None:
        """What holds for every answer: it ends in one of two ways, and tells nothing of the inside."""
        assert (answer.finish is None) == (answer.error is not None), answer
        if answer.error is None:
            assert answer.usage is not None
            assert answer.usage.total_tokens > 0
            assert len(set(answer.call_ids)) == len(answer.calls)
            return
        message = answer.message
        assert message.endswith((".", ".)"))
        for inside in (self.double.url.removeprefix("http://"), "127.0.0.1", "Traceback", "/root", "/work", "{"):
            assert inside not in message
        for inside in ("llama-server", "llama runner", "exit status", "Jinja", "max pending"):
            assert inside not in message

    def still_works(self) -> None:
        """The failure has done no lasting harm (and the failures of one test do not add up with the next one's)."""
        self.forget()
        answer = self.ask("still there?")
        assert answer.text == "You said: still there?"

    def sent(self, path: str = CHAT) -> list[dict[str, Any]]:
        """The bodies that reached the double, in order."""
        return [entry["body"] for entry in self.double.log(path)]

    def forget(self) -> None:
        """A fresh double: nothing scripted, nothing loaded, nothing in its log."""
        self.double.reset()
        self.double.models(MODELS)

    def after(self, *entries: Entry) -> None:
        """A fresh double with these entries scripted."""
        self.forget()
        self.double.script(*entries)

    def closed_within(self, seconds: float, what: str = CHAT) -> None:
        """Every request to this path has been ended by the double or left by the server."""
        self.double.wait_for_log(
            lambda log: all(e["finished_at"] or e["disconnected_at"] for e in log if e["path"] == what), seconds
        )
        deadline = time.monotonic() + seconds
        while self.double.stats()["active_requests"]:
            assert time.monotonic() < deadline, "an upstream request is still open"
            time.sleep(0.02)


@contextlib.contextmanager
def caller_of(server: HearthServer, double: OllamaDouble) -> Iterator[Caller]:
    """A caller, closed at the end."""
    caller = Caller(server, double)
    try:
        yield caller
    finally:
        caller.sdk.close()


def answers_sum(answer: Answer, way: str) -> bool:
    """Whether this is the right answer to SUM: an agent works it out, a plain completion of the double echoes."""
    if way == "chat":
        return answer.text == f"You said: {SUM}"
    return "42" in answer.text and ("math_calc", "completed") in answer.steps


def contents(body: dict[str, Any], role: str) -> list[str]:
    """The texts of one role in a request's messages."""
    return [message["content"] for message in body["messages"] if message["role"] == role]
