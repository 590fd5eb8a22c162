"""The error tree. Raise a member anywhere; `api/errors.py` alone turns it into the OpenAI envelope.

HearthError
  InvalidRequest 400          the caller must change the request
    ContextTooLong, UnsupportedParameter
  NotSignedIn 401             no, wrong or expired credentials
  NotAllowed 403
  NotFound 404                missing, or somebody else's: the caller cannot tell which
    ModelNotFound
  Conflict 409
  TooLarge 413
  UnsupportedFile 415
  TooManyRequests 429
  Overloaded 503              every place is taken, and so is every place in line
  ToolUnavailable 503
  ServiceFailed 502           an outside service that a tool needs
  StorageFailed 503           the disk refused; StorageFull 507
  UpstreamError 502           the model's server failed
    UpstreamUnreachable 503, UpstreamBusy 503, UpstreamTimeout 504, UpstreamCut 502, ModelFault 502
  WorkerFailed                a worker process was stopped or crashed; becomes a tool's or a document's error
  SettingsError               the start stops with one line; never reaches HTTP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class HearthError(Exception):
    """Base of all. `message` is one sentence for a person: what happened and what to do, no paths, no traces."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    retry: ClassVar[bool | None] = None
    """Whether the same request may succeed later; None leaves it to the client, which decides by the status."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.headers = dict(headers or {})


class InvalidRequest(HearthError):
    status = 400
    type = "invalid_request_error"
    default_code = "invalid_value"


class ContextTooLong(InvalidRequest):
    default_code = "context_length_exceeded"


class UnsupportedParameter(InvalidRequest):
    default_code = "unsupported_parameter"


class NotSignedIn(HearthError):
    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"

    def __init__(self, message: str, **kw: object) -> None:
        super().__init__(message, headers={"www-authenticate": "Bearer"}, **kw)  # type: ignore[arg-type]


class NotAllowed(HearthError):
    status = 403
    type = "permission_error"


class NotFound(HearthError):
    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class ModelNotFound(NotFound):
    default_code = "model_not_found"


class Conflict(HearthError):
    status = 409
    retry = False
    type = "invalid_request_error"
    default_code = "conflict"


class TooLarge(HearthError):
    status = 413
    type = "invalid_request_error"
    default_code = "too_large"


class UnsupportedFile(HearthError):
    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_file"


class TooManyRequests(HearthError):
    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"
    retry = True


class Overloaded(HearthError):
    status = 503
    type = "service_unavailable"
    default_code = "overloaded"
    retry = True


class ToolUnavailable(HearthError):
    status = 503
    retry = False
    type = "service_unavailable"
    default_code = "tool_unavailable"


class ServiceFailed(HearthError):
    """An outside service that a tool needs (search, weather, Wikipedia) failed; becomes the tool's error."""

    status = 502
    type = "server_error"
    default_code = "service_failed"


class StorageFailed(HearthError):
    status = 503
    type = "server_error"
    default_code = "storage_failed"


class StorageFull(StorageFailed):
    status = 507
    default_code = "storage_full"
    retry = False


class UpstreamError(HearthError):
    """The model's server answered with something unusable. `retryable` only makes sense before the first byte."""

    status = 502
    type = "server_error"
    default_code = "upstream_error"
    retryable: ClassVar[bool] = False


class UpstreamUnreachable(UpstreamError):
    status = 503
    default_code = "upstream_unreachable"
    retryable = True


class UpstreamBusy(UpstreamError):
    status = 503
    default_code = "upstream_busy"
    retryable = True


class UpstreamTimeout(UpstreamError):
    status = 504
    default_code = "upstream_timeout"


class UpstreamCut(UpstreamError):
    """The answer broke off in the middle."""

    default_code = "upstream_cut"


class ModelFault(UpstreamError):
    """The model itself produced something its own server could not read (e.g. a malformed tool call)."""

    default_code = "model_fault"
    retryable = True


class WorkerFailed(HearthError):
    """A job in a worker process did not end well. `reason` is `timeout`, `memory`, `crashed`, `refused` or `error`."""

    default_code = "worker_failed"

    def __init__(self, message: str, *, reason: str = "error") -> None:
        super().__init__(message)
        self.reason = reason


class SettingsError(HearthError):
    """A setting is wrong; the message is the one line printed before the process ends."""
