"""POST /v1/chat/completions, and the routing decision alone."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.chat_messages import messages_of
from backend.api.chat_request import question_of
from backend.api.deps import AdmittedOwner, CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.api.openai_body import CompletionBody, chat_completion
from backend.api.openai_stream import ChatChunks, Head, ScoredChunks, SeveralChunks
from backend.api.sse import Encoder, EventStream, answer_unless_gone
from backend.api.stored_completions import Save, as_kept, keeping, kept_or_told, messages_kept
from backend.bootstrap import Services
from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.models.schemas import ChatCompletionRequest, RouteRequest
from backend.tasks.answering import Answer, Question

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatCompletionRequest), tags=["chat"], response_model=None)
async def create_chat_completion(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """One answer to a list of messages, or `n` of them; streamed when `stream` is true."""
    body = await read_json(request, ChatCompletionRequest)
    question = question_of(body)
    request_id: str = request.scope["request_id"]
    answer = await services.answering.prepare(owner, question, request_id, base_url_of(request))
    headers = {"x-run-id": answer.context.run_id}
    if answer.context.session_id is not None:
        headers["x-session-id"] = answer.context.session_id
    head = Head(answer.model)
    whole = CompletionBody(answer.context, head, question.n, older_calls=bool(body.functions))
    save = _save(services, owner, body, request_id) if body.store is True else None
    if body.stream:
        events = answer.events if save is None else keeping(answer.events, whole, save)
        return EventStream(events, _encoder(body, question, answer, head), headers)
    done = await answer_unless_gone(request, lambda: chat_completion(answer.events, whole))
    if save is not None and done is not None:
        await kept_or_told(done, save)
    return Response(orjson.dumps(done), 200, headers, "application/json")


def _encoder(body: ChatCompletionRequest, question: Question, answer: Answer, head: Head) -> Encoder:
    """What writes this request's stream; the one for a single answer without more is the cheapest."""
    kind = ChatChunks if question.logprobs is None else ScoredChunks
    choices = [
        kind(
            answer.context,
            answer.model,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
            head=head,
            index=index,
            older_calls=bool(body.functions),
        )
        for index in range(question.n)
    ]
    return choices[0] if len(choices) == 1 else SeveralChunks(choices)


def _save(services: Services, owner: Owner, body: ChatCompletionRequest, request_id: str) -> Save:
    async def save(completion: dict[str, Any]) -> None:
        kept = as_kept(completion, body, request_id)
        await services.stores.completions.save(owner, kept, messages_kept(body.messages))
        session_id = kept["session_id"]
        if session_id is None:
            return
        try:
            await services.stores.conversations.info(owner, session_id)
        except NotFound:
            # Its conversation was deleted while it was answered, with all that repeats what was said there.
            await services.stores.completions.delete_of_session(owner, session_id)

    return save


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
