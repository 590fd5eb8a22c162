"""Where a plan stands when it waits for the caller's tools: written down as JSON, and taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from backend.core.agent import ReActStep
from backend.core.checkpoint import (
    messages_from_json,
    messages_to_json,
    result_from_json,
    result_to_json,
)
from backend.core.plan import Step
from backend.core.plan_execution import Request
from backend.core.plan_rounds import Verdict
from backend.core.plan_run import PlanRun
from backend.core.plan_state import PlanState
from backend.core.toolbox import ToolOutcome
from backend.models.errors import StorageFailed
from backend.models.messages import Message


def to_json(run: PlanRun) -> dict[str, Any]:
    """Everything a later run needs to go on as if nothing had happened; the deadline alone is new then."""
    findings, places = run.findings, {id(outcome): at for at, (_, outcome) in enumerate(run.findings.taken)}
    return {
        "messages": messages_to_json(run.conversation),
        "round": run.state.get("iteration_count", 0),
        "tokens": run.meter.tokens,
        "tool_calls": run.meter.tool_calls,
        "last_prompt": run.meter.last_prompt,
        "calls": run.calls,
        "indices": dict(run.indices),
        "plan": [_step_to_json(step) for step in run.plan],
        "left": [step.id for step in run.left],
        "waiting": list(run.waiting),
        "requests": [
            {"step": request.step.id, "arguments": dict(request.arguments), "at": request.at}
            for request in run.waiting.values()
        ],
        "taken": [[_step_to_json(step), _outcome_to_json(outcome)] for step, outcome in findings.taken],
        "results": {each: places[id(outcome)] for each, outcome in findings.results.items()},
        "keys": [[name, key.decode("utf-8", "replace"), step_id] for (name, key), step_id in findings.keys.items()],
        "verdicts": [[list(each.missing), each.taken, each.checked] for each in run.rounds.verdicts],
        "undone": list(run.undone),
        "trace": [asdict(step) | {"action_input": dict(step.action_input)} for step in run.tools.steps],
    }


def restore(run: PlanRun, kept: Mapping[str, Any], messages: Sequence[Message]) -> None:
    """Put a new run where the paused one stood; `messages` end with what the caller's tools gave.

    Raises StorageFailed when what was written down cannot be read.
    """
    try:
        _restore(run, kept)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise StorageFailed("The paused run cannot be read any more: ask again from the beginning.") from None
    run.arrived = {each.tool_call_id: each.content for each in messages if each.role == "tool" and each.tool_call_id}


def _restore(run: PlanRun, kept: Mapping[str, Any]) -> None:
    run.conversation = tuple(messages_from_json(kept["messages"]))
    run.meter.tokens = int(kept["tokens"])
    run.meter.tool_calls = int(kept["tool_calls"])
    run.meter.last_prompt = int(kept["last_prompt"])
    run.calls = int(kept["calls"])
    run.indices = {str(each): int(at) for each, at in kept["indices"].items()}
    run.plan = tuple(_step_from_json(item) for item in kept["plan"])
    steps = {step.id: step for step in run.plan}
    run.left = tuple(steps[each] for each in kept["left"])
    run.waiting = {
        str(call_id): Request(steps[item["step"]], dict(item["arguments"]), float(item["at"]))
        for call_id, item in zip(kept["waiting"], kept["requests"], strict=True)
    }
    findings = run.findings
    findings.taken = [(_step_from_json(step), _outcome_from_json(outcome)) for step, outcome in kept["taken"]]
    findings.results = {str(each): findings.taken[at][1] for each, at in kept["results"].items()}
    findings.keys = {(name, key.encode()): step_id for name, key, step_id in kept["keys"]}
    run.rounds.verdicts = [Verdict(tuple(missing), taken, checked) for missing, taken, checked in kept["verdicts"]]
    run.undone = tuple(kept["undone"])
    run.tools.steps = [ReActStep(**item) for item in kept["trace"]]
    run.state = PlanState(
        iteration_count=int(kept["round"]),
        tools_used=list(dict.fromkeys([*(step.tool for step, _ in findings.taken), *(step.tool for step in run.plan)])),
    )


def _step_to_json(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "tool": step.tool,
        "input": dict(step.input),
        "depends_on": list(step.depends_on),
        "purpose": step.purpose,
    }


def _step_from_json(item: Mapping[str, Any]) -> Step:
    return Step(item["id"], item["tool"], dict(item["input"]), tuple(item["depends_on"]), item["purpose"])


def _outcome_to_json(outcome: ToolOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "arguments": dict(outcome.arguments),
        "result": result_to_json(outcome.result),
        "observation": outcome.observation,
        "started_at": outcome.started_at,
        "seconds": outcome.seconds,
        "markers": list(outcome.markers),
    }


def _outcome_from_json(item: Mapping[str, Any]) -> ToolOutcome:
    return ToolOutcome(
        item["name"],
        dict(item["arguments"]),
        result_from_json(item["result"]),
        item["observation"],
        float(item["started_at"]),
        float(item["seconds"]),
        tuple(item["markers"]),
    )
