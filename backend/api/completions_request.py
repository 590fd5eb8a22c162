"""From the wire body of a text completion to a checked Question for each of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.api.chat_request import MAX_CHOICES
from backend.llm.port import Sampling
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.messages import Message
from backend.models.schemas_completions import MAX_PROMPTS, CompletionRequest
from backend.tasks.answering import Question

DEFAULT_MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions in the order of their choices: `n` for the first prompt, then `n` for the next.

    `echoes[i]` stands before the text of choice `i`; empty when the prompt is not wanted back.
    """

    questions: tuple[Question, ...]
    echoes: tuple[str, ...]


def asked_in(body: CompletionRequest) -> Asked:
    """Raises InvalidRequest or UnsupportedParameter naming the field."""
    prompts = _prompts(body.prompt)
    _refuse_unsupported(body)
    numbered = [(prompt, number) for prompt in prompts for number in range(body.n or 1)]
    return Asked(
        tuple(_question(body, prompt, number) for prompt, number in numbered),
        tuple(prompt if body.echo else "" for prompt, _ in numbered),
    )


def _question(body: CompletionRequest, prompt: str, number: int) -> Question:
    """Ollama puts a prompt into the model's template as what the user says, and so is it put here: the text is taken
    up by any model. Nothing is kept, and the few tokens are not spent on thinking."""
    return Question(
        model=body.model,
        messages=(Message("user", prompt),),
        agent="chat",
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_tokens or DEFAULT_MAX_TOKENS,
            stop=tuple(each for each in ([body.stop] if isinstance(body.stop, str) else body.stop or ()) if each),
            # With one seed all answers to a prompt would be the same.
            seed=None if body.seed is None else body.seed + number,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
        ),
        reasoning_effort="none",
        store=False,
        logprobs=body.logprobs,
        suffix=body.suffix or None,
        streamed=body.stream is True,
    )


def _prompts(prompt: Any) -> Sequence[str]:
    if isinstance(prompt, str):
        return [prompt]
    if prompt is None:
        raise InvalidRequest("prompt is missing.", param="prompt", code="invalid_value")
    if not isinstance(prompt, list) or not prompt:
        raise InvalidRequest(
            "prompt must be a text, or a list of at least one text.", param="prompt", code="invalid_value"
        )
    if all(isinstance(each, int | list) for each in prompt):
        raise UnsupportedParameter(
            "Token ids cannot be read here, as every model has its own: send the prompt as text.", param="prompt"
        )
    if not all(isinstance(each, str) for each in prompt):
        raise InvalidRequest("prompt must hold nothing but texts.", param="prompt", code="invalid_value")
    if len(prompt) > MAX_PROMPTS:
        raise UnsupportedParameter(f"At most {MAX_PROMPTS} prompts are answered at once: send fewer.", param="prompt")
    return prompt


def _refuse_unsupported(body: CompletionRequest) -> None:
    """Refuse only what would change the answer's meaning silently."""
    n = body.n or 1
    if n > MAX_CHOICES:
        raise UnsupportedParameter(f"n must be at most {MAX_CHOICES}: ask several times for more answers.", param="n")
    if body.best_of is not None and body.best_of < n:
        raise InvalidRequest("best_of must not be less than n.", param="best_of", code="invalid_value")
    if body.best_of is not None and body.best_of > n:
        raise UnsupportedParameter("Answers are not ranked here: leave out best_of.", param="best_of")
    if body.logit_bias:
        raise UnsupportedParameter("logit_bias is not available here: leave it out.", param="logit_bias")
    if body.echo and body.logprobs is not None:
        raise UnsupportedParameter(
            "The probabilities of a prompt's own tokens are not known here: leave out echo, or logprobs.",
            param="logprobs",
        )
