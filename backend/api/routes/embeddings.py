"""POST /v1/embeddings."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.deps import AdmittedOwner, ServicesDep, json_body, read_json
from backend.api.sse import answer_unless_gone
from backend.models.errors import InvalidRequest
from backend.models.schemas import EmbeddingRequest
from backend.tasks.embedding_task import Embeddings

router = APIRouter(tags=["embeddings"])

MAX_INPUTS = 2_048
BODY_TIMES = 8
"""How many times MAX_BODY_KB a body may have: clients send a thousand passages of a thousand characters at once."""
ROWS_AT_ONCE = 16
"""More rows than these are written in a thread."""


@router.post("/v1/embeddings", openapi_extra=json_body(EmbeddingRequest), response_model=None)
async def create_embeddings(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """Vectors of the texts, in their order, by the server's own embedder or an embedding model of Ollama."""
    body = await read_json(request, EmbeddingRequest, BODY_TIMES)
    texts = _texts(body.input)

    async def answer() -> bytes:
        made = await services.embedding.embed(owner, body.model, texts, body.dimensions)
        as_text = body.encoding_format == "base64"
        if len(texts) <= ROWS_AT_ONCE:
            return encoded(made, as_text=as_text)
        return await asyncio.to_thread(encoded, made, as_text=as_text)

    return Response(await answer_unless_gone(request, answer), media_type="application/json")


def encoded(made: Embeddings, *, as_text: bool) -> bytes:
    """The answer as JSON. Vectors are lists of numbers, or (`as_text`) base64 of little-endian float32.

    Row by row, because the interpreter is held while a piece is written.
    """
    rows = b",".join(
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, _row(vector, as_text=as_text))
        for index, vector in enumerate(made.vectors)
    )
    usage = {"prompt_tokens": made.tokens, "total_tokens": made.tokens}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (
        rows,
        orjson.dumps(made.model),
        orjson.dumps(usage),
    )


def _row(vector: Any, *, as_text: bool) -> bytes:
    if as_text:
        return b'"%b"' % base64.b64encode(vector.astype("<f4").tobytes())
    # Numbers of float32 in their shortest form: half the size of the same numbers as doubles.
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)


def _texts(value: Any) -> list[str]:
    """Raises InvalidRequest unless the input is one text or a list of texts, none of them empty."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise _refused("must be a text or a list of texts")
    if _is_tokens(texts) or all(isinstance(each, list) and _is_tokens(each) for each in texts):
        raise _refused(
            "must be text: this server cannot decode token ids (in LangChain set check_embedding_ctx_length=False)"
        )
    if len(texts) > MAX_INPUTS:
        raise _refused(f"has {len(texts)} texts, but a request may have {MAX_INPUTS}: send several requests")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise _refused(f"must hold texts only, which item {position} is not")
        if not text:
            raise _refused(
                "must not hold an empty text" + ("" if isinstance(value, str) else f", as item {position} is")
            )
    return texts


def _is_tokens(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(each, int) for each in value)


def _refused(what: str) -> InvalidRequest:
    return InvalidRequest(f"input {what}.", param="input", code="invalid_value")
