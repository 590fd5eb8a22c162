"""GET /v1/models and one of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from backend.api.deps import CurrentOwner, ServicesDep
from backend.llm.port import ModelInfo
from backend.models.errors import ModelNotFound

router = APIRouter(tags=["models"])


def as_openai(model: ModelInfo) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}


@router.get("/v1/models")
async def list_models(owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """The agent models first, then every model that can be asked now."""
    models = await services.catalog.list_models()
    return {"object": "list", "data": [as_openai(model) for model in models]}


@router.get("/v1/models/{model_id:path}")
async def get_model(model_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """One model; ids may hold `/` and `:`."""
    for model in await services.catalog.list_models():
        if model.id in (model_id, f"{model_id}:latest"):
            return as_openai(model)
    raise ModelNotFound(f"The model {model_id[:100]!r} does not exist here.", param="model")
