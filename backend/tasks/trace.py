"""The trace of one agent run, built from its events: what was decided, asked, done and answered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from backend.models.messages import (
    Event,
    Finished,
    Message,
    ModelCalled,
    Route,
    Sources,
    StepPlanned,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import RunContext
from backend.models.tools import Citation, Support
from backend.tasks.summary import citation_json, preview
from backend.tasks.trace_calls import CallLog, cut, cut_value
from backend.utils.untrusted import unfenced

MAX_OUTPUT_CHARS = 12_000
MAX_EVENT_VALUE_BYTES = 4_000
MAX_QUERY_CHARS = 20_000
INTERNAL = ("checkpoint", "writer", "expires_at")
"""Kept in a stored trace, never shown."""
GRACE_SECONDS = 60.0
"""How long beyond its own time budget a run may take to end."""


@dataclass(slots=True)
class RunTrace:
    """One run, or both halves of one that waited for its caller's tools (see `resume`)."""

    context: RunContext
    model: str
    query: str
    route: Route
    mark: Mapping[str, Any]
    """Which process writes it."""
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    plan: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: CallLog = field(default_factory=CallLog)
    usage: list[dict[str, Any]] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    support: dict[str, Any] = field(default_factory=lambda: asdict(Support()))
    checkpoint: Mapping[str, Any] | None = None
    created_at: float = field(default_factory=time.time)
    earlier: Mapping[str, Any] | None = None
    """The trace as it was when the run stopped for its caller's tools."""
    _began: float = field(default_factory=time.monotonic)

    def resume(self, earlier: Mapping[str, Any], results: Sequence[Message]) -> None:
        """Go on with a stored trace; `results` are what the caller's tools gave."""
        self.earlier = earlier
        self.created_at = earlier.get("created_at", self.created_at)
        self.query = earlier.get("query", self.query)
        self.steps = {str(step["id"]): dict(step) for step in earlier.get("steps", ())}
        self.plan = {str(step["id"]): dict(step) for step in earlier.get("plan", ())}
        self.calls.resume(list(earlier.get("calls", ())))
        self.usage = list(earlier.get("usage_by_step", ()))
        self.checkpoint = earlier.get("checkpoint")
        given = {result.tool_call_id: result.content for result in results}
        for made in earlier.get("tool_calls", ()):
            output = {"output": cut(given[made["id"]], MAX_OUTPUT_CHARS)} if made["id"] in given else {}
            self.tool_calls.append({**made, **output})

    def note(self, event: Event) -> dict[str, Any] | None:
        """Take in an event that is neither text nor the last one; what watchers are shown of it, if anything."""
        match event:
            case StepPlanned():
                return self._planned(event)
            case ToolStarted():
                return self._started(event)
            case ToolFinished():
                return self._finished(event)
            case ModelCalled():
                kept = self.calls.note(event)
                return {"type": "model_called", **{name: kept[name] for name in CALL_NUMBERS}}
            case Sources(citations, support):
                self.citations, self.support = self._cited(citations), asdict(support)
                return {"type": "citations", "citations": self.citations, "support": self.support}
            case Usage():
                self.usage.append(usage_json(event))
            case ToolCallMade(call):
                self.tool_calls.append(_call_json(call))
            case _:
                pass
        return None

    def seconds(self) -> float:
        """Time at work, both halves together."""
        before = float((self.earlier or {}).get("seconds") or 0.0)
        return round(before + time.monotonic() - self._began, 3)

    def started_event(self) -> dict[str, Any]:
        return {
            "type": "run_started",
            "run_id": self.context.run_id,
            "session_id": self.context.session_id,
            "model": self.model,
            "query": cut(self.query, 2_000),
            "resumed": self.earlier is not None,
        }

    def route_event(self) -> dict[str, Any]:
        return {"type": "route", **self._route()}

    def finished_event(self, status: str, finished: Finished) -> dict[str, Any]:
        out: dict[str, Any] = {
            "type": "finished",
            "reason": finished.reason,
            "status": status,
            "stopped_because": finished.detail,
            "answer_chars": len(self.answer()),
            "seconds": self.seconds(),
            "usage": self.tokens(),
        }
        if status == "waiting":
            out["tool_calls"] = [call for call in self.tool_calls if "output" not in call]
        return out

    def answer(self) -> str:
        before = str((self.earlier or {}).get("answer") or "")
        now = "".join(self.text)
        return f"{before}\n\n{now}" if before and now else before or now

    def tokens(self) -> dict[str, int]:
        prompt = sum(each["prompt_tokens"] for each in self.usage)
        completion = sum(each["completion_tokens"] for each in self.usage)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def as_json(
        self, status: str, finished: Finished | None = None, error: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole trace. `status` as the routes name it; `finished` when it ended well or was cancelled."""
        budget = self.context.budget
        out: dict[str, Any] = {
            "run_id": self.context.run_id,
            "session_id": self.context.session_id,
            "request_id": self.context.request_id,
            "created_at": self.created_at,
            "seconds": self.seconds(),
            "status": status,
            "model": self.model,
            "query": cut(self.query, MAX_QUERY_CHARS),
            "answer": self.answer(),
            "reasoning": self._reasoning(),
            "route": self._route(),
            "plan": list(self.plan.values()),
            "steps": self._steps(over=status != "running"),
            "calls": self.calls.calls,
            "tool_calls": self.tool_calls,
            "citations": self.citations,
            "support": self.support,
            "usage": self.tokens(),
            "usage_by_step": self.usage,
            "budget": asdict(budget),
            "stopped_because": finished.detail if finished is not None else None,
            "error": error,
        }
        if status == "running":
            expires_at = time.time() + self.context.seconds_left() + GRACE_SECONDS
            out |= {"writer": dict(self.mark), "expires_at": expires_at}
        if self.checkpoint is not None and status != "completed":
            out["checkpoint"] = self.checkpoint
        return out

    def for_answer(self) -> dict[str, Any]:
        """What the `hearth` object of the final answer adds of the run's earlier part."""
        if self.earlier is None:
            return {}
        steps = [
            {
                "id": step["id"],
                "index": step["index"],
                "type": "tool",
                "name": step["name"],
                "arguments": step["arguments"],
                "status": step["status"],
                "output_preview": preview(step["output"]),
                "started_at": step["started_at"],
                "duration_ms": step["duration_ms"],
                "error": step["error"],
                "files": step.get("files", []),
            }
            for step in self.earlier.get("steps", ())
        ]
        names = ("step", "prompt_tokens", "completion_tokens")
        usage = [{name: each[name] for name in names} for each in self.earlier.get("usage_by_step", ())]
        return {"earlier": {"steps": steps, "usage_by_step": usage}}

    def _cited(self, citations: Sequence[Citation]) -> list[dict[str, Any]]:
        """The citations; their offsets count in the whole answer, both halves."""
        shift = len(self.answer()) - len("".join(self.text))
        moved = [replace(each, start=each.start + shift, end=each.end + shift) for each in citations]
        return [citation_json(each, "") for each in moved]

    def _reasoning(self) -> str:
        return str((self.earlier or {}).get("reasoning") or "") + "".join(self.reasoning)

    def _route(self) -> dict[str, Any]:
        return {**asdict(self.route), "seconds": round(self.route.seconds, 6)}

    def _steps(self, *, over: bool) -> list[dict[str, Any]]:
        steps = sorted(self.steps.values(), key=lambda step: step["index"])
        if over:
            return [{**s, "status": "cancelled"} if s["status"] == "running" else s for s in steps]
        return [dict(step) for step in steps]

    def _step(self, event: StepPlanned | ToolStarted | ToolFinished) -> dict[str, Any]:
        blank = {
            "id": event.id,
            "index": event.index,
            "name": event.name,
            "purpose": "",
            "arguments": {},
            "depends_on": [],
            "status": "planned",
            "output": "",
            "data": None,
            "files": [],
            "error": None,
            "started_at": None,
            "duration_ms": None,
        }
        step = self.steps.setdefault(event.id, blank)
        step["arguments"] = cut_value(dict(event.arguments), MAX_OUTPUT_CHARS)
        return step

    def _planned(self, event: StepPlanned) -> dict[str, Any]:
        step = self._step(event)
        step |= {"purpose": event.purpose, "depends_on": list(event.depends_on)}
        names = ("id", "index", "name", "arguments", "depends_on", "purpose")
        self.plan[event.id] = {name: step[name] for name in names}
        return {"type": "step_planned", **self.plan[event.id], **_arguments(event)}

    def _started(self, event: ToolStarted) -> dict[str, Any]:
        self._step(event).update({"status": "running", "started_at": event.started_at})
        head = {"id": event.id, "index": event.index, "name": event.name}
        return {"type": "tool_started", **head, **_arguments(event), "started_at": event.started_at}

    def _finished(self, event: ToolFinished) -> dict[str, Any]:
        files = [asdict(each) for each in event.files]
        ended = {
            "status": event.status,
            "files": files,
            "error": event.error,
            "started_at": event.started_at,
            "duration_ms": round(event.seconds * 1000, 1),
        }
        output = unfenced(event.output)
        self._step(event).update(
            {**ended, "output": cut(output, MAX_OUTPUT_CHARS), "data": cut_value(event.data, MAX_OUTPUT_CHARS)}
        )
        head = {"id": event.id, "index": event.index, "name": event.name}
        return {
            "type": "tool_finished",
            **head,
            **_arguments(event),
            "output_preview": preview(event.output),
            **ended,
        }


CALL_NUMBERS = (
    "index", "step", "started_at", "seconds", "first_token_s", "prompt_tokens", "completion_tokens", "finish", "error",
)  # fmt: skip


def public(trace: Mapping[str, Any]) -> dict[str, Any]:
    """A trace as its owner sees it."""
    return {name: value for name, value in trace.items() if name not in INTERNAL}


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "step": usage.step,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
    }


def _call_json(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": cut(call.arguments, MAX_OUTPUT_CHARS)}


def _arguments(event: StepPlanned | ToolStarted | ToolFinished) -> dict[str, Any]:
    return {"arguments": cut_value(dict(event.arguments), MAX_EVENT_VALUE_BYTES)}
