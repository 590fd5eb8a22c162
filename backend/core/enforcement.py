"""Keeping what a request demands of an answer although the model's server has no word for it.

`tool_choice`, `parallel_tool_calls` and `response_format` are promises to the caller. A local model keeps them most
of the time; here the rest is caught: text is held back while it may have to be taken back, one further call repairs
what went wrong, and what cannot be repaired is an error and never a broken answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from backend.core.asking import Asking
from backend.core.enforced_calls import CallingTurn
from backend.core.enforced_json import FormattedAnswer
from backend.core.json_form import Form
from backend.llm.port import ChatRequest, ModelProvider
from backend.models.messages import Event


def is_demanding(request: ChatRequest) -> bool:
    """Whether a request demands anything that must be watched over. Most do not, and cost nothing then."""
    return bool(request.tools) or _has_form(request)


def enforced(provider: ModelProvider, request: ChatRequest, *, streamed: bool = False) -> AsyncGenerator[Event, None]:
    """The events of an answer that keeps what a demanding request asks for.

    Args:
        streamed: the caller reads a stream, so JSON goes out while it is written where its grammar guarantees the
            schema. Otherwise it is checked whole first, and so can always be repaired.

    Raises, while it is read:
        InvalidRequest: the response_format's schema cannot be used.
        ModelFault: the model cannot be brought to what is demanded. Before any text, except for a live answer that
            goes wrong behind its beginning.
        What the provider raises.
    """
    form = Form(request.response_format) if request.response_format is not None and _has_form(request) else None
    asking = Asking(provider)
    if request.tools and request.tool_choice != "none":
        return CallingTurn(asking, request, form, streamed).run()
    plain = replace(request, tools=(), tool_choice="auto", response_format=None)
    if form is not None:
        return FormattedAnswer(asking, plain, form, streamed).run()
    return asking.passed_on(plain)


def _has_form(request: ChatRequest) -> bool:
    return request.response_format is not None and request.response_format.type != "text"
