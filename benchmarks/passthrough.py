"""The yardstick: a plain FastAPI + httpx server that turns Ollama's stream into OpenAI chunks, and no more."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=None, limits=limits) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/chat/completions")
async def chat(body: dict[str, Any]) -> StreamingResponse:
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time())}

    async def chunks() -> AsyncIterator[str]:
        upstream = {"model": body["model"], "messages": body["messages"], "stream": True}
        async with app.state.client.stream("POST", "/api/chat", json=upstream) as answer:
            async for text in answer.aiter_lines():
                part = json.loads(text)
                delta = {} if part["done"] else {"content": part["message"]["content"]}
                choice = {"index": 0, "delta": delta, "finish_reason": "stop" if part["done"] else None}
                yield f"data: {json.dumps({**head, 'model': body['model'], 'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")
