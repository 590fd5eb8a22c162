"""Runs for the stand-in backend: traces to look at, and one that goes on until it is through or cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

from tests.frontend import scripts

QUESTION = "Find the notice period in the staff handbook, work out 17.5 % of 2340, and look up what the law says."
SYSTEM = "You plan the work of an agent. Each step names one tool and its input. Steps that need no other run together."
PLAN = (
    '{"steps":[{"id":"s1","tool":"rag_retrieval","input":{"query":"notice period"},"depends_on":[]},'
    '{"id":"s2","tool":"math_calc","input":{"expression":"2340 * 17.5 / 100"},"depends_on":[]},'
    '{"id":"s3","tool":"web_search","input":{"query":"notice period law"},"depends_on":[]},'
    '{"id":"s4","tool":"data_analysis","input":{"data":"..."},"depends_on":["s1","s2"]}]}'
)
STARTED = ("id", "index", "name", "arguments", "started_at")
LISTED = ("run_id", "session_id", "created_at", "seconds", "status", "model", "query", "stopped_because")


class FakeRuns:
    """`pace` seconds between the events of a run that goes on; `asked_after` are the event numbers gone on from."""

    def __init__(self) -> None:
        self.traces: dict[str, dict[str, Any]] = {}
        self.going_on: dict[str, list[dict[str, Any]]] = {}
        self.pace = 0.0
        self.break_after: int | None = None
        self.cancelled: list[str] = []
        self.asked_after: list[int] = []

    def add(self, trace: dict[str, Any]) -> None:
        self.traces[trace["run_id"]] = trace

    def start(self, run_id: str) -> None:
        """A run that is going on; its events become the finished trace."""
        now = time.time()
        done = planned_run(run_id, now)
        self.going_on[run_id] = events_of(done)
        blank = {
            "status": "running",
            "answer": "",
            "plan": [],
            "steps": [],
            "calls": [],
            "citations": [],
            "route": None,
        }
        self.add({**done, **blank, "seconds": None, "done": done})


def run_routes(get: Callable[[], FakeRuns]) -> APIRouter:
    """`get` names the runs anew at each request: every test brings its own."""
    router = APIRouter(prefix="/api/runs")

    def missing() -> JSONResponse:
        message = "There is no such run."
        return JSONResponse(
            {"error": {"message": message, "type": "not_found_error", "param": None, "code": None}}, 404
        )

    @router.get("")
    async def listed(page: int = 1, limit: int = 50) -> dict[str, Any]:
        newest = sorted(get().traces.values(), key=lambda each: -each["created_at"])
        rows = [row(each) for each in newest[(page - 1) * limit : page * limit]]
        return {"runs": rows, "page": page, "limit": limit, "total": len(newest)}

    @router.get("/{run_id}")
    async def one(run_id: str) -> Any:
        trace = get().traces.get(run_id)
        return {name: value for name, value in trace.items() if name != "done"} if trace else missing()

    @router.get("/{run_id}/events")
    async def events(run_id: str, after: int = 0) -> Response:
        runs = get()
        runs.asked_after.append(after)

        async def stream() -> AsyncIterator[bytes]:
            for event in runs.going_on[run_id][after:]:
                trace = runs.traces[run_id]
                if run_id in runs.cancelled:
                    trace |= {"status": "cancelled", "stopped_because": "The run was cancelled.", "seconds": 1.0}
                    ended = {"status": "cancelled", "stopped_because": trace["stopped_because"], "reason": "stop"}
                    yield scripts.frame({"type": "finished", "n": event["n"], "at": time.time(), **ended})
                    return
                if event["type"] == "finished":
                    trace |= trace["done"]
                yield f"id: {event['n']}\n".encode() + scripts.frame(event)
                if event["n"] == runs.break_after:
                    runs.break_after = None
                    return
                await asyncio.sleep(runs.pace)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @router.post("/{run_id}/cancel")
    async def cancel(run_id: str) -> dict[str, str]:
        get().cancelled.append(run_id)
        return {"run_id": run_id, "status": "cancelled"}

    return router


def row(trace: dict[str, Any]) -> dict[str, Any]:
    agent = (trace["route"] or {}).get("agent")
    counts = {"step_count": len(trace["steps"]), "tokens": trace["usage"]["total_tokens"]}
    return {**{name: trace[name] for name in LISTED}, "agent": agent, **counts}


def trace_of(run_id: str, created_at: float, **fields: Any) -> dict[str, Any]:
    """A short ReAct run, with `fields` in place of its own."""
    trace = {
        "run_id": run_id,
        "session_id": "old-0",
        "request_id": "req_1",
        "created_at": created_at,
        "seconds": 1.42,
        "status": "completed",
        "model": "llama3.2:3b",
        "query": "What is 17 * 23?",
        "answer": "17 * 23 is **391**.",
        "reasoning": "",
        "route": {
            "task": "agentic",
            "agent": "react",
            "reason": "It asks for a calculation.",
            "confidence": 0.97,
            "seconds": 0.003,
        },
        "plan": [],
        "steps": [
            step("call_1", 0, "math_calc", {"expression": "17*23"}, created_at + 0.62, 14.2, "391"),
        ],
        "calls": [
            call(
                0,
                "step-1",
                created_at + 0.01,
                0.6,
                420,
                18,
                [("system", "You are an agent."), ("user", "What is 17 * 23?")],
                tool_calls=[{"id": "call_1", "name": "math_calc", "arguments": '{"expression":"17*23"}'}],
                finish="tool_calls",
            ),
            call(
                1,
                "step-2",
                created_at + 0.64,
                0.75,
                446,
                11,
                [("assistant", ""), ("tool", "391")],
                text="17 * 23 is **391**.",
                prefix_of_call=0,
            ),
        ],
        "citations": [],
        "tool_calls": [],
        "usage": {"prompt_tokens": 866, "completion_tokens": 29, "total_tokens": 895},
        "usage_by_step": [],
        "budget": {"iterations": 5, "plan_rounds": 3, "seconds": 300.0, "tool_calls": 20, "tokens": 100_000},
        "stopped_because": None,
        "error": None,
    }
    return trace | fields


def step(
    id_: str, index: int, name: str, arguments: dict[str, Any], at: float, ms: float, output: str, **fields: Any
) -> dict[str, Any]:
    ended = {"status": "completed", "output": output, "data": None, "error": None}
    told = {"purpose": "", "depends_on": [], "started_at": at, "duration_ms": ms}
    return {"id": id_, "index": index, "name": name, "arguments": arguments, **ended, **told, **fields}


def call(
    index: int,
    name: str,
    at: float,
    seconds: float,
    read: int,
    written: int,
    messages: list[tuple[str, str]],
    **fields: Any,
) -> dict[str, Any]:
    return {
        "index": index,
        "step": name,
        "started_at": at,
        "seconds": seconds,
        "first_token_s": seconds * 0.4,
        "prompt_tokens": read,
        "completion_tokens": written,
        "tools": ["rag_retrieval", "math_calc", "web_search", "data_analysis"],
        "format": None,
        "prefix_of_call": None,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "text": "",
        "reasoning": "",
        "tool_calls": [],
        "finish": "stop",
        "error": None,
        **fields,
    }


def planned_run(run_id: str, at: float) -> dict[str, Any]:
    """A plan of four steps: three side by side, of which one fails, and one that waits for two of them."""
    steps = [
        step(
            "s1",
            0,
            "rag_retrieval",
            {"query": "notice period", "top_k": 5},
            at + 1.31,
            184.0,
            "[1] staff-handbook.pdf, p. 3: " + scripts.QUOTE,
            purpose="Find the notice period in the staff handbook",
        ),
        step(
            "s2",
            1,
            "math_calc",
            {"expression": "2340 * 17.5 / 100"},
            at + 1.31,
            41.7,
            "409.500000000000",
            purpose="Work out 17.5 % of 2340",
        ),
        step(
            "s3",
            2,
            "web_search",
            {"query": "notice period law"},
            at + 1.32,
            1240.0,
            "",
            status="failed",
            error="Web search is switched off on this server.",
            purpose="Look up what the law says",
        ),
        step(
            "s4",
            3,
            "data_analysis",
            {"data": [{"months": 3}, {"weeks": 2}]},
            at + 1.52,
            320.0,
            "count 2, mean 2.5",
            purpose="Compare both notice periods",
            depends_on=["s1", "s2"],
        ),
    ]
    calls = [
        call(
            0,
            "plan",
            at + 0.02,
            1.28,
            612,
            141,
            [("system", SYSTEM), ("user", QUESTION)],
            text=PLAN,
            format="plan",
            reasoning="The three parts do not depend on each other, so they can run side by side.",
        ),
        call(
            1,
            "answer",
            at + 2.57,
            1.6,
            1180,
            96,
            [
                ("system", "Answer from what the steps found."),
                ("user", QUESTION),
                ("tool", "<tool>" + scripts.QUOTE + "</tool>"),
                ("tool", "409.500000000000"),
            ],
            text=scripts.DOCUMENT,
        ),
        call(
            2,
            "verify",
            at + 4.18,
            0.62,
            1304,
            12,
            [("assistant", scripts.DOCUMENT), ("user", "Is anything missing?")],
            prefix_of_call=1,
            text='{"passed":true,"missing":[]}',
            format="verdict",
        ),
    ]
    source = {"kind": "document", "file_id": "doc-1", "filename": "staff-handbook.pdf", "score": 0.91, "title": ""}
    return trace_of(
        run_id,
        at,
        session_id="old-0",
        seconds=4.82,
        query=QUESTION,
        answer=scripts.DOCUMENT,
        reasoning="The three parts do not depend on each other.",
        route={
            "task": "agentic",
            "agent": "plan_execute",
            "reason": "It names a document and asks for a calculation, which do not depend on each other.",
            "confidence": 0.93,
            "seconds": 0.004,
        },
        plan=[
            {name: each[name] for name in ("id", "index", "name", "arguments", "depends_on", "purpose")}
            for each in steps
        ],
        steps=steps,
        calls=calls,
        citations=[
            {**source, "index": 1, "page": 3, "quote": scripts.QUOTE, "url": "/files/doc-1/view#page=3"},
            {**source, "index": 2, "page": 7, "quote": "Open leave is paid out with the last salary."},
        ],
        usage={"prompt_tokens": 3096, "completion_tokens": 249, "total_tokens": 3345},
        stopped_because="The budget of tool calls (4) is used up: this is the best answer so far.",
    )


def events_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """What a watcher of this run would have seen."""
    at = trace["created_at"]
    head = {name: trace[name] for name in ("run_id", "session_id", "model", "query")}
    told: list[dict[str, Any]] = [
        {"type": "run_started", **head, "resumed": False},
        {"type": "route", **trace["route"]},
    ]
    untold = ("messages", "text", "reasoning", "tools")
    called = [
        {"type": "model_called", **{name: value for name, value in each.items() if name not in untold}}
        for each in trace["calls"]
    ]
    told += [*called[:1], {"type": "reasoning", "text": trace["reasoning"]}]
    told += [{"type": "step_planned", **each} for each in trace["plan"]]
    for each in trace["steps"]:
        told.append({"type": "tool_started", **{name: each[name] for name in STARTED}})
    for each in trace["steps"]:
        ended = {name: each[name] for name in (*STARTED, "status", "duration_ms", "error")}
        told.append({"type": "tool_finished", **ended, "output_preview": each["output"]})
    told += [{"type": "text", "text": piece + "\n\n"} for piece in trace["answer"].split("\n\n")]
    told += called[1:]
    told.append({"type": "citations", "citations": trace["citations"]})
    told.append({"type": "finished", "reason": "stop", "status": "completed", "usage": trace["usage"], "seconds": 4.82})
    return [{**event, "n": n, "at": at + n / 10} for n, event in enumerate(told, 1)]


def fill_runs(runs: FakeRuns) -> None:
    now = time.time()
    runs.add(planned_run("run_1", now - 40))
    runs.add(trace_of("run_2", now - 4000))
    failed = {"message": "The model stopped in mid-answer. Ask again.", "code": "upstream_cut"}
    runs.add(
        trace_of("run_3", now - 90_000, status="failed", error=failed, query="Mean of the sales by city", answer="")
    )
    cut = {"status": "cancelled", "stopped_because": "The run was cancelled.", "query": "Translate the welcome letter"}
    runs.add(trace_of("run_4", now - 400_000, **cut))
    for number in range(5, 40):
        runs.add(trace_of(f"run_{number}", now - 500_000 - number * 9000, query=f"What is {number} * 23?"))
