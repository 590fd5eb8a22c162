"""/v1/responses: made, streamed, kept, followed, cancelled."""

from __future__ import annotations

import time
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from backend.api.deps import AdmittedOwner, CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.api.item_pages import After, PageLimit, page_of_items
from backend.api.lists import Order
from backend.api.pictures import stored_pictures
from backend.api.responses_items import input_items
from backend.api.responses_request import ResponsePlan, events_named_as_here, named_as_here, plan_of
from backend.api.responses_stream import ResponseEvents
from backend.api.responses_tools import server_tools
from backend.api.sse import EventStream, FrameStream, answer_unless_gone
from backend.bootstrap import Services
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner, RunContext
from backend.models.schemas_item_conversations import CompactRequest, InputTokensRequest
from backend.models.schemas_responses import ResponseRequest
from backend.tasks.compaction import compacted, sealed
from backend.tasks.live_runs import encoded
from backend.tasks.response_history import Past
from backend.tasks.response_runs import ResponseRun
from backend.tasks.responses import Asked
from backend.tasks.token_estimate import estimated_tokens
from backend.utils.ids import new_id

router = APIRouter(prefix="/v1/responses", tags=["responses"])

DEFAULT_MODEL = "hearth"


@router.post("", openapi_extra=json_body(ResponseRequest), response_class=JSONResponse)
async def create_response(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """One response to the input and all that came before it; streamed when `stream` is true, and made while nobody
    waits when `background` is."""
    body = await read_json(request, ResponseRequest)
    past, plan = await _understood(services, owner, body)

    def render(response_id: str, context: RunContext, model: str, created_at: int) -> ResponseEvents:
        return ResponseEvents(response_id, context, model, plan, created_at)

    asked = Asked(owner, plan.question, past, render, body.stored, request.scope["request_id"], base_url_of(request))
    with named_as_here():
        if body.background:
            first, log = await services.responses.start(asked)
            return FrameStream(log.follow(-1)) if body.stream else _json(first)
        run = await services.responses.run(asked)
    headers = _headers(run)
    if body.stream:
        return EventStream(events_named_as_here(run.events()), run, headers)
    with named_as_here():
        return _json(await answer_unless_gone(request, run.whole), headers)


@router.post("/input_tokens", openapi_extra=json_body(InputTokensRequest))
async def count_input_tokens(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """About how many tokens the input of a request would be: local models have nobody to ask exactly."""
    asked = await read_json(request, InputTokensRequest)
    if asked.model is not None:
        await services.catalog.resolve(str(asked.model))
    body = asked.model_copy(update={"model": asked.model or DEFAULT_MODEL})
    _, plan = await _understood(services, owner, body)
    tokens = estimated_tokens(plan.question.messages, plan.question.tools)
    return {"object": "response.input_tokens", "input_tokens": tokens}


@router.post("/compact", openapi_extra=json_body(CompactRequest))
async def compact(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """A long conversation made short: all that the user said, and a summary of the rest as one item."""
    asked = await read_json(request, CompactRequest)
    body = ResponseRequest.model_validate({**asked.model_dump(), "model": asked.model or DEFAULT_MODEL})
    past, plan = await _understood(services, owner, body)
    said = [*past.earlier, *past.items]
    done = await answer_unless_gone(
        request, lambda: compacted(services.answering, owner, plan.question, request.scope["request_id"])
    )
    if done is None:
        return Response()
    summary = {"id": new_id("cmp_"), "type": "compaction", "encrypted_content": sealed(done.summary)}
    return _json(
        {
            "id": new_id("resp_"),
            "object": "response.compaction",
            "created_at": int(time.time()),
            "output": [*(item for item in said if item.get("role") == "user"), summary],
            "usage": {
                "input_tokens": done.input_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": done.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": done.input_tokens + done.output_tokens,
            },
        }
    )


@router.get("/{response_id}", response_class=JSONResponse)
async def get_response(
    response_id: str,
    owner: CurrentOwner,
    services: ServicesDep,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The Response as far as it has come; with `stream` its events, from those after number `starting_after` on."""
    if stream:
        after = -1 if starting_after is None else starting_after
        return FrameStream(await services.responses.events(owner, response_id, after))
    return _json(await services.responses.get(owner, response_id))


@router.delete("/{response_id}")
async def delete_response(response_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Remove the response with its input and its events; one that is being made is stopped first."""
    await services.responses.delete(owner, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/{response_id}/cancel", response_class=JSONResponse)
async def cancel_response(response_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Stop a background response: model and tools end within a second."""
    return _json(await services.responses.cancel(owner, response_id))


@router.get("/{response_id}/input_items", response_class=JSONResponse)
async def list_input_items(
    response_id: str,
    owner: CurrentOwner,
    services: ServicesDep,
    limit: PageLimit = 20,
    order: Order = "desc",
    after: After = None,
) -> Response:
    """One page of the items of the request itself, newest first unless `order` is `asc`."""
    return _json(page_of_items(await services.responses.input_items(owner, response_id), limit, order, after))


async def _understood(services: Services, owner: Owner, body: ResponseRequest) -> tuple[Past, ResponsePlan]:
    """What the request builds on, and what it asks for. Raises what is wrong with it."""
    items = input_items(body)
    past = await services.responses.past(owner, items, body.previous_response_id, body.conversation_id)
    offered = await server_tools(services.registry, owner, body)
    pictures = await stored_pictures(services.stores.documents, owner, [*past.earlier, *past.items])
    plan = plan_of(body, past.earlier, past.items, offered=offered, pictures=pictures)
    await _check_tools(services, owner, body, plan)
    return past, plan


async def _check_tools(services: Services, owner: Owner, body: ResponseRequest, plan: ResponsePlan) -> None:
    """Raises NotFound, or InvalidRequest for an expired vector store, naming the declaration."""
    places = {tool.get("type"): n for n, tool in enumerate(body.tools or ())}
    if plan.collections:
        try:
            await services.collections.resolve(owner, plan.collections)
        except (InvalidRequest, NotFound) as error:
            error.param = f"tools[{places['file_search']}].vector_store_ids"
            raise
    if plan.files:
        there = await services.stores.documents.get_many(owner, plan.files)
        if plan.files - there.keys():
            raise NotFound(
                "There is no file with this id: upload it first.",
                param=f"tools[{places['code_interpreter']}].container.file_ids",
            )


def _headers(run: ResponseRun) -> dict[str, str]:
    headers = {"x-run-id": run.context.run_id}
    if run.context.session_id is not None:
        headers["x-session-id"] = run.context.session_id
    return headers


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(value) if value is not None else orjson.dumps(None), 200, headers, "application/json")
