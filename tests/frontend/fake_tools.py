"""Tools for the stand-in backend: the list with its switches, the files they made, and answers that made some."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tests.frontend import scripts

CHART = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 320" width="640" height="320"
 font-family="sans-serif">
<g fill="#3f7189"><rect x="70" y="180" width="90" height="100"/><rect x="210" y="60" width="90" height="220"/>
<rect x="350" y="110" width="90" height="170"/><rect x="490" y="150" width="90" height="130"/></g>
<path d="M50 280h560M50 280V30" stroke="#444" fill="none"/>
<g font-size="15" text-anchor="middle" fill="#222"><text x="115" y="302">Oslo</text><text x="255" y="302">Rome</text>
<text x="395" y="302">Lima</text><text x="535" y="302">Perth</text></g></svg>"""
HOSTILE_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="40" onload="window.hacked=\'svg\'">'
    "<script>window.hacked='script'; fetch('https://evil.example/x')</script>"
    '<image href="https://evil.example/pixel.png" width="9" height="9"/><rect width="90" height="40"/></svg>'
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
CSV = b"city,sales\nOslo,12\nRome,31\n"


def tool(name: str, description: str, **fields: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"available": True, "reason": None, "enabled": True}
    about |= {"outbound": False, "needs_confirmation": False}
    return {"name": name, "description": description, "parameters": {"type": "object"}, **about, **fields}


def house_tools() -> list[dict[str, Any]]:
    return [
        tool("data_analysis", "Statistics of a table in CSV or JSON. Use it for questions about columns and rows."),
        tool("math_calc", "Works out mathematics exactly and numerically, e.g. sums. Use it for every calculation."),
        tool("rag_retrieval", "Searches the documents that the user has uploaded. It knows nothing beyond those."),
        tool(
            "weather", "Tells the current weather and the forecast for any place in the world. Use it.", outbound=True
        ),
        tool("send_mail", "Sends a letter. Use it rarely.", outbound=True, needs_confirmation=True),
        tool("sql_query", "", available=False, reason="needs the Python package duckdb, which is not installed"),
    ]


@dataclass
class FakeTools:
    """`files` by id: type and bytes; others are gone. `saved` are the bodies of PUT; `fails`: it is refused."""

    items: list[dict[str, Any]] = field(default_factory=house_tools)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    saved: list[list[str]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    fails: bool = False
    pace: float = 0.0

    def __post_init__(self) -> None:
        self.files = {
            "chart1": ("image/svg+xml", CHART.encode()),
            "table1": ("text/csv", CSV),
            "evil1": ("image/svg+xml", HOSTILE_SVG.encode()),
        }


def tool_routes(get: Callable[[], FakeTools]) -> APIRouter:
    router = APIRouter(prefix="/api")

    @router.get("/tools")
    async def listed() -> dict[str, Any]:
        return {"tools": get().items}

    @router.put("/tools/settings")
    async def settings(request: Request) -> Any:
        tools, wanted = get(), (await request.json())["disabled_tools"]
        tools.saved.append(wanted)
        await asyncio.sleep(tools.pace)
        if tools.fails:
            return refusal(503, "The disk is full.")
        for each in tools.items:
            each["enabled"] = each["name"] not in wanted
        return {"disabled_tools": wanted}

    @router.get("/artifacts/{id_}")
    async def artifact(id_: str) -> Response:
        tools = get()
        tools.fetched.append(id_)
        if id_ not in tools.files:
            return refusal(404, "There is no such file.")
        kind, data = tools.files[id_]
        return Response(data, media_type=kind, headers={"content-disposition": "attachment"})

    return router


def refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "api_error", "param": None, "code": None}}, status)


def link(id_: str, name: str, content_type: str, size: int) -> dict[str, Any]:
    return {"id": id_, "name": name, "content_type": content_type, "size": size, "url": f"/api/artifacts/{id_}"}


FILES = {
    "chart": [link("chart1", "sales by city.svg", "image/svg+xml", 900), link("table1", "sales.csv", "text/csv", 27)],
    "photo": [link("chart1", "photo.png", "image/png", 70)],
    "gone": [link("lost1", "lost.png", "image/png", 900), link("lost2", "lost.csv", "text/csv", 27)],
    "hostile": [
        link("evil1", "<img src=https://evil.example/x onerror=window.hacked=1>.svg", "image/svg+xml", 300),
        link("table1", "<b>\u202egpj.exe", "text/html", 27),
        link("../auth/me", "out.csv", "text/csv", 27),
    ],
}


def fitting(question: str, confirmed: list[str]) -> Callable[[dict[str, Any], float], AsyncIterator[bytes]] | None:
    """The answer to a question about files or a letter; None for any other question."""
    for word, files in FILES.items():
        if word in question:
            step = {"name": "data_analysis", "arguments": {"file": "Sales 2026 Q1.csv", "chart": "bar"}}
            done = {"output_preview": "Rome sold most: 31.", "error": None, "files": files}
            return lambda reply, pace: one_step(reply, pace, "Rome sold **most**, Oslo least.", {**step, **done})
    if "letter" not in question:
        return None
    error = "send_mail needs the user's confirmation: ask the user to allow it, then try again."
    allowed = "send_mail" in confirmed
    done = {"output_preview": "Sent." if allowed else "", "error": None if allowed else error, "files": []}
    arguments = {"to": "bob@example.com", "text": "<b>Good morning</b>, Bob"}
    text = "The letter is on its way." if allowed else "I may not send letters without your leave."
    return lambda reply, pace: one_step(reply, pace, text, {"name": "send_mail", "arguments": arguments, **done})


async def one_step(reply: dict[str, Any], pace: float, text: str, given: dict[str, Any]) -> AsyncIterator[bytes]:
    """A tool is called, then the answer is written."""
    step = {"id": "call_1", "index": 0, "name": given["name"], "arguments": given["arguments"]}
    yield scripts.chunk(hearth_event={"type": "tool_started", "started_at": time.time(), **step})
    await asyncio.sleep(pace * 10)
    ended = {**step, **given, "status": "failed" if given["error"] else "completed", "duration_ms": 31.0}
    reply["steps"] = [{"type": "tool", **ended}]
    yield scripts.chunk(hearth_event={"type": "tool_finished", **ended})
    async for piece in scripts.words(text, reply, pace):
        yield piece
