"""A real server of the Model Context Protocol, of the official library: a few tools, well behaved.

`python -m tests.doubles.services.mcp_server` speaks over its standard input and output;
`… http PORT` serves the same at /mcp.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from typing import Any

from mcp.server import MCPServer
from mcp.types import ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("notes")


class Item(BaseModel):
    title: str = Field(description="What it is called.")
    count: int = 1


@server.tool(annotations=READS)
def shout(text: str) -> str:
    """Gives the text back in capitals."""
    return text.upper()


@server.tool(annotations=READS)
def weigh(item: Item, unit: str = "kg") -> dict[str, Any]:
    """Weighs an item."""
    return {"title": item.title, "weight": item.count * 2, "unit": unit}


@server.tool(annotations=READS)
def picture() -> list[TextContent | ImageContent]:
    """Draws one point."""
    return [
        TextContent(type="text", text="One point."),
        ImageContent(type="image", data=PIXEL, mime_type="image/png"),
        ImageContent(type="image", data=base64.b64encode(b"<svg onload=x>").decode(), mime_type="image/svg+xml"),
    ]


@server.tool(annotations=READS)
def surroundings() -> str:
    """Says which environment variables there are."""
    return " ".join(sorted(os.environ))


@server.tool(annotations=READS)
def stumble(why: str) -> str:
    """Fails."""
    raise ValueError(why)


@server.tool(annotations=READS)
def dawdle(seconds: float) -> str:
    """Takes its time."""
    time.sleep(seconds)
    return "done"


@server.tool(annotations=READS)
def leave() -> str:
    """Ends the program in the middle of the call."""
    os._exit(3)


@server.tool()
def erase(name: str) -> str:
    """Erases a note."""
    return f"{name} is erased"


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
