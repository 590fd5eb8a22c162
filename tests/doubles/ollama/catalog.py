"""Models as things: tags, show, ps, pull, delete, copy; and embed, which needs nothing more."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import time
from typing import Any

from tests.doubles.ollama import decoding, embeddings, tokens, wire
from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.faults import Faults, send_object
from tests.doubles.ollama.records import ModelRecord, full_name, short_name
from tests.doubles.ollama.shaping import LineStream
from tests.doubles.ollama.state import Context
from tests.doubles.ollama.validation import EmbedCall, read_embed

_NO_MANIFEST = "pull model manifest: file does not exist"


async def version(context: Context, faults: Faults) -> None:
    await send_object(context.exchange, faults, 200, {"version": context.double.config.version})


async def tags(context: Context, faults: Faults) -> None:
    profile = context.double.profile
    models = [record.as_tag(profile) for record in context.double.installed]
    await send_object(context.exchange, faults, 200, {"models": models})


async def show(context: Context, faults: Faults) -> None:
    body = decoding.read_body(context.request.body, decoding.NAMED, "ShowRequest")
    record = _named(context, body)
    value = record.as_show(context.double.profile, verbose=bool(body.get("verbose")))
    await send_object(context.exchange, faults, 200, value)


def _named(context: Context, body: dict[str, Any]) -> ModelRecord:
    name = body.get("model") or body.get("name") or ""
    if not name:
        raise ApiError(400, "model is required")
    record = context.double.installed.find(name)
    if record is None:
        raise ApiError(404, f"model '{name}' not found")
    return record


async def ps(context: Context, faults: Faults) -> None:
    loaded = sorted(context.double.scheduler.loaded.values(), key=lambda entry: -entry.expires_at)
    models = []
    for entry in loaded:
        record = entry.record
        described: dict[str, Any] = {
            "name": record.name,
            "model": record.name,
            "size": record.size,
            "digest": record.digest,
            "details": record.details(),
            "expires_at": wire.local_time(entry.expires_at),
            "size_vram": 0,
        }
        if context.double.profile.shows_loaded_context:
            described["context_length"] = entry.num_ctx
        models.append(described)
    await send_object(context.exchange, faults, 200, {"models": models})


async def delete(context: Context, faults: Faults) -> None:
    body = decoding.read_body(context.request.body, decoding.NAMED, "DeleteRequest")
    record = _named(context, body)
    context.double.installed.remove(record)
    context.double.scheduler.unload(record)
    await context.exchange.send(200)


async def copy(context: Context, faults: Faults) -> None:
    body = decoding.read_body(context.request.body, decoding.NAMED, "CopyRequest")
    source, destination = body.get("source", ""), body.get("destination", "")
    if full_name(source) is None or full_name(destination) is None:
        wrong = "source" if full_name(source) is None else "destination"
        raise ApiError(400, f'{wrong} "{body.get(wrong, "")}" is invalid')
    record = context.double.installed.find(source)
    if record is None:
        raise ApiError(404, f'model "{source}" not found')
    context.double.installed.add(dataclasses.replace(record, name=short_name(destination), modified_at=time.time()))
    await context.exchange.send(200)


def _pull_lines(name: str, size: int) -> list[dict[str, Any]]:
    """The progress of two layers that interleave; the first report of each has no `completed`."""
    lines: list[dict[str, Any]] = []
    layers = [(hashlib.sha256(f"{name}{n}".encode()).hexdigest(), total) for n, total in enumerate((size, 1429))]
    for step in (0, 1, 2, 2, 4):
        for digest, total in layers:
            line = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": total}
            lines.append(line | ({"completed": total * step // 4} if step else {}))
    lines += [{"status": status} for status in ("verifying sha256 digest", "writing manifest", "success")]
    return lines


async def pull(context: Context, faults: Faults) -> None:
    body = decoding.read_body(context.request.body, decoding.NAMED, "PullRequest")
    name = body.get("model") or body.get("name") or ""
    if full_name(name) is None:
        raise ApiError(400, "invalid model name")
    config = context.double.config
    known = short_name(name).lower() in {short_name(item).lower() for item in config.pullable}
    record = ModelRecord.from_json(name) if known else None
    lines = _pull_lines(name, record.size) if record else []
    if not body.get("stream", True):
        await asyncio.sleep(config.pull_delay_s * len(lines))
        if record is None:
            raise ApiError(500, _NO_MANIFEST)
        context.double.installed.add(record)
        await send_object(context.exchange, faults, 200, lines[-1])
        return
    stream = LineStream(context.exchange, faults)
    if not await stream.send({"status": "pulling manifest"}):
        return
    if record is None:
        lines = [{"error": _NO_MANIFEST}]
    for number, value in enumerate(lines, 1):
        await asyncio.sleep(config.pull_delay_s)
        # Installed before the client hears of it: it may list the models at once.
        if record is not None and number == len(lines):
            context.double.installed.add(record)
        if not await stream.send(value, last=number == len(lines)):
            return
    await stream.finish()


async def embed(context: Context, faults: Faults) -> None:
    began = time.monotonic()
    call = read_embed(context.request.body, context.double.installed, context.double.profile, legacy=False)
    async with _lease(context, call) as lease:
        texts, used = _fitting(call, lease.loaded.num_ctx, overflow_status=400)
        vectors = [await _vector(context, call, text) for text in texts]
        value: dict[str, Any] = {
            "model": call.model,
            "embeddings": vectors,
            "total_duration": wire.nanoseconds(time.monotonic() - began),
            "load_duration": wire.nanoseconds(lease.load_seconds),
        }
        if used:
            value["prompt_eval_count"] = used
        context.entry.answered_by, context.entry.prompt_tokens = "embed", used
        await send_object(context.exchange, faults, 200, embeddings.numbers_json(value))


async def legacy_embeddings(context: Context, faults: Faults) -> None:
    call = read_embed(context.request.body, context.double.installed, context.double.profile, legacy=True)
    async with _lease(context, call) as lease:
        texts, _ = _fitting(call, lease.loaded.num_ctx, overflow_status=500)
        # The old endpoint did not normalise.
        vectors = [await _vector(context, call, text) * 7.5 for text in texts[:1]]
        value = {"embedding": vectors[0] if vectors else []}
        await send_object(context.exchange, faults, 200, embeddings.numbers_json(value))


def _lease(context: Context, call: EmbedCall) -> Any:
    double, record = context.double, call.record
    num_ctx = tokens.window(call.options, double.config.default_num_ctx, record.context_length)
    context.entry.num_ctx = num_ctx
    return double.scheduler.lease(record, call.options, num_ctx, call.keep_alive_s)


def _fitting(call: EmbedCall, num_ctx: int, *, overflow_status: int) -> tuple[list[str], int]:
    """The texts cut to the window, and their tokens together."""
    texts, used = [], 0
    for text in call.texts:
        if tokens.count(text) > num_ctx:
            if not call.truncate or overflow_status == 500:
                raise ApiError(overflow_status, "the input length exceeds the context length")
            text = wire.clipped(text, num_ctx * tokens.BYTES_PER_TOKEN)
        texts.append(text)
        used += tokens.count(text)
    return texts, used


async def _vector(context: Context, call: EmbedCall, text: str) -> Any:
    # A large batch must not keep other requests from being answered.
    await asyncio.sleep(0)
    return embeddings.embed(text, call.record.embedding_length, call.dimensions)
