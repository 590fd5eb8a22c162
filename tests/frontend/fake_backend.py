"""A small stand-in for the backend, for the page's tests only: the same routes, scripted answers, memory for a store.

`python -m tests.frontend.fake_backend [port]` serves the page with it, to look at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.frontend import scripts
from tests.frontend.fake_library import PAGES, FakeLibrary, fill_library, library_routes, page_of
from tests.frontend.fake_runs import FakeRuns, fill_runs, run_routes
from tests.frontend.fake_tools import FakeTools, fitting, tool_routes

FRONTEND = Path(__file__).resolve().parents[2] / "frontend"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; frame-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
USER = {"id": "u1", "username": "ada", "role": "user"}
PASSWORD = "correct horse"


@dataclass
class Fake:
    """What the fake knows and what tests may turn: `tokens` accepted, `pace` seconds between chunks."""

    tokens: set[str] = field(default_factory=set)
    pace: float = 0.0
    health: dict[str, Any] = field(
        default_factory=lambda: {
            "status": "ok",
            "version": "0.1.0",
            "model": "llama3.2:3b",
            "provider": "ollama",
            "message": None,
        }
    )
    conversations: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: FakeRuns = field(default_factory=FakeRuns)
    tools: FakeTools = field(default_factory=FakeTools)
    library: FakeLibrary = field(default_factory=FakeLibrary)
    asked: list[dict[str, Any]] = field(default_factory=list)
    cancelled: int = 0
    refreshes: int = 0
    logins: int = 0


def error(status: int, message: str, **headers: str) -> JSONResponse:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    return JSONResponse(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def create_fake(fake: Fake) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        path = request.url.path
        private = path.startswith(("/api/", "/v1/")) and path not in ("/api/auth/login", "/api/auth/refresh")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if private and token not in fake.tokens:
            response: Response = error(401, "Your session has ended. Sign in again.")
        else:
            response = await call_next(request)
        response.headers["content-security-policy"] = CSP
        response.headers["x-content-type-options"] = "nosniff"
        return response

    add_account_routes(app, fake)
    add_conversation_routes(app, fake)
    add_document_routes(app, fake)
    app.include_router(run_routes(lambda: fake.runs))
    app.include_router(tool_routes(lambda: fake.tools))
    app.include_router(library_routes(lambda: fake.library))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return fake.health

    @app.get("/config.json")
    async def config() -> dict[str, str]:
        return {"backend": ""}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        ids = ["hearth", "hearth-chat", "hearth-react", "hearth-plan", "llama3.2:3b", "gpt-oss:20b", "hearth-builtin"]
        return {
            "object": "list",
            "data": [
                *({"id": id_, "object": "model", "created": 0, "owned_by": "hearth"} for id_ in ids),
                {"id": "all-MiniLM-L6-v2", "object": "model", "created": 0, "hearth": {"kind": "embedding"}},
            ],
        }

    @app.post("/v1/chat/completions")
    async def chat(body: dict[str, Any]) -> Response:
        return answer(fake, body)

    @app.get("/files/{file_id}/view")
    async def view(file_id: str) -> Response:
        return FileResponse(FRONTEND / "index.html")

    @app.get("/{path:path}")
    async def page(path: str) -> Response:
        file = (FRONTEND / (path or "index.html")).resolve()
        if not file.is_relative_to(FRONTEND) or not file.is_file():
            return error(404, "There is no such page.")
        return FileResponse(file)

    return app


def add_account_routes(app: FastAPI, fake: Fake) -> None:
    def pair() -> dict[str, Any]:
        token = f"access-{len(fake.tokens)}-{time.monotonic_ns()}"
        fake.tokens.add(token)
        return {"access_token": token, "token_type": "bearer", "expires_in": 86400, "refresh_token": f"r-{token}"}

    @app.post("/api/auth/login")
    async def login(body: dict[str, str]) -> Any:
        fake.logins += 1
        if body["username"] == "busy":
            return error(429, "Too many attempts.", retry_after="30")
        if (body["username"], body["password"]) != (USER["username"], PASSWORD):
            return error(401, "User name or password is wrong. Check both and try again.")
        return {**pair(), "user": USER}

    @app.get("/api/auth/me")
    async def me() -> dict[str, str]:
        return USER

    @app.post("/api/auth/refresh")
    async def refresh(body: dict[str, str]) -> Any:
        fake.refreshes += 1
        return error(404, "There is no such route.")

    @app.post("/api/auth/logout")
    async def logout(request: Request) -> Response:
        fake.tokens.clear()
        return Response(status_code=204)


def add_conversation_routes(app: FastAPI, fake: Fake) -> None:
    @app.get("/api/conversations")
    async def conversations(page: int = 1, limit: int = 50, q: str = "") -> dict[str, Any]:
        found = [each for each in fake.conversations.values() if q.lower() in json.dumps(each).lower()]
        found.sort(key=lambda each: -each["updated_at"])
        rows = [{**each, "messages": len(each["messages"])} for each in found[(page - 1) * limit : page * limit]]
        return {"conversations": rows, "page": page, "limit": limit, "total": len(found)}

    @app.get("/api/conversations/{session_id}")
    async def conversation(session_id: str) -> Any:
        return fake.conversations.get(session_id) or error(404, "There is no such conversation.")

    @app.patch("/api/conversations/{session_id}")
    async def change(session_id: str, body: dict[str, Any]) -> dict[str, Any]:
        fake.conversations[session_id] |= body
        return fake.conversations[session_id]

    @app.delete("/api/conversations/{session_id}")
    async def remove(session_id: str) -> Response:
        del fake.conversations[session_id]
        return Response(status_code=204)

    @app.get("/api/conversations/{session_id}/export")
    async def export(session_id: str, format: str = "json") -> Response:
        stored = fake.conversations[session_id]
        return PlainTextResponse(f"# {stored['title']}\n") if format == "markdown" else JSONResponse(stored)


def add_document_routes(app: FastAPI, fake: Fake) -> None:
    @app.post("/api/files/upload", status_code=201)
    async def upload(file: UploadFile) -> Any:
        name = file.filename or "document"
        if name.endswith(".exe"):
            return error(415, "This kind of file cannot be read. Use PDF, Word, text, Markdown, HTML, JSON or CSV.")
        data = await file.read()
        id_ = f"file-{len(fake.documents) + 1}"
        fake.documents[id_] = document(id_, name, len(data), "uploaded")
        return {key: fake.documents[id_][key] for key in ("file_id", "doc_id", "filename", "size", "status")}

    @app.get("/api/files/documents")
    async def documents(page: int = 1, limit: int = 50) -> dict[str, Any]:
        items = sorted(fake.documents.values(), key=lambda each: -each["created_at"])
        return {"documents": items, "page": page, "limit": limit, "total": len(items)}

    @app.get("/api/files/documents/{file_id}/events")
    async def events(file_id: str) -> Response:
        async def progress() -> AsyncIterator[bytes]:
            item = fake.documents[file_id]
            for share in (0.0, 0.35, 0.7):
                item |= {"status": "processing", "progress": share}
                yield scripts.frame({key: item[key] for key in ("status", "progress", "chunks", "pages", "error")})
                await asyncio.sleep(fake.pace * 8)
            if item["filename"].startswith("broken"):
                item |= {"status": "failed", "error": "The file is damaged. Save it again and upload it anew."}
            else:
                item |= {"status": "ready", "progress": 1.0, "chunks": 87, "pages": 32}
            if item["filename"].startswith("partly"):
                item["note"] = "Pages 3 to 5 <img src=x onerror=alert(1)> hold only pictures and cannot be searched."
            yield scripts.frame({key: item[key] for key in ("status", "progress", "chunks", "pages", "error", "note")})

        return StreamingResponse(progress(), media_type="text/event-stream")

    @app.delete("/api/files/documents/{file_id}")
    async def remove(file_id: str) -> Response:
        fake.documents.pop(file_id, None)
        return Response(status_code=204)

    @app.get("/api/files/documents/{file_id}/content")
    async def content(file_id: str) -> Response:
        return Response(b"%PDF-1.4 fake", media_type="application/pdf")

    @app.get("/api/files/documents/{file_id}/pages/{number}")
    async def page(file_id: str, number: int) -> Any:
        if file_id not in fake.documents:
            return error(404, "There is no such document.")
        return page_of(file_id, fake.documents[file_id]["filename"], number)


def document(id_: str, name: str, size: int, status: str, **extra: Any) -> dict[str, Any]:
    return {
        "file_id": id_,
        "doc_id": id_,
        "filename": name,
        "size": size,
        "content_type": "application/pdf",
        "status": status,
        "chunks": 0,
        "pages": None,
        "progress": 0.0,
        "error": None,
        "note": None,
        "created_at": time.time(),
        **extra,
    }


def answer(fake: Fake, body: dict[str, Any]) -> Response:
    """Streams the script that the last question names, and remembers the exchange."""
    fake.asked.append(body)
    question = body["messages"][-1]["content"]
    if question.startswith("refuse"):
        return error(503, "The model is busy.", retry_after="7")
    if not set(body.get("collections", [])) <= set(fake.library.collections):
        return error(404, "There is no vector store with this id.")
    session_id = body.get("session_id") or f"session-{len(fake.conversations) + 1}"
    now = time.time()
    stored = fake.conversations.setdefault(
        session_id,
        {"session_id": session_id, "title": question[:60], "created_at": now, "updated_at": now, "messages": []},
    )
    stored["updated_at"] = now
    stored["messages"].append({"role": "user", "content": question, "timestamp": now})

    async def stream() -> AsyncIterator[bytes]:
        reply: dict[str, Any] = {"role": "assistant", "content": "", "timestamp": time.time(), "model": body["model"]}
        reply["run_id"] = "run_1"
        if "collections" in body:
            stored["collections"] = body["collections"]
        try:
            told = fitting(question, body.get("confirmed_tools", []))
            async for chunk in scripts.chunks(question, session_id, reply, fake.pace, told):
                yield chunk
        except asyncio.CancelledError:
            fake.cancelled += 1
            reply["partial"] = True
            raise
        finally:
            stored["messages"].append(reply)

    headers = {"x-session-id": session_id, "x-run-id": "run_1", "x-request-id": "req_1"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def fill(fake: Fake) -> None:
    """Something to look at: conversations of several ages and documents in every state."""
    titles = [
        ("Notice periods in the staff handbook", 0.01),
        ("Roots of x² − 5x + 6", 0.1),
        ("Sales by city, first quarter", 1.1),
        ("How FAISS stores vectors", 3),
        ("Translate the welcome letter into Norwegian", 5),
        ("A name for the allotment newsletter", 20),
        ("Why is the sky blue, but sunsets red?", 60),
    ]
    for number, (title, days) in enumerate(titles):
        then = time.time() - days * 86400
        fake.conversations[f"old-{number}"] = {
            "session_id": f"old-{number}",
            "title": title,
            "created_at": then,
            "updated_at": then,
            "messages": [
                {"role": "user", "content": title, "timestamp": then},
                {"role": "assistant", "content": "Earlier **answer**.", "timestamp": then, "model": "llama3.2:3b"},
            ],
        }
    fill_runs(fake.runs)
    now = time.time()
    fake.documents |= {
        "doc-1": document("doc-1", "staff-handbook.pdf", 1_240_000, "ready", chunks=87, pages=32, created_at=now - 60),
        "doc-2": document("doc-2", "Sales 2026 Q1.csv", 48_200, "ready", chunks=12, created_at=now - 90),
        "doc-3": document(
            "doc-3",
            "measurements-2026.xlsx",
            3_100_000,
            "ready",
            chunks=40,
            note="The sheet “Raw data” became no table: it has more than 200 columns. Its text can be searched.",
            created_at=now - 200,
        ),
        "doc-4": document(
            "doc-4",
            "scan-of-contract.pdf",
            8_400_000,
            "failed",
            error="The file is encrypted. Save it without a password and upload it again.",
            created_at=now - 300,
        ),
    }
    for number, (id_, page) in enumerate(PAGES.items()):
        about = {"pages": page["pages"], "unit": page.get("unit", "page"), "created_at": now - 400 - number}
        fake.documents[id_] = document(id_, page["filename"], 2_000, "ready", chunks=3, **about)
    fill_library(fake.library)


if __name__ == "__main__":
    import uvicorn

    shown = Fake(pace=0.03)
    fill(shown)
    uvicorn.run(create_fake(shown), port=int(sys.argv[1]) if len(sys.argv) > 1 else 8123, log_level="warning")
