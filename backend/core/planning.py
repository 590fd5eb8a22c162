"""Having a plan made: by the model, after one correction or a silence by the tools' own proposals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from backend.core import prompts
from backend.core.bounds import cut
from backend.core.collect import Emit
from backend.core.findings import Findings, failures_in_words, query_of, with_query
from backend.core.plan import MAX_STEPS, PlanProblem, Step, plan_schema, propose_plan, read_plan, renamed
from backend.core.structured import Structured
from backend.core.toolbox import ToolOutcome
from backend.models.messages import Message
from backend.models.run import RunContext
from backend.utils.untrusted import neutralise

ATTEMPTS = 2
MAX_SAID_CHARS = 4_000
"""What is shown again of a plan that cannot be used."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans one round from what is known, what is missing, and what failed in the round before."""

    structured: Structured
    context: RunContext
    conversation: Sequence[Message]
    findings: Findings
    native: bool
    missing: Sequence[str] = ()
    failed: Sequence[tuple[Step, ToolOutcome]] = ()

    async def steps(self, used_ids: Sequence[str], seconds: float, emit: Emit) -> tuple[Step, ...]:
        """The steps, none when nothing can or need be done. `used_ids` are not given again.

        Within `seconds`: a model that has not written a usable plan by then is not waited for.
        """
        specs = self.structured.specs
        names = [spec.name for spec in specs]
        taken = {*used_ids, *self.findings.results}
        good = [each for each, outcome in self.findings.results.items() if outcome.error is None]
        schema = plan_schema(names)
        messages = self._messages(orjson.dumps(schema).decode(), len(used_ids) + 1)
        until = time.monotonic() + seconds
        for _ in range(ATTEMPTS):
            left = until - time.monotonic()
            text = await self.structured.ask(messages, "plan", schema, "plan", emit, left)
            if text is None:
                break
            try:
                return renamed(read_plan(text, names, good), taken)
            except PlanProblem as problem:
                messages = (*messages, *_corrected(text, problem))
            if self.structured.meter.exhausted() is not None:
                break
        query = "\n".join(self.missing) or query_of(self.conversation)
        return renamed(propose_plan(query, specs), taken)

    def _messages(self, schema: str, next_id: int) -> tuple[Message, ...]:
        ids = prompts.PLAN_IDS_NEXT.format(next=next_id) if next_id > 1 else prompts.PLAN_IDS_FIRST
        system = prompts.PLAN_SYSTEM.format(
            date=prompts.today(),
            documents=prompts.documents_line(self.context),
            tools=prompts.listed(self.structured.specs),
            schema=schema,
            limit=MAX_STEPS,
            ids=ids,
        )
        window = self.structured.model.info.context_length
        conversation = self.conversation
        if self.missing or self.failed:
            conversation = with_query(conversation, self._steered)
        return self.findings.messages(system, conversation, native=self.native, context_length=window)

    def _steered(self, query: str) -> str:
        """The query with what is missing and what failed. Both may echo foreign text."""
        if self.missing:
            missing = "\n".join(f"- {neutralise(each)}" for each in self.missing)
            query = prompts.PLAN_MISSING.format(query=query, missing=missing)
        if self.failed:
            failed = failures_in_words(self.failed, self.context.fence)
            query = prompts.PLAN_FAILED.format(query=query, failed=failed)
        return query


def _corrected(text: str, problem: PlanProblem) -> tuple[Message, ...]:
    said = (Message("assistant", cut(text, MAX_SAID_CHARS)),) if text.strip() else ()
    return (*said, Message("user", prompts.PLAN_CORRECTION.format(problem=problem)))
