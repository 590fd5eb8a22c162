"""POST /v1/chat/completions, and the routing decision alone."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.chat_request import messages_of, question_of
from backend.api.deps import CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.api.openai_stream import ChatChunks, chat_completion
from backend.api.sse import EventStream, answer_unless_gone
from backend.models.schemas import ChatCompletionRequest, RouteRequest
from backend.tasks.answering import Question

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatCompletionRequest), tags=["chat"], response_model=None)
async def create_chat_completion(request: Request, owner: CurrentOwner, services: ServicesDep) -> Response:
    """One answer to a list of messages; streamed when `stream` is true."""
    body = await read_json(request, ChatCompletionRequest)
    question = question_of(body)
    request_id: str = request.scope["request_id"]
    answer = await services.answering.prepare(owner, question, request_id, base_url_of(request))
    headers = {"x-run-id": answer.context.run_id}
    if answer.context.session_id is not None:
        headers["x-session-id"] = answer.context.session_id
    if body.stream:
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        encoder = ChatChunks(answer.context, answer.model, include_usage=include_usage)
        return EventStream(answer.events, encoder, headers)
    done = await answer_unless_gone(request, lambda: chat_completion(answer.events, answer.context, answer.model))
    return Response(orjson.dumps(done), 200, headers, "application/json")


@router.post("/api/route", openapi_extra=json_body(RouteRequest), tags=["chat"])
async def choose_route(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Which task and agent would answer these messages. Nothing is run."""
    body = await read_json(request, RouteRequest)
    question = Question(body.model or "hearth", messages_of(body.messages))
    route = await services.answering.decide(owner, question, request.scope["request_id"])
    return {
        "task": route.task,
        "agent": route.agent,
        "reason": route.reason,
        "confidence": route.confidence,
        "seconds": route.seconds,
    }
