"""A plan that pauses and goes on as the task around the agent sees it: signed, and with the same citations."""

from __future__ import annotations

import json

from backend.core.agent_graph import create_agent
from backend.core.toolbox import ToolRegistry
from backend.llm.port import Model
from backend.models.messages import Finished, Message, ModelCalled, Sources, ToolCallMade
from backend.models.tools import ToolSpec
from backend.tasks.agentic_task import AgenticTask
from tests.fakes.model import plan, scripted, verdict
from tests.fakes.tools import LookupTool, run_context

RUN = "run_" + "cd34" * 8
CALENDAR = ToolSpec("calendar", "Appointments.", {"type": "object", "properties": {"day": {"type": "string"}}})
QUESTION = Message("user", "the question")


def task(model: Model) -> AgenticTask:
    return AgenticTask(create_agent, model, ToolRegistry([LookupTool()]), [CALENDAR])


async def test_a_paused_plan_goes_on_in_a_new_task_and_cites_what_was_found_before():
    steps = plan(
        {"tool": "lookup", "input": {"query": "q"}},
        {"tool": "calendar", "input": {"day": "today"}},
        {"tool": "lookup", "input": {"query": "{{s2}}"}},
    )
    first = [event async for event in task(scripted(steps)).run([QUESTION], run_context(run_id=RUN))]
    stopped = first[-1]
    assert isinstance(stopped, Finished)
    kept = json.loads(json.dumps(stopped.checkpoint))
    assert kept["agent"] == "plan_execute"
    assert [source["filename"] for source in kept["sources"]] == ["handbook.pdf"]
    (call,) = [event.call for event in first if isinstance(event, ToolCallMade)]

    said = [QUESTION, Message("assistant", "", tool_calls=(call,)), Message("tool", "dentist", tool_call_id=call.id)]
    model = scripted(verdict(), "30 days [1], and a dentist.")
    second = [event async for event in task(model).run(said, run_context(run_id=RUN, checkpoint=kept))]
    (sources,) = [event for event in second if isinstance(event, Sources)]
    assert [(citation.index, citation.source.filename) for citation in sources.citations] == [(1, "handbook.pdf")]
    assert [event.step for event in second if isinstance(event, ModelCalled)] == ["verify", "answer"]
    assert second[-1] == Finished("stop")
