"""Pages, search and collections for the stand-in backend: documents of several kinds, each with a known passage."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tests.frontend import scripts

TIDES = "\n".join(f"def column_{n}(row):\n    return float(row[{n}])\n" for n in range(60)) + "\nPATIENCE = 17.0  # s\n"
LETTER = "\n".join(f"Line {n} of the letter." for n in range(1, 9)) + "\nThe rehearsal is at 18:45 in room B12.\n"
KILN = (
    "# Kiln manual\n\nThe kiln stands in the yard. <script>window.hacked = 1</script>\n\n## Cooling\n\n"
    "| Clay | Hours |\n|---|---|\n| Porcelain | 26 |\n| Stoneware | 11 |\n\n[click](javascript:window.hacked=1) ![x](https://evil.example/x.png)\n\n"
    "Shelves are brushed after *every* firing.\n"
)
PAGES: dict[str, dict[str, Any]] = {
    "doc-5": {"filename": "tides.py", "pages": None, "form": "code", "text": TIDES},
    "doc-6": {"filename": "letter.txt", "pages": None, "form": "plain", "text": LETTER},
    "doc-7": {"filename": "Kiln manual.md", "pages": None, "form": "markdown", "text": KILN},
    "doc-8": {
        "filename": "Solar.pptx",
        "pages": 12,
        "unit": "slide",
        "form": "markdown",
        "text": "# Schedule\n\n- Panels on 9 March\n",
    },
    "doc-9": {
        "filename": "Stock.xlsx",
        "pages": 3,
        "unit": "sheet",
        "label": "Q3",
        "form": "markdown",
        "text": "| City | Stock |\n|---|---|\n| Turin | 1284 |\n",
    },
}
"""By document id; every other document is a PDF of 32 pages."""
HIT = {
    "file_id": "doc-1",
    "filename": "staff-handbook.pdf",
    "page": 3,
    "unit": "page",
    "label": "",
    "line": None,
    "score": 0.84,
    "heading": ["Staff handbook", "Ending the employment"],
    "parts": {"dense": 0.8, "lexical": 0.9},
    "text": scripts.QUOTE,
    "url": "/files/doc-1/view#page=3",
}


def collection(id_: str, name: str, files: list[str], **fields: Any) -> dict[str, Any]:
    return {"id": id_, "name": name, "files": files, "mine": True, "owner": "ada", "readers": [], **fields}


@dataclass
class FakeLibrary:
    """`broken`: pictures cannot be made. `unmarked`: no passage is found on one. `searched`: bodies of searches."""

    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    searched: list[dict[str, Any]] = field(default_factory=list)
    hits: list[dict[str, Any]] = field(default_factory=lambda: [dict(HIT)])
    broken: bool = False
    unmarked: bool = False


@cache
def picture(width: int) -> bytes:
    """A white page with a black line, as a PNG."""
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (width, width * 297 // 210), "white")
    ImageDraw.Draw(page).rectangle((width // 10, width // 10, width // 2, width // 10 + 12), fill="black")
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def page_of(file_id: str, name: str, number: int) -> dict[str, Any]:
    known = PAGES.get(file_id)
    about = {"file_id": file_id, "unit": "page", "label": "", "scanned": False}
    if known is not None:
        page = number if known["pages"] else None
        return {**about, "content_type": "application/octet-stream", "page": page, **known}
    text = scripts.page_text(number)
    about |= {"content_type": "application/pdf", "filename": name, "page": number, "pages": 32}
    return {**about, "form": "plain", "text": text}


def refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": None}}, status)


def library_routes(library: Callable[[], FakeLibrary]) -> APIRouter:
    router = APIRouter()

    @router.get("/api/files/documents/{file_id}/pages/{number}/image")
    async def image(file_id: str, number: int, width: int) -> Response:
        library().images.append(f"{file_id} {number} {width}")
        if library().broken:
            return refusal(415, "This page is damaged and cannot be shown.")
        return Response(picture(width), media_type="image/png")

    @router.post("/api/files/documents/{file_id}/pages/{number}/marks")
    async def marks(file_id: str, number: int, body: dict[str, str]) -> dict[str, Any]:
        library().marks.append(body["quote"])
        if library().unmarked:
            return {"found": False, "rects": []}
        return {"found": True, "rects": [[0.1, 0.72, 0.9, 0.74], [0.1, 0.75, 0.6, 0.77]]}

    @router.post("/api/search")
    async def search(body: dict[str, Any]) -> Response:
        library().searched.append(body)
        if "fail" in body["query"]:
            return refusal(503, "The search is busy. Try again in a moment.")
        return JSONResponse({"hits": [] if "nothing" in body["query"] else library().hits})

    add_collection_routes(router, library)
    return router


def add_collection_routes(router: APIRouter, library: Callable[[], FakeLibrary]) -> None:
    def told(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "files": len(item["files"])}

    @router.get("/api/collections")
    async def listed() -> dict[str, Any]:
        return {"collections": [told(each) for each in library().collections.values()]}

    @router.put("/api/collections/{id_}/readers")
    async def share(id_: str, body: dict[str, list[str]]) -> Any:
        if "nobody" in body["users"]:
            return refusal(400, "There is no user named 'nobody'.")
        library().collections[id_]["readers"] = body["users"]
        return told(library().collections[id_])

    @router.post("/v1/vector_stores")
    async def create(body: dict[str, Any]) -> dict[str, Any]:
        id_ = f"vs_{len(library().collections) + 1}"
        library().collections[id_] = collection(id_, body["name"], [])
        return {"id": id_, "name": body["name"]}

    @router.post("/v1/vector_stores/{id_}")
    async def rename(id_: str, body: dict[str, Any]) -> dict[str, Any]:
        library().collections[id_]["name"] = body["name"]
        return {"id": id_}

    @router.delete("/v1/vector_stores/{id_}")
    async def remove(id_: str) -> dict[str, Any]:
        del library().collections[id_]
        return {"id": id_, "deleted": True}

    @router.get("/v1/vector_stores/{id_}/files")
    async def files(id_: str, after: str = "") -> dict[str, Any]:
        """Two at a time, so that the page has to turn pages."""
        ids = library().collections[id_]["files"]
        start = ids.index(after) + 1 if after else 0
        part = ids[start : start + 2]
        return {"data": [{"id": each} for each in part], "has_more": start + 2 < len(ids)}

    @router.post("/v1/vector_stores/{id_}/files")
    async def put_in(id_: str, request: Request) -> dict[str, Any]:
        file_id = (await request.json())["file_id"]
        library().collections[id_]["files"].append(file_id)
        return {"id": file_id}

    @router.delete("/v1/vector_stores/{id_}/files/{file_id}")
    async def take_out(id_: str, file_id: str) -> dict[str, Any]:
        library().collections[id_]["files"].remove(file_id)
        return {"id": file_id, "deleted": True}


def fill_library(library: FakeLibrary) -> None:
    library.collections = {
        "vs_1": collection("vs_1", "Harbour papers", ["doc-1", "doc-2", "doc-3"], readers=["bob"]),
        "vs_2": collection("vs_2", "Town archive", ["x1", "x2"], mine=False, owner="carol"),
    }
