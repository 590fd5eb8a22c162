"""Anthropic's Messages API over the same tasks as chat completions."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.anthropic_request import conversation_in, own_tools, question_of, shows_thinking
from backend.api.anthropic_stream import MessageEvents, Shown, Thinking, message_body
from backend.api.deps import AdmittedOwner, CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.api.sse import EventStream, answer_unless_gone
from backend.models.schemas_anthropic import CountTokensRequest, MessagesRequest
from backend.tasks.token_estimate import estimated_tokens

router = APIRouter(tags=["anthropic"])


@router.post("/v1/messages", openapi_extra=json_body(MessagesRequest), response_model=None)
async def create_message(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """One answer to a list of messages, in Anthropic's form; streamed when `stream` is true."""
    body = await read_json(request, MessagesRequest)
    question, tools = question_of(body, services.registry.of(owner))
    request_id: str = request.scope["request_id"]
    answer = await services.answering.prepare(owner, question, request_id, base_url_of(request))
    headers = {"request-id": request_id, "x-run-id": answer.context.run_id}
    if answer.context.session_id is not None:
        headers["x-session-id"] = answer.context.session_id
    shown = Shown(
        answer.context,
        answer.model,
        estimated_tokens(question.messages, question.tools),
        _thinking(body),
        tools.server,
    )
    if body.stream:
        return EventStream(answer.events, MessageEvents(shown), headers)
    done = await answer_unless_gone(request, lambda: message_body(answer.events, shown))
    return Response(orjson.dumps(done), 200, headers, "application/json")


@router.post("/v1/messages/count_tokens", openapi_extra=json_body(CountTokensRequest))
async def count_tokens(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """About how many tokens a message's prompt would be; nothing is run."""
    body = await read_json(request, CountTokensRequest)
    conversation = conversation_in(body)
    await services.catalog.resolve(body.model)
    return {"input_tokens": estimated_tokens(conversation.messages, own_tools(body))}


def _thinking(body: MessagesRequest) -> Thinking:
    if body.thinking is None or not shows_thinking(body.thinking):
        return "none"
    return "omitted" if body.thinking.display == "omitted" else "shown"
