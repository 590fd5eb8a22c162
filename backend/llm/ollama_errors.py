"""What Ollama's failures mean: status and text in, a member of the error tree out. Its own words stay in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from backend.models.errors import (
    ContextTooLong,
    HearthError,
    InvalidRequest,
    ModelFault,
    ModelNotFound,
    UpstreamBusy,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

BUSY_RETRY_AFTER_S = 5
MAX_NAMED_MODELS = 12


class RunnerStopped(UpstreamError):
    """The process that runs the model died or could not be started; Ollama starts it again when asked."""

    status = 503
    default_code = "upstream_crashed"
    retryable = True


class GatewayFailed(UpstreamError):
    """Something in front of Ollama answered in its place (502)."""

    retryable = True


class GatewayTimedOut(UpstreamTimeout):
    """Something in front of Ollama gave up waiting (504)."""

    retryable = True


class Busy(UpstreamBusy):
    """Ollama's queue is full. `retry_after` is what it asked for itself, in seconds, if it did."""

    def __init__(self, retry_after: int | None) -> None:
        seconds = BUSY_RETRY_AFTER_S if retry_after is None else retry_after
        super().__init__("Ollama is busy: try again in a moment.", headers={"retry-after": str(seconds)})
        self.retry_after = retry_after


class QueueFull(UpstreamBusy):
    """Nobody was served here for as long as a first token may take: waiting once more would not help."""

    retryable = False


class Resting(UpstreamUnreachable):
    """The circuit breaker is open: the answer is given at once."""

    retryable = False


class NoAnswerYet(UpstreamError):
    """Ollama only loaded (or unloaded) the model."""

    retryable = True


class ThinkingUnsupported(InvalidRequest):
    """The model knows no `think`; the request succeeds without the field."""

    default_code = "unsupported_parameter"


class ShapeRefused(InvalidRequest):
    """The model's chat template refuses the order of roles."""


class ToolsUnsupported(InvalidRequest):
    default_code = "tools_unsupported"


@dataclass(frozen=True, slots=True)
class Reason:
    """Ollama's own words, unwrapped. `kind` is an inner engine's `type`, e.g. `exceed_context_size_error`.

    `plain` when the body was no JSON object with an `error`.
    """

    text: str
    kind: str = ""
    plain: bool = False

    @property
    def is_html(self) -> bool:
        return self.plain and self.text.lstrip()[:15].lower().startswith(
            ("<!doctype", "<html", "<head", "<body", "<?xml")
        )


def unwrap(body: str | bytes) -> Reason:
    """The reason inside an error body: `{"error": text}`, where text may itself be JSON, two levels deep."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    value = _loads(text)
    if not isinstance(value, dict) or "error" not in value:
        return Reason(text.strip(), plain=True)
    return reason_of(value["error"])


def reason_of(error: Any) -> Reason:
    """The reason in the value of an `error` field."""
    kind = ""
    for _ in range(4):
        if isinstance(error, str):
            inner = _loads(error) if error.lstrip()[:1] == "{" else None
            if not isinstance(inner, dict):
                return Reason(error, kind)
            error = inner
        elif isinstance(error, Mapping):
            kind = str(error.get("type") or kind)
            error = error.get("error", error.get("message", ""))
        else:
            break
    return Reason(str(error), kind)


def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def error_for(status: int, reason: Reason, model: str, retry_after: int | None = None) -> HearthError:
    """The member of the error tree for a failed request, or for an error line in mid-stream (status 500)."""
    return _by_text(reason, model) or _by_status(status, reason, model, retry_after)


def _by_text(reason: Reason, model: str) -> HearthError | None:
    """Matched on parts of the text: the whole wording differs from build to build."""
    text = reason.text.lower()
    if reason.plain and len(text) > 2000:
        return None
    if "does not support tools" in text:
        return tools_unsupported(model)
    if "does not support thinking" in text or "invalid think value" in text:
        return ThinkingUnsupported(
            f"The model {model!r} cannot take reasoning_effort: leave it out.", param="reasoning_effort"
        )
    if "does not support chat" in text or "does not support generate" in text:
        return embeddings_only(model)
    if "does not support" in text:
        return InvalidRequest(f"The model {model!r} does not support something this request asks for.", param="model")
    if reason.kind == "exceed_context_size_error" or _says_context_overflow(text):
        return context_too_long(model)
    if "error parsing tool call" in text or "parsing tool call" in text:
        return ModelFault("The model wrote a tool call that cannot be read: try again or use another model.")
    if "invalid format" in text or "json schema" in text or "grammar" in text:
        return InvalidRequest(
            "Ollama cannot work with this response_format: simplify the JSON schema.", param="response_format"
        )
    if "no user query" in text or "system message must be" in text or "jinja" in text or "must alternate" in text:
        return ShapeRefused(
            f"The model {model!r} refuses a conversation of this shape: begin with a user message, then let assistant"
            " and user take turns.",
            param="messages",
        )
    if "timed out waiting for" in text:
        return UpstreamTimeout("Ollama could not load the model in time: try again, or use a smaller model.")
    if "memory" in text:
        return RunnerStopped(
            f"There is not enough memory for {model!r}: use a smaller model or a smaller OLLAMA_NUM_CTX.",
            code="out_of_memory",
        )
    if "terminated" in text or "unexpectedly stopped" in text or "unexpected eof" in text:
        return RunnerStopped("The model's process stopped unexpectedly: try again; if it stays, use a smaller model.")
    return None


def _says_context_overflow(text: str) -> bool:
    return "context" in text and any(word in text for word in ("exceed", "longer than", "too long", "too large"))


def _by_status(status: int, reason: Reason, model: str, retry_after: int | None) -> HearthError:
    if status in (429, 503):
        return Busy(retry_after)
    if status in (502, 504):
        kind = GatewayFailed if status == 502 else GatewayTimedOut
        return kind(not_ollama().message if reason.is_html else "Ollama could not be reached through its gateway.")
    if reason.is_html or 300 <= status < 400:
        return not_ollama()
    if status == 404:
        return not_ollama() if reason.plain else model_not_found(model, ())
    if status == 401:
        return UpstreamError(f"Ollama is not signed in for the model {model!r}: run `ollama signin` on its machine.")
    if status == 403:
        return UpstreamError("Ollama refused the connection: check its OLLAMA_ORIGINS and OLLAMA_HOST settings.")
    if 400 <= status < 500:
        return InvalidRequest("Ollama refused the request; the server's log says why.")
    return UpstreamError("Ollama failed to answer; the server's log says why.")


def model_not_found(model: str, installed: Sequence[str]) -> ModelNotFound:
    """Names what is installed instead, so that a typing error is seen at once."""
    named = ", ".join(installed[:MAX_NAMED_MODELS]) + (", …" if len(installed) > MAX_NAMED_MODELS else "")
    have = f"installed are {named}" if installed else "no other model is known"
    name = model[:100]
    return ModelNotFound(
        f"The model {name!r} is not installed in Ollama ({have}): run `ollama pull {name}` or choose another.",
        param="model",
    )


def context_too_long(model: str) -> ContextTooLong:
    return ContextTooLong(
        f"The conversation exceeds the available context size of {model!r}: shorten it, or use a model with a larger"
        " window.",
        param="messages",
    )


def last_turn_too_long(model: str, window: int) -> ContextTooLong:
    return ContextTooLong(
        "The last message, with the instructions and tools that go with it, exceeds the available context size of"
        f" {model!r} ({window} tokens): shorten it, or use a model with a larger window.",
        param="messages",
    )


def embeddings_only(model: str) -> InvalidRequest:
    return InvalidRequest(f"The model {model!r} cannot chat, it only makes embeddings: choose another.", param="model")


def tools_unsupported(model: str) -> ToolsUnsupported:
    return ToolsUnsupported(f"The model {model!r} cannot call tools: choose one that can.", param="tools")


def queue_full() -> QueueFull:
    return QueueFull(
        "All places at Ollama are taken: try again in a moment.", headers={"retry-after": str(BUSY_RETRY_AFTER_S)}
    )


def unreachable() -> UpstreamUnreachable:
    return UpstreamUnreachable(
        "Ollama is not reachable: start it with `ollama serve`, or set OLLAMA_HOST.",
        headers={"retry-after": str(BUSY_RETRY_AFTER_S)},
    )


def resting(seconds: float) -> Resting:
    whole = max(1, int(seconds + 0.999))
    return Resting(
        f"Ollama failed several times in a row and is left alone for {whole} s: try again then.",
        headers={"retry-after": str(whole)},
    )


def not_ollama() -> UpstreamError:
    return UpstreamError("What answered is not Ollama (a proxy?): check OLLAMA_HOST and the proxy settings.")


def broken_off() -> UpstreamCut:
    return UpstreamCut("Ollama's answer broke off before its end: try again.")


def too_slow(first: bool, seconds: float) -> UpstreamTimeout:
    if first:
        return UpstreamTimeout(
            f"Ollama did not begin to answer within {seconds:g} s: it may still be loading the model, try again"
            " or raise OLLAMA_TIMEOUT."
        )
    return UpstreamTimeout(f"Ollama stopped in the middle of its answer for {seconds:g} s: try again.")


def counts_against_host(error: HearthError) -> bool:
    """Whether this failure says that the host is ill (and not that it is busy, or the request or model at fault)."""
    return isinstance(error, UpstreamError) and not isinstance(
        error, (UpstreamBusy, ModelFault, NoAnswerYet, RunnerStopped)
    )


def retry_after_of(value: str | None) -> int | None:
    """Whole seconds from a Retry-After header; None when absent or a date."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else None
