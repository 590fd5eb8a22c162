"""POST /v1/completions: the older text completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.completions_request import asked_in
from backend.api.completions_stream import CompletionChunks, completion_body
from backend.api.deps import AdmittedOwner, ServicesDep, json_body, read_json
from backend.api.sse import EventStream, answer_unless_gone
from backend.models.messages import Event
from backend.models.schemas_completions import CompletionRequest
from backend.tasks.choices import side_by_side

router = APIRouter(tags=["completions"])

AT_ONCE = 4
"""Answers of one request that are written at the same time."""


@router.post("/v1/completions", openapi_extra=json_body(CompletionRequest), response_model=None)
async def create_completion(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """The continuation of one or several prompts; streamed when `stream` is true."""
    body = await read_json(request, CompletionRequest)
    asked = asked_in(body)
    request_id: str = request.scope["request_id"]
    answers = [await services.answering.prepare(owner, each, request_id) for each in asked.questions]
    model, events = answers[0].model, answers[0].events
    if len(answers) > 1:
        gate = asyncio.Semaphore(AT_ONCE)
        events = side_by_side([_in_turn(answer.events, gate) for answer in answers])
    if body.stream:
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(events, CompletionChunks(model, asked.echoes, include_usage=include_usage), {})
    scored = body.logprobs is not None
    done = await answer_unless_gone(request, lambda: completion_body(events, model, asked.echoes, scored=scored))
    return Response(orjson.dumps(done), 200, media_type="application/json")


async def _in_turn(events: AsyncGenerator[Event, None], gate: asyncio.Semaphore) -> AsyncGenerator[Event, None]:
    """The same events, begun when a place at the gate is free and holding it until they end."""
    async with gate, aclosing(events):
        async for event in events:
            yield event
