"""What one streamed token costs: chat completions and responses, side by side, in CPU time.

`python -m benchmarks.responses [--streams 20] [--tokens 1000] [--repeat 3]` asks one running server both ways in turn
(both kept, as is the default of each door) and prints the microseconds of the server's CPU a token; then the same for
the inner part of the way, from the run's events to the socket's `send`, and for the encoders alone. Of each the best
round counts. Exit code 1 when a token of a response costs the server more than 1.5 times one of a chat.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import aiohttp

from backend.api.openai_stream import ChatChunks
from backend.api.responses_items import input_items
from backend.api.responses_request import plan_of
from backend.api.responses_stream import ResponseEvents
from backend.api.sse import Encoder, EventStream
from backend.models.messages import Event, Finished, TextDelta, Usage
from backend.models.run import Owner, RunContext
from backend.models.schemas_responses import ResponseRequest
from backend.tasks.response_runs import Numbered, ResponseRun
from benchmarks.streaming import cpu_seconds, free_port, process

LIMIT = 1.5
CONTEXT = RunContext(Owner("default", "bench"), "run_bench", None, "req_bench")
WORDS = ("the ", "quick ", "brown ", 'fox "jumps" ', "over\n", "gar ", "größer ", "👋 ")
Events = AsyncGenerator[Event, None]


def chat() -> ChatChunks:
    return ChatChunks(CONTEXT, "bench", include_usage=False)


def responses() -> ResponseEvents:
    body = ResponseRequest(model="bench", input="Go on.")
    return ResponseEvents("resp_bench", CONTEXT, "bench", plan_of(body, (), input_items(body)))


async def keep(response: dict[str, Any], frames: Sequence[Numbered]) -> None:
    """Stands for the store: writing happens once, at the end, and is not the token's cost."""


def chat_stream(events: Events) -> EventStream:
    return EventStream(events, chat(), {})


def stored_stream(events: Events) -> EventStream:
    run = ResponseRun("resp_bench", CONTEXT, responses(), events, keep)
    return EventStream(run.events(), run, {})


def unstored_stream(events: Events) -> EventStream:
    run = ResponseRun("resp_bench", CONTEXT, responses(), events)
    return EventStream(run.events(), run, {})


async def whole_way(make: Callable[[Events], EventStream], events: Sequence[Event]) -> float:
    """CPU time a token of one stream, in microseconds."""

    async def source() -> Events:
        for event in events:
            yield event

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        pass

    began = time.process_time_ns()
    await make(source())({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    return (time.process_time_ns() - began) / len(events) / 1000


def encoder_alone(make: Callable[[], Encoder], events: Sequence[Event]) -> float:
    """CPU time a token of one encoder, in microseconds; what stands before the first token is not counted."""
    encoder = make()
    encoder.opening()
    encoder.encode(events[0])
    encode = encoder.encode
    began = time.process_time_ns()
    for event in events:
        encode(event)
    return (time.process_time_ns() - began) / len(events) / 1000


def measure(tokens: int, rounds: int) -> dict[str, float]:
    """The best of each, in microseconds a token."""
    texts: list[Event] = [TextDelta(WORDS[n % len(WORDS)]) for n in range(tokens)]
    events = [*texts, Usage(10, tokens), Finished("stop")]
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, figure in (
            ("chat", asyncio.run(whole_way(chat_stream, events))),
            ("response, stored", asyncio.run(whole_way(stored_stream, events))),
            ("response, not stored", asyncio.run(whole_way(unstored_stream, events))),
            ("chat, encoder", encoder_alone(chat, texts)),
            ("response, encoder", encoder_alone(responses, texts)),
        ):
            best[name] = min(figure, best.get(name, figure))
    return best


# ---- a whole server -----------------------------------------------------------------------------------

QUESTION = "tell me a story"
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]}),
    "response": ("/responses", {"input": QUESTION}),
}


async def served(url: str, key: str, pid: int, streams: int, tokens: int, repeat: int) -> dict[str, float]:
    """CPU of the server a token, in microseconds, the best of the rounds; the doors take turns."""
    best: dict[str, float] = {}
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=300)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:

        async def one(door: str) -> None:
            path, body = DOORS[door]
            async with session.post(url + path, json={"model": "fake:latest", "stream": True, **body}) as answer:
                assert answer.status == 200, await answer.text()
                text = await answer.read()
            assert text.count(b"word ") >= tokens, "tokens were lost"

        for door in DOORS:
            await one(door)
        for _ in range(repeat):
            for door in DOORS:
                before = cpu_seconds(pid)
                await asyncio.gather(*(one(door) for _ in range(streams)))
                figure = (cpu_seconds(pid) - before) / (streams * tokens) * 1e6
                best[door] = min(figure, best.get(door, figure))
    return best


def measure_server(streams: int, tokens: int, repeat: int) -> dict[str, float]:
    port = free_port()
    upstream = [sys.executable, "-m", "benchmarks.fast_upstream", str(port), str(tokens), "5"]
    with tempfile.TemporaryDirectory() as folder, process(upstream, "READY"):
        settings = {
            "DATA_DIR": f"{folder}/data",
            "OLLAMA_HOST": f"http://127.0.0.1:{port}",
            "SERVER_PORT": str(free_port()),
        }
        with process([sys.executable, "run_backend.py"], "Stop with Ctrl+C", **settings) as (server, lines):
            text = "".join(lines)
            key, url = text.split("API key:")[1].split()[0], text.split("base_url:")[1].split()[0]
            return asyncio.run(served(url, key, server.pid, streams, tokens, repeat))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=20)
    options.add_argument("--tokens", type=int, default=1000)
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    whole = measure_server(given.streams, given.tokens, given.repeat)
    ratio = whole["response"] / whole["chat"]
    for name, figure in whole.items():
        print(f"server: {name:22} {figure:6.2f} us CPU a token   {figure / whole['chat']:.2f} x chat")
    best = measure(given.tokens * 4, given.repeat * 5)
    for name, figure in best.items():
        base = best["chat, encoder" if name.endswith("encoder") else "chat"]
        print(f"inside: {name:22} {figure:6.2f} us CPU a token   {figure / base:.2f} x chat")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
