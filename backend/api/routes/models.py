"""GET /v1/models and one of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from backend.api.anthropic_models import anthropic_model, anthropic_models, asks_anthropic
from backend.api.deps import CurrentOwner, ServicesDep
from backend.bootstrap import Services
from backend.llm.port import ModelInfo
from backend.models.errors import ModelNotFound
from backend.tasks.model_catalog import EMBEDDING_ALIASES

router = APIRouter(tags=["models"])

RELEASED = 1_767_225_600
"""`created` of models that tell no time, in seconds: clients sort by it and show it as a date."""


def as_openai(model: ModelInfo) -> dict[str, Any]:
    """What every client reads, and under `hearth` what helps to choose: what a model can, and its window in tokens."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created or RELEASED,
        "owned_by": model.owned_by,
        "hearth": {
            "kind": "chat" if "completion" in model.capabilities else "embedding",
            "capabilities": sorted(model.capabilities),
            "context_length": model.context_length,
        },
    }


def as_anthropic(model: ModelInfo) -> dict[str, Any]:
    return anthropic_model(model, model.created or RELEASED)


@router.get("/v1/models")
async def list_models(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """The agent models first, then every model that can be asked now; those that make embeddings come last."""
    models = await _all(services)
    if asks_anthropic(request):
        chat = [as_anthropic(model) for model in models if "completion" in model.capabilities]
        return anthropic_models(chat, request.query_params.get("after_id"))
    return {"object": "list", "data": [as_openai(model) for model in models]}


@router.get("/v1/models/{model_id:path}")
async def get_model(model_id: str, request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """One model; ids may hold `/` and `:`, and without a tag `:latest` is meant.

    The names under which the server's own embedder may be asked for are found as well.
    """
    names = {model_id.lower(), f"{model_id}:latest".lower()}
    for model in await _all(services):
        if model.id.lower() in names:
            return as_anthropic(model) if asks_anthropic(request) else as_openai(model)
    if model_id.lower() in EMBEDDING_ALIASES:
        own, *_ = await services.embedding.list_models()
        return as_openai(replace(own, id=model_id.lower()))
    raise ModelNotFound(
        f"The model {model_id[:100]!r} does not exist here: GET /v1/models lists those that do.", param="model"
    )


async def _all(services: Services) -> list[ModelInfo]:
    """Each id once: a model that can chat and make embeddings stands among those that chat."""
    chat, embedding = await asyncio.gather(services.catalog.list_models(), services.embedding.list_models())
    found: dict[str, ModelInfo] = {}
    for model in [*chat, *embedding]:
        found.setdefault(model.id, model)
    return [*found.values()]
