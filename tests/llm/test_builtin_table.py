"""The built-in model over a table of questions, through the whole server but its sockets: every row is a test.

The real agents, tools, embedder, worker and vector store; documents are uploaded as users upload them, and the turns of
a conversation are really asked one after another. `builtin_questions_heldout.jsonl` and `builtin_questions_later.jsonl`
were written without a look at the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from tests.llm.builtin_table import Outcome, Row, World, faults, read_rows

pytestmark = pytest.mark.slow

ROWS = [
    row
    for name in ("builtin_questions.jsonl", "builtin_questions_heldout.jsonl", "builtin_questions_later.jsonl")
    for row in read_rows(name)
]
Ask = Callable[[Row], Outcome]


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks the rows' questions of one server that stays open for the session."""
    loop = asyncio.new_event_loop()

    def run(work: Awaitable[Outcome]) -> Outcome:
        return loop.run_until_complete(work)

    world = loop.run_until_complete(World.open(tmp_path_factory.mktemp("builtin")))
    yield lambda row: run(world.ask(row))
    loop.run_until_complete(world.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_question_is_answered_right(row: Row, ask: Ask) -> None:
    outcome = ask(row)
    assert faults(row, outcome) == [], f"{row.messages} was answered with: {outcome.text}"


def test_the_table_is_large_and_every_row_can_fail() -> None:
    kinds = {kind: sum(row.kind == kind for row in ROWS) for kind in {row.kind for row in ROWS}}
    assert len(ROWS) >= 200 and len({row.id for row in ROWS}) == len(ROWS)
    assert kinds["not in the documents"] >= 30
    assert {row.lang for row in ROWS} == {"en", "de", "fr", "es", "it", "pt"}
    silence = Outcome("", (), "", "stop")
    assert [row.id for row in ROWS if not faults(row, silence)] == []


INVENTED = Outcome("The value is 12345678901.", (), "", "stop")


def test_an_invented_answer_to_an_unanswerable_question_is_seen() -> None:
    for row in ROWS:
        if row.says_unknown is True:
            assert "does not say that it does not know" in faults(replace(row, expect=()), INVENTED), row.id
