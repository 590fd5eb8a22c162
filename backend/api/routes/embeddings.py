"""POST /v1/embeddings."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.models.errors import InvalidRequest
from backend.models.schemas import EmbeddingRequest

router = APIRouter(tags=["embeddings"])

MAX_INPUTS = 2048


@router.post("/v1/embeddings", openapi_extra=json_body(EmbeddingRequest), response_model=None)
async def create_embeddings(request: Request, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Vectors of the texts, in their order, with the server's own embedder."""
    body = await read_json(request, EmbeddingRequest)
    texts = _texts(body)
    embedding = await services.embedding.embed(body.model, texts, body.dimensions)
    rows: list[Any]
    if body.encoding_format == "base64":
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in embedding.vectors]
    else:
        rows = embedding.vectors.tolist()
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": embedding.model,
        "usage": {"prompt_tokens": embedding.tokens, "total_tokens": embedding.tokens},
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _texts(body: EmbeddingRequest) -> list[str]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts or len(texts) > MAX_INPUTS:
        raise InvalidRequest(f"input must hold 1 to {MAX_INPUTS} texts.", param="input", code="invalid_value")
    out: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise InvalidRequest(
                "input must be text: this server cannot decode token ids (in LangChain set"
                " check_embedding_ctx_length=False).",
                param="input",
                code="invalid_value",
            )
        if not text:
            raise InvalidRequest("input must not hold an empty text.", param="input", code="invalid_value")
        out.append(text)
    return out
