"""This server as one of the Model Context Protocol: its tools and a user's documents for other agents.

The library answers each request on its own (no sessions, plain JSON), so the owner is simply the one who sent it.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend import __version__
from backend.bootstrap import Services
from backend.core.toolbox import ToolOutcome
from backend.models.documents import Document
from backend.models.errors import HearthError, NotFound
from backend.models.run import Owner, RunContext
from backend.tools.port import Tool
from backend.utils.untrusted import unfenced

if TYPE_CHECKING:
    from mcp.server import Server

PAGE_SIZE = 100
MAX_RESOURCE_CHARS = 200_000
MAX_IMAGE_BYTES = 1_048_576
INSTRUCTIONS = "Tools of a Hearth server, and the signed-in user's documents as resources, page by page."
_DOCUMENT = re.compile(r"^hearth://documents/([A-Za-z0-9_-]{1,64})(?:/pages/(\d{1,6}))?$")
_PAGE_TEMPLATE = "hearth://documents/{file_id}/pages/{page}"


class AsgiResponse(Response):
    """A response that an ASGI application writes."""

    def __init__(self, run: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._run(scope, receive, send)


def answer_for(services: Services, owner: Owner, request_id: str, base_url: str) -> AsgiResponse:
    """The response to one request of a signed-in user."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    desk = Desk(services, owner, request_id, base_url)

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        # One manager a request: it keeps nothing between requests, and one that lived as long as the server would
        # need a task of its own beside the server's.
        manager = StreamableHTTPSessionManager(
            desk.server(),
            json_response=True,
            stateless=True,
            max_request_body_size=services.settings.max_body_kb * 1024,
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    return AsgiResponse(run)


class Desk:
    """What one user may list, call and read."""

    def __init__(self, services: Services, owner: Owner, request_id: str, base_url: str) -> None:
        self._services = services
        self._owner = owner
        self._request_id = request_id
        self._base_url = base_url

    def server(self) -> Server[Any]:
        from mcp.server import Server

        return Server(
            "hearth",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
        )

    async def offered(self) -> dict[str, Tool]:
        """The tools that work here, that the user has not switched off, and that need nobody's confirmation.

        Tools of other servers are left out: two servers that offer each other's tools would call in circles.
        """
        await self._services.registry.reach()
        off = (await self._services.stores.preferences.get(self._owner)).disabled_tools
        return {
            name: tool
            for name, tool in self._services.registry.of(self._owner).items()
            if name not in off and not tool.imported and not tool.needs_confirmation
        }

    async def list_tools(self, _context: Any, _params: Any) -> Any:
        from mcp_types import ListToolsResult, ToolAnnotations
        from mcp_types import Tool as Listed

        return ListToolsResult(
            tools=[
                Listed(
                    name=tool.name,
                    description=tool.description,
                    input_schema={"type": "object", **self._services.registry.schema(tool.name)},
                    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=tool.outbound),
                )
                for tool in (await self.offered()).values()
            ]
        )

    async def call_tool(self, _context: Any, params: Any) -> Any:
        """A failure of the tool is a result with `is_error`; a tool that is not offered is a protocol error."""
        from mcp_types import CallToolResult, TextContent

        tool = (await self.offered()).get(params.name)
        if tool is None:
            raise _refused(f"There is no tool named {params.name[:64]!r} here for you: tools/list names them.")
        context = RunContext(
            owner=self._owner,
            run_id=f"run_{uuid.uuid4().hex}",
            session_id=None,
            request_id=self._request_id,
            deadline=time.monotonic() + tool.timeout_s,
            documents=await self._services.stores.documents.ready_names(self._owner),
            base_url=self._base_url,
        )
        toolbox = self._services.registry.toolbox(context, [tool.name])
        outcome = await toolbox.call(tool.name, params.arguments or {})
        text = outcome.error or unfenced(outcome.observation)
        return CallToolResult(
            content=[TextContent(type="text", text=text), *await self._images(outcome)],
            structured_content=None if outcome.error else self._structured(outcome),
            is_error=outcome.error is not None,
        )

    def _structured(self, outcome: ToolOutcome) -> dict[str, Any]:
        """Always an object, whatever the tool's data is."""
        sources = [
            {"index": number, "title": source.title, "url": self._absolute(source.url), "quote": source.quote}
            for number, source in zip(outcome.markers, outcome.result.sources, strict=True)
        ]
        files = [{**asdict(link), "url": self._absolute(link.url)} for link in outcome.result.files]
        return {"data": outcome.result.data, "sources": sources, "files": files}

    async def _images(self, outcome: ToolOutcome) -> list[Any]:
        """Charts and the like, in place; larger ones and other files are only linked."""
        from mcp_types import ImageContent

        images = []
        for link in outcome.result.files:
            if link.content_type.startswith("image/") and link.size <= MAX_IMAGE_BYTES:
                _, content = await self._services.stores.artifacts.get(self._owner, link.id)
                data = base64.b64encode(content).decode()
                images.append(ImageContent(type="image", data=data, mime_type=link.content_type))
        return images

    async def list_resources(self, _context: Any, params: Any) -> Any:
        from mcp_types import ListResourcesResult, Resource

        cursor = params.cursor if params is not None and params.cursor else "1"
        if not cursor.isascii() or not cursor.isdigit() or not 1 <= int(cursor[:9]) <= 1_000_000:
            raise _refused("This cursor is none that was handed out here.")
        page = int(cursor[:9])
        found, total = await self._services.stores.documents.list_documents(self._owner, page=page, limit=PAGE_SIZE)
        return ListResourcesResult(
            resources=[
                Resource(
                    uri=f"hearth://documents/{document.file_id}",
                    name=document.filename,
                    description=f"{document.pages} pages" if document.pages else None,
                    mime_type="text/plain",
                    size=document.size,
                )
                for document in found
                if document.status == "ready"
            ],
            next_cursor=str(page + 1) if page * PAGE_SIZE < total else None,
        )

    async def list_templates(self, _context: Any, _params: Any) -> Any:
        from mcp_types import ListResourceTemplatesResult, ResourceTemplate

        one = ResourceTemplate(
            uri_template=_PAGE_TEMPLATE, name="page", description="One page of a document.", mime_type="text/plain"
        )
        return ListResourceTemplatesResult(resource_templates=[one])

    async def read_resource(self, _context: Any, params: Any) -> Any:
        """The text of a page, or of a document's pages as far as MAX_RESOURCE_CHARS goes, each by its address."""
        from mcp_types import ReadResourceResult, TextResourceContents

        asked = _DOCUMENT.match(params.uri)
        if asked is None:
            raise _refused(f"There is no such resource: use hearth://documents/… or {_PAGE_TEMPLATE}.")
        try:
            document = await self._services.stores.documents.get(self._owner, asked[1])
            pages = await self._pages(document, int(asked[2]) if asked[2] else None)
        except NotFound:
            raise _refused("There is no such document or page.") from None
        except HearthError as error:
            raise _refused(error.message) from None
        return ReadResourceResult(
            contents=[TextResourceContents(uri=uri, mime_type="text/plain", text=text) for uri, text in pages]
        )

    async def _pages(self, document: Document, number: int | None) -> list[tuple[str, str]]:
        """Addresses and texts."""
        whole = f"hearth://documents/{document.file_id}"
        numbers = [number] if number is not None or not document.pages else list(range(1, document.pages + 1))
        out: list[tuple[str, str]] = []
        room = MAX_RESOURCE_CHARS
        for each in numbers:
            page = await self._services.stores.documents.page_text(self._owner, document.file_id, each)
            out.append((whole if each is None else f"{whole}/pages/{each}", page.text[:room]))
            room -= len(page.text)
            if room <= 0:
                break
        return out

    def _absolute(self, url: str) -> str:
        return self._base_url + url if url.startswith("/") else url


def _refused(message: str) -> Exception:
    from mcp.shared.exceptions import MCPError
    from mcp_types import INVALID_PARAMS

    return MCPError(INVALID_PARAMS, message)
