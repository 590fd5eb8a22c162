"""What cannot be combined in one question, or not with this model: refused before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.llm.port import ModelInfo
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.messages import Message
from backend.tasks.attachments import Attachment
from backend.tasks.tools_only import TOOLS_ONLY

if TYPE_CHECKING:
    from backend.tasks.answering import Question


def refuse_with_agent(question: Question, model: ModelInfo) -> None:
    """What cannot be combined with an agent. Raises UnsupportedParameter."""
    if question.response_format is not None and TOOLS_ONLY in model.capabilities:
        raise UnsupportedParameter(
            f"{model.id} cannot bring an agent's answer into a response_format: leave it out, or name another model.",
            param="response_format",
        )
    if question.tools and question.tool_choice not in ("auto", "none"):
        raise UnsupportedParameter(
            "With agent, the agent chooses among your tools and the server's: leave out tool_choice, or the agent.",
            param="tool_choice",
        )
    refuse_beyond_one_answer(question)


def refuse_beyond_one_answer(question: Question) -> None:
    """What only plain completions give, asked of an agent. Raises UnsupportedParameter."""
    if question.n > 1:
        raise UnsupportedParameter("An agent gives one answer: leave out n, or the agent.", param="n")
    if question.logprobs is not None:
        raise UnsupportedParameter("An agent gives no logprobs: leave them out, or the agent.", param="logprobs")


def refuse_pictures(messages: Sequence[Message], model: ModelInfo) -> None:
    """Raises InvalidRequest naming the first message with a picture that the model cannot see."""
    if "vision" in model.capabilities or not model.capabilities_known:
        return
    for index, message in enumerate(messages):
        if message.images:
            raise InvalidRequest(
                f"The model {model.id!r} cannot see images: leave them out, or choose a vision model.",
                param=f"messages.{index}.content",
                code="unsupported_content",
            )


def refuse_unreadable(attachments: Sequence[Attachment], *, may_search: bool) -> None:
    """For a model that reads nothing itself. Raises InvalidRequest naming the first file it cannot search."""
    for each in attachments:
        if each.file_id is None or not may_search:
            raise InvalidRequest(
                "The built-in model only searches files: upload the file, name it by file_id, and let an agent answer.",
                param=each.param,
                code="unsupported_content",
            )
