"""How often the router is right, and what a decision costs.

    python benchmarks/routing.py [--mistakes]

Three tables: ten-fold cross-validation over the labelled examples (those of a fold are unknown while it is asked),
and the two parts of benchmarks/data/routing_heldout.jsonl, queries that no example repeats. The part `dev` may be
looked at while tuning; `test` was written after the cues and examples were, and its mistakes are only counted.
Each prints accuracy of task and agent, a confusion table, accuracy by language and by tool, how many queries that
need no tool would pay for one, and the time of a decision, warm.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.bootstrap import Services, build
from backend.config.settings import Settings
from backend.core.routing_examples import DOCUMENTS, Example, load_examples
from backend.models.messages import Message, Route
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolSpec

HELD_OUT = Path(__file__).parent / "data" / "routing_heldout.jsonl"
AGENTS = ("chat", "react", "plan_execute", "documents")
FILES = ("handbook.pdf", "contract.docx", "sales.csv")
OWN_FILES = (DOCUMENTS, "data_analysis", "sql_query")
FOLDS = 10
STAND_INS = {
    "data_analysis": "Statistics of JSON or CSV data.",
    "math_calc": "Calculates exactly: arithmetic, algebra, equations, calculus.",
    "python_code": "Runs Python code in a sandbox.",
    "rag_retrieval": "Finds passages in the user's own uploaded documents.",
    "sql_query": "Read-only SQL over the user's tables.",
    "weather": "The weather now and days ahead.",
    "web_search": "Searches the web.",
    "wikipedia": "Searches Wikipedia.",
}
"""Descriptions for tools that are not available where this runs, such as the search without a key."""


@dataclass(frozen=True, slots=True)
class Case:
    """A query and its right way; `documents` are the names of the user's files, `earlier` the turns before."""

    text: str
    lang: str
    agent: str
    tool: str
    documents: tuple[str, ...] = ()
    earlier: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        return (*self.earlier, Message("user", self.text))

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(message.content for message in self.messages).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answered:
    case: Case
    route: Route
    seconds: float

    @property
    def task_right(self) -> bool:
        return (self.case.agent == "chat") == (self.route.task == "chat")

    @property
    def agent_right(self) -> bool:
        return self.case.agent == self.route.agent


def held_out() -> dict[str, list[Case]]:
    """The two parts of the file: `dev`, which may be looked at while tuning, and `test`, which never is."""
    parts: dict[str, list[Case]] = {"dev": [], "test": []}
    for line in HELD_OUT.read_text(encoding="utf-8").splitlines():
        row = orjson.loads(line)
        part = parts[row.pop("half")]
        row["documents"] = tuple(row["documents"])
        row["earlier"] = tuple(Message(turn["role"], turn["content"]) for turn in row["earlier"])
        part.append(Case(**row))
    return parts


def from_examples(examples: Sequence[Example]) -> list[Case]:
    """Each example as a case: those about the user's own files with files, the others both with and without."""
    plain = [Case(e.text, e.lang, e.agent, e.tool) for e in examples]
    return [
        *(case for case in plain if case.tool not in OWN_FILES),
        *(replace(case, documents=FILES) for case in plain),
    ]


def all_tools(services: Services, context: RunContext) -> tuple[ToolSpec, ...]:
    """The real tools, and stand-ins without proposals for those that cannot work here."""
    real = services.registry.toolbox(context).specs()
    names = {spec.name for spec in real}
    return (*real, *(ToolSpec(name, text, {}) for name, text in STAND_INS.items() if name not in names))


async def ask(services: Services, case: Case) -> Answered:
    context = RunContext(Owner("default", "bench"), "run", None, "bench", documents=case.documents)
    specs = all_tools(services, context)
    clock = time.perf_counter()
    route = await services.router.choose(case.messages, context, specs)
    return Answered(case, route, time.perf_counter() - clock)


async def cross_validate(services: Services) -> list[Answered]:
    """Every example, asked of a router that does not know the examples of its fold."""
    examples = load_examples()
    folds = {example.text: int(Case(example.text, "", "", "").digest, 16) % FOLDS for example in examples}
    answered: list[Answered] = []
    for fold in range(FOLDS):

        def known(example: Example, fold: int = fold) -> bool:
            return folds[example.text] != fold

        with services.router.examples.only(known):
            cases = from_examples([example for example in examples if not known(example)])
            answered += [await ask(services, case) for case in cases]
    return answered


def share(flags: Sequence[bool]) -> str:
    return f"{sum(flags) / len(flags):6.1%}" if flags else "   n/a"


def report(title: str, answered: Sequence[Answered], mistakes: bool) -> None:
    print(f"\n== {title}: {len(answered)} queries ==")
    print(
        f"task right {share([a.task_right for a in answered])}   agent right {share([a.agent_right for a in answered])}"
    )
    chat = [a for a in answered if a.case.agent == "chat"]
    print(f"queries without need of a tool that would pay for one: {share([a.route.task != 'chat' for a in chat])}")
    table = Counter((a.case.agent, a.route.agent) for a in answered)
    print(f"{'expected':>14} | " + " | ".join(f"{agent:>12}" for agent in AGENTS))
    for wanted in AGENTS:
        print(f"{wanted:>14} | " + " | ".join(f"{table[wanted, got]:>12}" for got in AGENTS))
    by(answered, "language", lambda a: a.case.lang)
    by(answered, "tool", lambda a: a.case.tool or "none")
    times = sorted(a.seconds * 1000 for a in answered)
    print(f"a decision: median {statistics.median(times):.2f} ms, p95 {times[int(len(times) * 0.95)]:.2f} ms")
    if mistakes:
        for a in answered:
            if not a.agent_right:
                print(f"  {a.case.lang} {a.case.agent} -> {a.route.agent}: {a.case.text!r} | {a.route.reason}")


def by(answered: Sequence[Answered], name: str, key: Callable[[Answered], str]) -> None:
    groups: dict[str, list[Answered]] = defaultdict(list)
    for each in answered:
        groups[key(each)].append(each)
    print(f"by {name} (n, task, agent):")
    for value, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        task, agent = share([a.task_right for a in group]), share([a.agent_right for a in group])
        print(f"  {value:>14} {len(group):4d} {task} {agent}")


async def main(mistakes: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        services = build(Settings(data_dir=Path(folder), _env_file=None))  # type: ignore[call-arg]
        try:
            halves = held_out()
            first = await ask(services, Case("does everybody have to wear a helmet", "en", "react", DOCUMENTS, FILES))
            print(f"first decision of the process: {first.seconds * 1000:.0f} ms")
            report("cross-validation over the examples", await cross_validate(services), mistakes)
            for half, cases in halves.items():
                report(f"held out, {half}", [await ask(services, case) for case in cases], mistakes and half == "dev")
        finally:
            await services.aclose()


if __name__ == "__main__":
    asyncio.run(main("--mistakes" in sys.argv[1:]))
