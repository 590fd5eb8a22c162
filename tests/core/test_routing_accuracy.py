"""The router with the real embedder on queries that none of its examples repeats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.bootstrap import Services, build
from backend.config.settings import load_settings
from backend.core.routing_examples import load_examples
from benchmarks.routing import Answered, Case, ask, held_out


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    built = build(load_settings(data_dir=tmp_path, _env_file=None))
    for _ in range(20):  # until the embedder is ready: decisions before do without it
        await ask(built, Case("does everybody have to wear a helmet", "en", "react", "rag_retrieval", ("rules.pdf",)))
    yield built
    await built.aclose()


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["dev", "test"])
async def test_tasks_and_agents_are_right_and_plain_queries_pay_for_no_tool(services: Services, part: str) -> None:
    answered: list[Answered] = [await ask(services, case) for case in held_out()[part]]
    wrong = [(a.case.text, a.case.agent, a.route.agent) for a in answered if not a.agent_right]
    assert share([a.task_right for a in answered]) >= 0.94, wrong
    assert share([a.agent_right for a in answered]) >= 0.92, wrong
    plain = [a for a in answered if a.case.agent == "chat"]
    assert share([a.route.task != "chat" for a in plain]) <= 0.03, wrong


def test_no_held_out_query_is_an_example() -> None:
    known = {example.text.lower().strip(" ?!.") for example in load_examples()}
    for part, cases in held_out().items():
        repeated = [case.text for case in cases if not case.earlier and case.text.lower().strip(" ?!.") in known]
        assert not repeated, part
