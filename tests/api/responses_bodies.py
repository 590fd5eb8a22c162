"""Bodies of /v1/responses for the tests, and the way from a body to a plan."""

from __future__ import annotations

import base64
from typing import Any

from backend.api.deps import checked
from backend.api.responses_items import input_items
from backend.api.responses_request import ResponsePlan, plan_of
from backend.api.responses_tools import ServerTool, ServerTools
from backend.models.messages import Image
from backend.models.schemas_responses import ResponseRequest

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n...").decode()
PICTURE = f"data:image/png;base64,{PNG}"
OFFERED = ServerTools(
    {
        **{name: ServerTool(name) for name in ("rag_retrieval", "web_search", "fetch_url", "math_calc")},
        "notes_shout": ServerTool("notes_shout", "notes", "shout", url="http://10.0.0.5/mcp"),
        "notes_erase": ServerTool("notes_erase", "notes", "erase", confirm=True, url="http://10.0.0.5/mcp"),
    },
    {"python_code": "no sandbox holds on this machine", "down": "it is being started"},
)
F = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
G = {"type": "function", "name": "g"}
FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}
WEB = {"type": "web_search"}
CODE = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}
NOTES = {"type": "mcp", "server_label": "notes"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
HI = {"role": "user", "content": "hi"}


def plan(
    earlier: list[dict[str, Any]] | None = None,
    offered: ServerTools = OFFERED,
    pictures: dict[str, Image] | None = None,
    **fields: Any,
) -> ResponsePlan:
    """The whole way from a body, as a route goes it."""
    body = checked({"model": "m", "input": "hi", **fields}, ResponseRequest)
    return plan_of(body, earlier or (), input_items(body), offered=offered, pictures=pictures or {})
