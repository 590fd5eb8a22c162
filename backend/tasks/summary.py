"""What a run did, gathered from its events: the `hearth` object of an answer, and what its trace keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.models.messages import (
    Event,
    Finished,
    Route,
    RouteChosen,
    Sources,
    StepPlanned,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import RunContext
from backend.models.tools import Citation, Support
from backend.utils.untrusted import unfenced

PREVIEW_CHARS = 500


@dataclass(slots=True)
class RunSummary:
    """Fed with every event but the text."""

    route: Route | None = None
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()
    support: Support = field(default_factory=Support)
    usage: list[Usage] = field(default_factory=list)
    calls: list[ToolCallMade] = field(default_factory=list)
    finished: Finished | None = None

    def note(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RouteChosen(route):
                self.route = route
            case StepPlanned():
                self.steps[event.id] = _step(event.id, event.index, event.name, event.arguments, "planned")
                self.steps[event.id] |= {"purpose": event.purpose, "depends_on": list(event.depends_on)}
            case ToolStarted():
                step = self.steps.setdefault(event.id, _step(event.id, event.index, event.name, event.arguments, ""))
                step |= {"status": "running", "arguments": dict(event.arguments), "started_at": event.started_at}
            case ToolFinished():
                step = self.steps.setdefault(event.id, _step(event.id, event.index, event.name, event.arguments, ""))
                step |= {
                    "status": event.status,
                    "arguments": dict(event.arguments),
                    "output_preview": preview(event.output),
                    "started_at": event.started_at,
                    "duration_ms": round(event.seconds * 1000, 1),
                    "error": event.error,
                    "files": [asdict(each) for each in event.files],
                }
            case Sources(citations, support):
                self.citations, self.support = citations, support
            case Usage():
                self.usage.append(event)
            case ToolCallMade():
                self.calls.append(event)
            case Finished():
                self.finished = event
                self._end()
            case _:
                pass

    @property
    def is_plain(self) -> bool:
        """Whether nothing happened beyond the model's own answer."""
        return not self.steps and not self.citations

    def tokens(self) -> dict[str, int]:
        """OpenAI's usage object, summed over every model call of the run."""
        prompt = sum(each.prompt_tokens for each in self.usage)
        completion = sum(each.completion_tokens for each in self.usage)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def usage_json(self, *others: RunSummary) -> dict[str, Any]:
        """The same with OpenAI's details, over other answers to the same request as well. What the model's server
        took from its cache is counted as read, and not told apart."""
        calls = [each for summary in (self, *others) for each in summary.usage]
        prompt = sum(each.prompt_tokens for each in calls)
        completion = sum(each.completion_tokens for each in calls)
        reasoning = sum(each.reasoning_tokens for each in calls)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def as_hearth(self, context: RunContext, base_url: str) -> dict[str, Any]:
        """The `hearth` object of the wire."""
        out: dict[str, Any] = {
            "run_id": context.run_id,
            "session_id": context.session_id,
            "route": _route(self.route),
            "steps": self._all_steps(),
            "citations": [citation_json(each, base_url) for each in self.citations],
            "support": asdict(self.support),
            "usage_by_step": [
                *self._earlier().get("usage_by_step", ()),
                *(
                    {"step": u.step, "prompt_tokens": u.prompt_tokens, "completion_tokens": u.completion_tokens}
                    | ({"estimated": True} if u.estimated else {})
                    for u in self.usage
                ),
            ],
        }
        if self.finished is not None and self.finished.detail:
            out["stopped_because"] = self.finished.detail
        if self.finished is not None and "warning" in self.finished.extra:
            out["warning"] = self.finished.extra["warning"]
        return out

    def _earlier(self) -> Mapping[str, Any]:
        """What a resumed run had done before it stopped for its caller's tools."""
        found: Mapping[str, Any] = self.finished.extra.get("earlier", {}) if self.finished is not None else {}
        return found

    def _all_steps(self) -> list[dict[str, Any]]:
        before = [step for step in self._earlier().get("steps", ()) if step["id"] not in self.steps]
        return sorted([*before, *self.steps.values()], key=lambda step: step["index"])

    def _end(self) -> None:
        """Nothing runs any more: a tool that was broken off has no end of its own."""
        for step in self.steps.values():
            if step["status"] == "running":
                step["status"] = "cancelled"

    def annotations(self, base_url: str) -> list[dict[str, Any]]:
        """OpenAI's `url_citation` annotations, the only kind every client accepts in chat completions."""
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": each.start,
                    "end_index": each.end,
                    "url": _absolute(each.source.url, base_url),
                    "title": each.source.title,
                },
            }
            for each in self.citations
        ]

    def stored(self) -> dict[str, Any]:
        """What a stored assistant message keeps for display."""
        out: dict[str, Any] = {}
        if self.steps:
            out["steps"] = sorted(self.steps.values(), key=lambda step: step["index"])
        if self.citations:
            out["citations"] = [citation_json(each, "") for each in self.citations]
        if self.support.status != "none":
            out["support"] = asdict(self.support)
        if self.route is not None:
            out["route"] = _route(self.route)
        if self.calls:
            out["tool_calls"] = [
                {"id": made.call.id, "name": made.call.name, "arguments": made.call.arguments} for made in self.calls
            ]
        if self.finished is not None:
            out["finish_reason"] = self.finished.reason
            if self.finished.detail:
                out["stopped_because"] = self.finished.detail
        return out


def preview(output: str) -> str:
    """The beginning of a tool's output, as a person is shown it."""
    return unfenced(output)[:PREVIEW_CHARS]


def _step(id_: str, index: int, name: str, arguments: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {
        "id": id_,
        "index": index,
        "type": "tool",
        "name": name,
        "arguments": dict(arguments),
        "status": status,
        "output_preview": "",
        "started_at": None,
        "duration_ms": None,
        "error": None,
        "files": [],
    }


def _route(route: Route | None) -> dict[str, Any] | None:
    if route is None:
        return None
    return {**asdict(route), "seconds": round(route.seconds, 6)}


def citation_json(citation: Citation, base_url: str) -> dict[str, Any]:
    """A citation as the wire, the trace and stored messages have it."""
    source = citation.source
    out: dict[str, Any] = {
        "index": citation.index,
        "kind": source.kind,
        "file_id": source.file_id,
        "filename": source.filename,
        "page": source.page,
        "unit": source.unit,
        "label": source.label,
        "heading": list(source.heading),
        "line": source.line,
        "start": source.start,
        "end": source.end,
        "title": source.title,
        "quote": source.quote,
        "quoted": citation.quoted,
        "score": source.score,
        "url": _absolute(source.url, base_url),
        "start_index": citation.start,
        "end_index": citation.end,
    }
    return out | {"note": citation.note} if citation.note else out


def _absolute(url: str, base_url: str) -> str:
    return base_url + url if url.startswith("/") else url
