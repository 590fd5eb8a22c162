"""What an answer came to: its tokens, its finish reason, or nothing at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from backend.llm.ollama_stream import AnswerParser
from backend.llm.ollama_window import text_tokens
from backend.llm.port import ChatRequest
from backend.models.errors import ModelFault
from backend.models.messages import Finished, Usage

log = logging.getLogger("hearth.ollama")

SMALL_PROMPT_TOKENS = 2000
"""Of shorter prompts the estimate is too coarse to conclude anything."""
HALF_WINDOW_SLACK = 4


@dataclass(slots=True)
class Tally:
    """Tokens of a request, added up over its answers."""

    step: str
    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    estimated: bool = False

    def add(self, parser: AnswerParser, estimated_prompt: int, window: int) -> None:
        """`estimated_prompt` in tokens; `window` is the context window the prompt had to fit."""
        ending = parser.ending
        if ending is None:
            return
        size = parser.text_size + parser.thinking_size
        completion = ending.completion_tokens or text_tokens(size)
        self.prompt += ending.prompt_tokens or estimated_prompt
        self.completion += completion
        self.reasoning += round(completion * parser.thinking_size / size) if size else 0
        self.estimated = self.estimated or ending.prompt_tokens is None or ending.completion_tokens is None
        if ending.prompt_tokens is not None and _lost(ending.prompt_tokens, estimated_prompt, window):
            log.warning(
                "Ollama read %d tokens of a prompt of about %d (window %d): it may have dropped the rest",
                ending.prompt_tokens,
                estimated_prompt,
                window,
            )

    def usage(self) -> Usage:
        return Usage(self.prompt, self.completion, self.reasoning, self.step, self.estimated)


def _lost(read: int, estimated: int, window: int) -> bool:
    """Whether Ollama has probably not read the whole prompt. It says so nowhere, but what it cuts in the middle comes
    down to half the window."""
    if estimated <= SMALL_PROMPT_TOKENS:
        return False
    return read < estimated / 2 or (abs(read - window // 2) <= HALF_WINDOW_SLACK and estimated > window * 0.6)


def came_to_nothing(parser: AnswerParser, request: ChatRequest) -> bool:
    """Neither text nor calls. A stop sequence may be met at once, which is an answer, though an empty one."""
    if parser.text_size or (parser.ending is not None and parser.ending.calls_lost):
        return False
    return parser.thinking_size > 0 or not request.sampling.stop


def finished_of(parser: AnswerParser, request: ChatRequest) -> Finished:
    """Raises ModelFault for an answer that came to nothing twice."""
    ending = parser.ending
    if ending is None or ending.reason == "length":
        lost = ending is not None and ending.calls_lost
        detail = "The answer reached its token limit inside a tool call, which was left out." if lost else None
        if not lost and not parser.text_size:
            detail = "The answer reached its token limit before any text."
        return Finished("length", detail)
    if came_to_nothing(parser, request):
        raise ModelFault("The model gave no answer, also when asked again: reword the question or use another model.")
    return Finished("tool_calls" if parser.calls_made else "stop")
