"""Files that a tool made, and the time the router took, as watchers and later readers are told of them."""

from __future__ import annotations

from backend.api.openai_stream import live_event
from backend.models.messages import Event, Finished, Route, RouteChosen, ToolFinished
from backend.models.tools import FileLink
from backend.tasks.summary import RunSummary

LINK = FileLink("abc", "chart.png", "image/png", 42, "/api/artifacts/abc")
WIRE = {"id": "abc", "name": "chart.png", "content_type": "image/png", "size": 42, "url": "/api/artifacts/abc"}
ENDED = ToolFinished("call_1", 0, "data_analysis", {}, "completed", "done", 0.0, 0.1, files=(LINK,))


def noted(*events: Event) -> RunSummary:
    summary = RunSummary()
    for event in events:
        summary.note(event)
    return summary


def test_watchers_see_the_files_with_the_end_of_the_step() -> None:
    live = live_event(ENDED)
    assert live is not None
    assert live["files"] == [WIRE]


def test_a_stored_answer_keeps_the_files_of_its_steps() -> None:
    (step,) = noted(ENDED, Finished("stop")).stored()["steps"]
    assert step["files"] == [WIRE]


def test_a_stored_route_tells_what_deciding_took() -> None:
    route = Route("agentic", "react", "A cue.", 0.9, 0.0041234567)
    assert noted(RouteChosen(route)).stored()["route"] == {
        "task": "agentic",
        "agent": "react",
        "reason": "A cue.",
        "confidence": 0.9,
        "seconds": 0.004123,
    }
