"""What each failure of Ollama is called here, and that none of its own words come through."""

import json

import pytest

from backend.llm.ollama_errors import (
    Busy,
    GatewayFailed,
    GatewayTimedOut,
    RunnerStopped,
    ThinkingUnsupported,
    counts_against_host,
    error_for,
    retry_after_of,
    unwrap,
)
from backend.models.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelFault,
    ModelNotFound,
    UpstreamBusy,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

OVERFLOW = {
    "error": {
        "code": 400,
        "message": "request (9123 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9123,
    }
}
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>nginx at 10.0.0.7</body></html>"


def body(error):
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "raw", "kind", "code"),
    [
        (400, body("registry.ollama.ai/library/m:latest does not support tools"), InvalidRequest, "tools_unsupported"),
        (400, body('"m" does not support thinking'), ThinkingUnsupported, "unsupported_parameter"),
        (400, body('invalid think value: "ultra" (must be …)'), ThinkingUnsupported, "unsupported_parameter"),
        (400, body('"all-minilm" does not support chat'), InvalidRequest, "invalid_value"),
        (400, body('"m" does not support insert'), InvalidRequest, "invalid_value"),
        (400, body("the prompt is longer than the context length currently available"), ContextTooLong, ...),
        (400, body(json.dumps(OVERFLOW)), ContextTooLong, "context_length_exceeded"),
        (400, body(OVERFLOW["error"]), ContextTooLong, "context_length_exceeded"),
        (400, body("json: cannot unmarshal array into Go struct field"), InvalidRequest, "invalid_value"),
        (401, body("unauthorized"), UpstreamError, "upstream_error"),
        (403, b"", UpstreamError, "upstream_error"),
        (404, body("model 'm' not found"), ModelNotFound, "model_not_found"),
        (404, b"404 page not found", UpstreamError, "upstream_error"),
        (405, b"405 method not allowed", InvalidRequest, "invalid_value"),
        (429, body("slow down"), UpstreamBusy, "upstream_busy"),
        (500, body("error parsing tool call: raw='{', err=…"), ModelFault, "model_fault"),
        (500, body("model runner has unexpectedly stopped, this may be due to …"), RunnerStopped, "upstream_crashed"),
        (500, body("llama runner process has terminated: exit status 2"), RunnerStopped, "upstream_crashed"),
        (500, body("model requires more system memory (5.6 GiB) than is available"), RunnerStopped, "out_of_memory"),
        (500, body("timed out waiting for llama-server to start - progress 0.43"), UpstreamTimeout, "upstream_timeout"),
        (
            500,
            body('invalid format: "xml"; expected "json" or a valid JSON Schema object'),
            InvalidRequest,
            "invalid_value",
        ),
        (
            500,
            body('{"error":{"message":"Jinja Exception: No user query found in messages."}}'),
            InvalidRequest,
            "invalid_value",
        ),
        (500, body("strange"), UpstreamError, "upstream_error"),
        (500, HTML, UpstreamError, "upstream_error"),
        (502, HTML, GatewayFailed, "upstream_error"),
        (503, body("server busy, please try again.  maximum pending requests exceeded"), UpstreamBusy, "upstream_busy"),
        (504, HTML, GatewayTimedOut, "upstream_timeout"),
        (302, b"", UpstreamError, "upstream_error"),
    ],
)
def test_ups_1_status_and_text_become_a_member_of_the_tree(status, raw, kind, code):
    error = error_for(status, unwrap(raw), "m")
    assert type(error) is kind or isinstance(error, kind)
    assert code is ... or error.code == code
    for leaked in ("10.0.0.7", "registry.ollama.ai", "nginx", "Go struct", "llama runner", "Jinja"):
        assert leaked not in error.message
    assert error.message.endswith(".")


def test_html_is_called_a_proxy():
    assert "proxy" in error_for(502, unwrap(HTML), "m").message


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (None, None), ("Wed, 21 Oct", None), ("-1", None), ("²", None)]
)
def test_retry_after_is_read_as_whole_seconds(header, seconds):
    assert retry_after_of(header) == seconds


def test_busy_carries_retry_after_for_people_in_any_case():
    assert error_for(503, unwrap(b""), "m").headers == {"retry-after": "5"}
    assert error_for(503, unwrap(b""), "m", 7).headers == {"retry-after": "7"}


@pytest.mark.parametrize(
    ("error", "ill"),
    [
        (UpstreamUnreachable(""), True),
        (UpstreamTimeout(""), True),
        (UpstreamCut(""), True),
        (UpstreamError(""), True),
        (GatewayFailed(""), True),
        (Busy(None), False),
        (ModelFault(""), False),
        (RunnerStopped(""), False),
        (ModelNotFound(""), False),
        (InvalidRequest(""), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ups_2_only_failures_of_the_host_count_against_it(error, ill):
    assert counts_against_host(error) is ill
