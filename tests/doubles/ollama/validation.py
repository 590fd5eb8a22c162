"""Checks of a chat, generate or embed request, in the server's order and with its texts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.doubles.ollama import decoding
from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.profile import Profile
from tests.doubles.ollama.records import Installed, ModelRecord, full_name

ThinkMode = Literal["field", "inline", "off"]

_FLOAT_OPTIONS = {
    "temperature",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
}
_INT_OPTIONS = {
    "num_ctx",
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "repeat_last_n",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "draft_num_predict",
}
_LEVELS = ("low", "medium", "high", "max")


@dataclass(slots=True)
class Call:
    """A valid chat or generate request. `think` says where reasoning goes; `format` is None, "json" or a schema."""

    record: ModelRecord
    model: str
    messages: list[dict[str, Any]]
    options: dict[str, Any]
    keep_alive_s: float | None
    stream: bool = True
    tools: list[dict[str, Any]] = field(default_factory=list)
    format: Any = None
    think: ThinkMode = "off"
    truncate: bool = True
    shift: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    debug_render_only: bool = False
    raw: bool = False

    @property
    def only_loads(self) -> bool:
        return not self.messages

    @property
    def only_unloads(self) -> bool:
        return not self.messages and self.keep_alive_s == 0


def read_chat(raw: bytes, installed: Installed, profile: Profile, stream_default: bool = True) -> Call:
    """The whole check of POST /api/chat. Raises ApiError."""
    body = decoding.read_body(raw, decoding.CHAT, "ChatRequest")
    _check_think_and_keep_alive(body, profile)
    _check_top_logprobs(body, profile)
    name = body.get("model", "")
    record = _installed_or_error(name, installed, missing=ApiError(400, "model is required"))
    call = _call(body, record, name, profile, stream_default)
    call.messages = [dict(message, role=message.get("role", "").lower()) for message in body.get("messages", [])]
    call.tools = body.get("tools", [])
    if record.system and call.messages and call.messages[0]["role"] != "system":
        call.messages.insert(0, {"role": "system", "content": record.system})
    if not call.only_unloads:
        _check_capabilities(call, body, profile, verb="chat")
    return call


def read_generate(raw: bytes, installed: Installed, profile: Profile) -> Call:
    """The whole check of POST /api/generate; the prompt becomes messages. Raises ApiError."""
    body = decoding.read_body(raw, decoding.GENERATE, "GenerateRequest")
    _check_think_and_keep_alive(body, profile)
    _check_top_logprobs(body, profile)
    name = body.get("model", "")
    record = _installed_or_error(name, installed, missing=ApiError(404, f"model '{name}' not found"))
    if body.get("raw") and any(body.get(key) for key in ("template", "system", "context")):
        raise ApiError(400, "raw mode does not support template, system, or context")
    call = _call(body, record, name, profile, True)
    call.raw = bool(body.get("raw"))
    if body.get("prompt"):
        system = body.get("system") or record.system
        call.messages = [{"role": "system", "content": system}] if system else []
        call.messages.append({"role": "user", "content": body["prompt"], "images": body.get("images", [])})
    if not call.only_unloads:
        _check_capabilities(call, body, profile, verb="generate")
        if body.get("suffix") and not record.can("insert"):
            raise ApiError(400, f"{record.full_name} does not support insert")
    return call


def _call(body: dict[str, Any], record: ModelRecord, name: str, profile: Profile, stream_default: bool) -> Call:
    new = profile.knows_truncate_and_shift
    wanted_format = body.get("format")
    return Call(
        record=record,
        model=name,
        messages=[],
        options=record.parameters | body.get("options", {}),
        keep_alive_s=decoding.parse_keep_alive(body.get("keep_alive")),
        stream=body.get("stream", stream_default),
        format=None if wanted_format == "" else wanted_format,
        truncate=body.get("truncate", True) if new else True,
        shift=body.get("shift", "deepseek2" not in record.family) if new else True,
        logprobs=bool(body.get("logprobs")) and profile.knows_logprobs,
        top_logprobs=body.get("top_logprobs", 0) if profile.knows_logprobs else 0,
        debug_render_only=bool(body.get("_debug_render_only")),
    )


def _installed_or_error(name: str, installed: Installed, *, missing: ApiError) -> ModelRecord:
    if full_name(name) is None:
        raise missing
    record = installed.find(name)
    if record is None:
        raise ApiError(404, f"model '{name}' not found")
    return record


def _check_think_and_keep_alive(body: dict[str, Any], profile: Profile) -> None:
    decoding.parse_keep_alive(body.get("keep_alive"))
    think = body.get("think")
    if think is None or isinstance(think, bool) or not profile.knows_think:
        return
    if not profile.knows_think_levels:
        raise decoding.mismatch(think, "ChatRequest", "think", "bool")
    levels = _LEVELS if profile.knows_think_max else _LEVELS[:3]
    if think not in levels:
        named = ", ".join(f'"{level}"' for level in ("high", "medium", "low", "max") if level in levels)
        shown = json.dumps(think)
        raise ApiError(400, f"invalid think value: {shown} (must be {named}, true, or false)")


def _check_top_logprobs(body: dict[str, Any], profile: Profile) -> None:
    if profile.knows_logprobs and not 0 <= body.get("top_logprobs", 0) <= 20:
        raise ApiError(400, "top_logprobs must be between 0 and 20")


def _check_capabilities(call: Call, body: dict[str, Any], profile: Profile, *, verb: str) -> None:
    record, asked = call.record, body.get("think") if profile.knows_think else None
    if not record.can("thinking"):
        refused = bool(asked) or (asked is False and not profile.accepts_think_false_everywhere)
        if refused:
            raise ApiError(400, f'"{call.model}" does not support thinking')
    if not record.can("completion"):
        raise ApiError(400, f'"{call.model}" does not support {verb}')
    if call.tools and not record.can("tools"):
        raise ApiError(400, f"{record.full_name} does not support tools")
    call.think = _think_mode(record, asked, profile)
    check_options(call.options)


def _think_mode(record: ModelRecord, asked: Any, profile: Profile) -> ThinkMode:
    if not record.can("thinking"):
        return "off"
    if asked is None:
        return "field" if profile.thinks_by_default else "inline"
    return "field" if asked else "off"


def check_options(options: dict[str, Any]) -> None:
    """Raises ApiError 500 for an option of the wrong type; unknown options are ignored."""
    for key, value in options.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in _FLOAT_OPTIONS and not number:
            raise ApiError(500, f'option "{key}" must be of type float32')
        if key in _INT_OPTIONS and not number:
            raise ApiError(500, f'option "{key}" must be of type integer')
        if key == "use_mmap" and not isinstance(value, bool):
            raise ApiError(500, f'option "{key}" must be of type boolean')
        if key == "stop" and not isinstance(value, list):
            raise ApiError(500, f'option "{key}" must be of type array')
        if key == "stop" and not all(isinstance(item, str) for item in value):
            raise ApiError(500, f'option "{key}" must be of an array of strings')


def check_format(wanted: Any, profile: Profile) -> None:
    """Raises ApiError 500 while generating for anything but None, "json" or a schema object."""
    if wanted is None or wanted == "json":
        return
    if not profile.has_schema_format or not isinstance(wanted, dict):
        shown = json.dumps(wanted, separators=(",", ":"))
        text = f'invalid format: {shown}; expected "json" or a valid JSON Schema object'
        raise ApiError(500, text, while_generating=True)


def check_template(call: Call) -> None:
    """What the strict templates of some models refuse. Raises ApiError 500 while generating."""
    roles = [message["role"] for message in call.messages]
    complaint = ""
    if call.record.strict_template and "system" in roles[1:]:
        complaint = "System message must be at the beginning."
    elif call.record.strict_template and "user" not in roles:
        complaint = "No user query found in messages."
    elif call.record.alternating_template and not _alternate(call.messages):
        complaint = (
            "After the optional system message, conversation roles must alternate user and assistant roles "
            "except for tool calls and results."
        )
    if complaint:
        inner = {"error": {"code": 500, "message": f"Jinja Exception: {complaint}", "type": "server_error"}}
        raise ApiError(500, json.dumps(inner, separators=(",", ":")), while_generating=True)


def _alternate(messages: list[dict[str, Any]]) -> bool:
    """User, assistant, user, …; calls and their results do not count."""
    spoken = [m["role"] for m in messages if m["role"] in ("user", "assistant") and not m.get("tool_calls")]
    return all(role == ("user", "assistant")[number % 2] for number, role in enumerate(spoken))


@dataclass(slots=True)
class EmbedCall:
    """A valid embed request."""

    record: ModelRecord
    model: str
    texts: list[str]
    options: dict[str, Any]
    keep_alive_s: float | None
    truncate: bool
    dimensions: int


def read_embed(raw: bytes, installed: Installed, profile: Profile, *, legacy: bool) -> EmbedCall:
    """The whole check of POST /api/embed, or of the old /api/embeddings. Raises ApiError."""
    body = decoding.read_body(raw, decoding.EMBED, "EmbeddingRequest" if legacy else "EmbedRequest")
    keep_alive_s = decoding.parse_keep_alive(body.get("keep_alive"))
    texts = _input_texts(body.get("prompt" if legacy else "input"))
    name = body.get("model", "")
    if full_name(name) is None:
        raise ApiError(400, "model is required") if legacy else ApiError(404, f"model '{name}' not found")
    record = installed.find(name)
    if record is None:
        raise ApiError(404, f'model "{name}" not found, try pulling it first')
    options = record.parameters | body.get("options", {})
    check_options(options)
    dimensions = body.get("dimensions", 0) if profile.knows_dimensions else 0
    return EmbedCall(record, name, texts, options, keep_alive_s, body.get("truncate", True), dimensions)


def _input_texts(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ApiError(400, "invalid input type")
