"""What the ReAct loop itself costs: CPU of one tool loop, and of a token of the answer, against the bare provider.

`python -m benchmarks.agents_react`. No network and no model: the provider parses the lines Ollama would send.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from backend.core.react_agent import create_agent
from backend.core.toolbox import ToolRegistry
from backend.core.tracing import TracedProvider
from backend.llm.ollama_stream import AnswerParser, Expected
from backend.llm.port import ChatRequest, Model, ModelInfo
from backend.models.messages import Event, Finished, Message, TextDelta, ToolStarted, Usage
from backend.models.run import Budget, Owner, RunContext
from backend.models.tools import ToolResult
from backend.tools.port import BaseTool

CAPABILITIES = {
    "native": frozenset({"completion", "tools", "structured"}),
    "json": frozenset({"completion", "structured"}),
    "text": frozenset({"completion"}),
}
Turn = list[bytes]
"""The lines of one answer."""


class AddArguments(BaseModel):
    a: float
    b: float


class Add(BaseTool):
    """Takes no time."""

    name = "add"
    description = "Adds two numbers."
    Args = AddArguments

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        return ToolResult(f"The sum is {arguments.a + arguments.b:g}.", {"sum": arguments.a + arguments.b})


class Lines:
    """A provider that parses prepared lines, one a read, as the Ollama adapter does."""

    name = "lines"

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns: Iterator[Turn] = iter(turns)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        parser = AnswerParser(Expected("bench", tools=tuple(tool.name for tool in request.tools)))
        for line in next(self._turns):
            for event in parser.feed(line):
                yield event
        yield Usage(100, 100, step=request.step)
        yield Finished("tool_calls" if parser.calls_made else "stop")

    async def list_models(self) -> list[ModelInfo]:
        return []

    async def describe(self, model: str) -> ModelInfo:
        return ModelInfo(model, self.name, CAPABILITIES["native"], 32_768)

    async def aclose(self) -> None:
        return None


def text_turn(pieces: Sequence[str]) -> Turn:
    lines = [{"model": "bench", "message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces]
    lines.append({"model": "bench", "message": {"role": "assistant", "content": ""}, "done": True})
    return [orjson.dumps(line) + b"\n" for line in lines]


def call_turn(number: int = 1) -> Turn:
    call = {"function": {"name": "add", "arguments": {"a": number, "b": 2}}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    return [
        orjson.dumps({"model": "bench", "message": message, "done": False}) + b"\n",
        orjson.dumps({"model": "bench", "message": {"role": "assistant", "content": ""}, "done": True}) + b"\n",
    ]


def in_dialect(dialect: str, turn: str | int, tokens: int = 0) -> Turn:
    """A final answer of `tokens` pieces (`turn` is `answer`), or a call of the tool with the number `turn`."""
    if turn == "answer":
        pieces = [f"word{n} " for n in range(tokens)]
        if dialect == "json":
            pieces = ['{"thought": "I know.", "action": "final_answer", "action_input": "', *pieces, '"}']
        elif dialect == "text":
            pieces = ["Thought: I know.\nFinal Answer: ", *pieces]
        return text_turn(pieces)
    if dialect == "native":
        return call_turn(int(turn))
    given = {"a": turn, "b": 2}
    if dialect == "json":
        return text_turn([orjson.dumps({"thought": "Add.", "action": "add", "action_input": given}).decode()])
    return text_turn([f"Thought: Add.\nAction: add\nAction Input: {orjson.dumps(given).decode()}"])


def context() -> RunContext:
    return RunContext(
        Owner("default", "bench"), "run_bench", None, "req", Budget(iterations=10, tokens=10**7), fence="f" * 20
    )


async def run_agent(dialect: str, turns: Sequence[Turn], traced: bool = True) -> list[Event]:
    """One run; `traced` puts the wrapper around the provider that every run of the server has."""
    run = context()
    info = ModelInfo("bench", "lines", CAPABILITIES[dialect], 32_768)
    provider: Any = TracedProvider(Lines(turns)) if traced else Lines(turns)
    agent = create_agent(Model(provider, info), ToolRegistry([Add()]).toolbox(run))
    return [event async for event in agent.run([Message("user", "Add.")], run)]


async def run_bare(turns: Sequence[Turn]) -> list[Event]:
    """The provider alone."""
    request = ChatRequest("bench", (Message("user", "Add."),))
    return [event async for event in Lines(turns).stream(request)]


def cpu_ms(run: Callable[[], Any]) -> float:
    gc.collect()
    started = time.process_time()
    asyncio.run(run())
    return (time.process_time() - started) * 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """`loop_ms`: CPU of one tool loop (a call, the tool's start and end, the next request); `token_us` of one token
    of the final answer; `ratio` to the bare provider's."""

    loop_ms: float
    token_us: float
    ratio: float


def tool_loop_ms(dialect: str, loops: int = 8, repeat: int = 7) -> float:
    """CPU milliseconds of one tool loop with a tool that takes no time; median."""

    async def some(count: int) -> None:
        turns = [in_dialect(dialect, number) for number in range(count)] + [in_dialect(dialect, "answer", 1)]
        events = await run_agent(dialect, turns)
        assert sum(isinstance(event, ToolStarted) for event in events) == count

    def once() -> float:
        return (cpu_ms(lambda: some(loops)) - cpu_ms(lambda: some(0))) / loops

    once()
    return statistics.median(once() for _ in range(repeat))


def token_us(dialect: str, tokens: int = 20_000, repeat: int = 9) -> tuple[float, float]:
    """CPU microseconds of a token of the final answer: through the agent, and from the bare provider; the least of
    runs that take turns, since other work on the machine only ever adds."""
    turn = in_dialect(dialect, "answer", tokens)

    async def agent() -> None:
        events = await run_agent(dialect, [turn])
        assert sum(isinstance(event, TextDelta) for event in events) >= tokens

    async def bare() -> None:
        assert len(await run_bare([turn])) >= tokens

    pairs = [(cpu_ms(agent), cpu_ms(bare)) for _ in range(repeat)]
    through = min(pair[0] for pair in pairs) / tokens * 1000
    alone = min(pair[1] for pair in pairs) / tokens * 1000
    return through, alone


def measure(dialect: str) -> Cost:
    through, alone = token_us(dialect)
    return Cost(tool_loop_ms(dialect), through, through / alone)


def main() -> None:
    print("dialect   one tool loop, CPU   token of the answer   against the bare provider")
    for dialect in CAPABILITIES:
        cost = measure(dialect)
        print(f"{dialect:8}  {cost.loop_ms:14.2f} ms   {cost.token_us:15.2f} us   {cost.ratio:20.2f} x")


if __name__ == "__main__":
    main()
