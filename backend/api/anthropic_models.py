"""The list of models as Anthropic's clients read it; they are known by their version header."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from backend.llm.port import ModelInfo


def asks_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers


def anthropic_model(model: ModelInfo, created: int) -> dict[str, Any]:
    """`created` in seconds since the epoch."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
        "max_tokens": model.context_length,
    }


def anthropic_models(models: Iterable[dict[str, Any]], after_id: str | None) -> dict[str, Any]:
    """One page with everything; `after_id` as a client that pages on sends it."""
    data = list(models)
    place = next((n for n, model in enumerate(data) if model["id"] == after_id), None)
    data = data if place is None else data[place + 1 :]
    ids = [model["id"] for model in data]
    return {
        "data": data,
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
