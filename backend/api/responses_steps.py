"""The server's own tool calls as the standard items of /v1/responses, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.api.responses_items import Item, item_id
from backend.api.responses_tools import CODE, FILE_SEARCH, WEB_SEARCH, ServerTool
from backend.models.messages import StepStatus, ToolFinished, ToolStarted
from backend.utils.untrusted import unfenced

Told = list[tuple[str, dict[str, Any]]]
"""Events to be numbered and sent: type without `response.`, and fields."""
FILE_RESULTS = "file_search_call.results"
WEB_SOURCES = "web_search_call.action.sources"
CODE_OUTPUTS = "code_interpreter_call.outputs"
ITEM_STATUS: Mapping[StepStatus, str] = {"completed": "completed", "failed": "failed"}
"""How a step ended, in the words of items; whatever else happened to it, it is incomplete."""
FETCH = "fetch_url"


@dataclass(frozen=True, slots=True)
class StepView:
    """What one response shows of tool calls: where they come from, what was asked to be included."""

    include: frozenset[str]
    tools: Mapping[str, ServerTool] = field(default_factory=dict)
    unconfirmed: frozenset[str] = frozenset()
    """Tools that wait for the user's word: a call of one is a question to the user, not a call."""
    base_url: str = ""
    container_id: str = ""

    def item_of(self, event: ToolStarted) -> Item:
        """The item of a call that has just begun."""
        kind = kind_of(event.name)
        item: Item = {"id": item_id(kind), "type": kind, "status": "in_progress"}
        if kind == "file_search_call":
            return item | {"queries": _queries(event.arguments), "results": None}
        if kind == "web_search_call":
            return item | {"action": _action(event)}
        if kind == "code_interpreter_call":
            return item | {"code": "", "container_id": self.container_id, "outputs": None}
        return item | self._names(event.name) | _NOTHING_YET

    def approval_of(self, event: ToolFinished) -> Item:
        """The question to the user that stands for a call which was not made."""
        kind = "mcp_approval_request"
        return {"id": item_id(kind), "type": kind, **self._names(event.name), "arguments": as_json(event.arguments)}

    def _names(self, name: str) -> Item:
        tool = self.tools.get(name) or ServerTool(name)
        return {"server_label": tool.label, "name": tool.own_name or name}

    def started(self, item: Item, index: int, event: ToolStarted) -> Told:
        """The events of a call that begins; the item has been announced already."""
        kind, at = item["type"], {"item_id": item["id"], "output_index": index}
        told: Told = [(f"{kind}.in_progress", at)]
        if kind in ("file_search_call", "web_search_call"):
            told.append((f"{kind}.searching", at))
        elif kind == "code_interpreter_call":
            code = item["code"] = str(event.arguments.get("code") or "")
            told += _in_one_piece(f"{kind}_code", "code", code, at)
            told.append((f"{kind}.interpreting", at))
        else:
            arguments = item["arguments"] = as_json(event.arguments)
            told += _in_one_piece(f"{kind}_arguments", "arguments", arguments, at)
        return told

    def finished(self, item: Item, index: int, event: ToolFinished) -> Told:
        """Complete the item and give the events of its end; the item's own is not among them."""
        kind, at = item["type"], {"item_id": item["id"], "output_index": index}
        item["status"] = ITEM_STATUS.get(event.status, "incomplete")
        if kind == "file_search_call":
            item["results"] = _results(event.data) if FILE_RESULTS in self.include else None
        elif kind == "web_search_call":
            if WEB_SOURCES in self.include and item["action"]["type"] == "search":
                item["action"] = item["action"] | {"sources": _sources(event.data)}
        elif kind == "code_interpreter_call":
            item["outputs"] = self._outputs(event) if CODE_OUTPUTS in self.include else None
        elif event.error is not None:
            item["error"] = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": event.error}]}
        else:
            item["output"] = unfenced(event.output)
        if item["status"] == "completed":
            return [(f"{kind}.completed", at)]
        return [(f"{kind}.failed", at)] if kind == "mcp_call" else []

    def _outputs(self, event: ToolFinished) -> list[Item]:
        outputs: list[Item] = [{"type": "logs", "logs": unfenced(event.output)}]
        for file in event.files:
            if file.content_type.startswith("image/"):
                url = self.base_url + file.url if file.url.startswith("/") else file.url
                outputs.append({"type": "image", "url": url})
        return outputs


_NOTHING_YET: Item = {"arguments": "", "output": None, "error": None, "approval_request_id": None}


def kind_of(name: str) -> str:
    """The kind of item that stands for a call of this tool."""
    if name in FILE_SEARCH:
        return "file_search_call"
    if name in WEB_SEARCH:
        return "web_search_call"
    return "code_interpreter_call" if name in CODE else "mcp_call"


def as_json(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON text."""
    return orjson.dumps(dict(arguments), default=str).decode()


def _in_one_piece(family: str, key: str, text: str, at: Mapping[str, Any]) -> Told:
    delta: Told = [(f"{family}.delta", {**at, "delta": text})] if text else []
    return [*delta, (f"{family}.done", {**at, key: text})]


def _queries(arguments: Mapping[str, Any]) -> list[str]:
    query = arguments.get("query")
    return [query] if isinstance(query, str) and query else []


def _action(event: ToolStarted) -> Item:
    if event.name == FETCH:
        return {"type": "open_page", "url": str(event.arguments.get("url") or "")}
    queries = _queries(event.arguments)
    return {"type": "search", "query": queries[0] if queries else "", "queries": queries}


def _results(data: Any) -> list[Item]:
    """The passages that were found, best first."""
    return [
        {
            "file_id": hit.get("file_id"),
            "filename": hit.get("filename"),
            "score": hit.get("score"),
            "text": hit.get("text"),
            "attributes": hit.get("attributes") or {},
        }
        for hit in _rows(data, "hits")
    ]


def _sources(data: Any) -> list[Item]:
    """The pages a search has led to."""
    found = [row.get("url") for row in _rows(data, "results")]
    if isinstance(data, Mapping):
        found.append(data.get("url"))
    urls = dict.fromkeys(url for url in found if isinstance(url, str) and url)
    return [{"type": "url", "url": url} for url in urls]


def _rows(data: Any, key: str) -> Sequence[Mapping[str, Any]]:
    rows = data.get(key) if isinstance(data, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
