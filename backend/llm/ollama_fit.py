"""Making a conversation fit its window: what is left out, what is cut, and how the model is told.

Kept whatever happens: the system messages, and the words of the user in the last turn. Then, in this order: the rest of
the last turn, the first message of the user (it often says what everything is about), the latest turns before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from backend.llm.ollama_errors import last_turn_too_long
from backend.llm.ollama_window import (
    CAUTIOUS,
    DEFAULT_ANSWER_TOKENS,
    IMAGE_TOKENS,
    LIKELY,
    MESSAGE_TOKENS,
    conversation_tokens,
    message_tokens,
    text_bytes,
)
from backend.models.messages import Message

ANSWER_SHARE = 4
"""At most one part in four of a window is kept free for the answer, however long that may become."""
OPENING_SHARE = 8
"""The first message may keep one part in eight when it stands in the way of later turns."""
MIN_OPENING_TOKENS = 64
MIN_RESULT_TOKENS = 200
"""What a tool result keeps at least of its beginning and end."""
MARKER_TOKENS = 48
_MARKER = "[{count} earlier {messages} of this conversation {were} left out here: {they} not fit the context window.]"
_CUT = "\n[… {count} characters left out here to fit the context window …]\n"
_CUT_BYTES = 80


@dataclass(frozen=True, slots=True)
class Fitted:
    """A conversation that fits. `left_out` messages are missing, `cut` ones are shorter than they were."""

    messages: tuple[Message, ...]
    left_out: int = 0
    cut: int = 0


def required_tokens(messages: Sequence[Message], extra_bytes: int) -> int:
    """What cannot be left out: system messages, tool schemas, the last turn with its results cut short.

    An answer's usual room is counted as well.
    """
    system, turns = _parts(messages)
    last = turns[-1] if turns else []
    tokens = [min(message_tokens(m, CAUTIOUS), MIN_RESULT_TOKENS) if m.role == "tool" else _spoken(m) for m in last]
    return conversation_tokens(system, extra_bytes, CAUTIOUS) + sum(tokens) + DEFAULT_ANSWER_TOKENS


def fit(
    messages: Sequence[Message], extra_bytes: int, window: int, answer: int, model: str, caution: float = 1.0
) -> Fitted:
    """The conversation with as much of it as fits the window together with `answer` tokens.

    A turn begins at a user message. Of the turns in the middle whole ones are left out, so calls stay with their
    results; where they stood the model is told, in a message that keeps the roles alternating. Tool results of the
    last turn are cut, the oldest most.

    Args:
        extra_bytes: size of the tool schemas as JSON.
        caution: factor on all estimates, above 1 once Ollama has found a prompt longer than estimated.

    Raises:
        ContextTooLong: system messages and the words of the last turn alone do not fit.
    """
    room = int((window - min(answer, window // ANSWER_SHARE)) / caution)
    if conversation_tokens(messages, extra_bytes, CAUTIOUS) <= room:
        return Fitted(tuple(messages))
    system, turns = _parts(messages)
    last = _with_short_results(turns[-1], room - conversation_tokens(system, extra_bytes, CAUTIOUS))
    left = room - conversation_tokens(system, extra_bytes, CAUTIOUS) - conversation_tokens(last, 0, CAUTIOUS)
    if left < 0 and conversation_tokens([*system, *last], extra_bytes, LIKELY) * caution >= window:
        raise last_turn_too_long(model, window)
    earlier, left_out = _earlier(turns[:-1], left, room // OPENING_SHARE)
    if left_out and not earlier:
        last = [replace(last[0], content=f"{_marker(left_out)}\n\n{last[0].content}"), *last[1:]]
    kept = (*system, *earlier, *last)
    whole = {id(message) for message in messages}
    marked = sum(1 for message in kept if id(message) not in whole)
    return Fitted(kept, left_out, marked - (1 if left_out else 0))


def _parts(messages: Iterable[Message]) -> tuple[list[Message], list[list[Message]]]:
    """System messages, and the turns; each begins at a user message (the first may begin with an assistant's)."""
    system: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "system":
            system.append(message)
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return system, turns


def _spoken(message: Message) -> int:
    """Tokens of a message, a call's arguments counting no more than what would be kept of them."""
    calls = message.tool_calls
    bare = message_tokens(replace(message, tool_calls=()), CAUTIOUS) if calls else message_tokens(message, CAUTIOUS)
    return bare + sum(min(int(text_bytes(call.arguments) / CAUTIOUS), MIN_RESULT_TOKENS) for call in calls)


# ---- before the last turn -----------------------------------------------------------------------


def _earlier(turns: Sequence[Sequence[Message]], left: int, share: int) -> tuple[list[Message], int]:
    """What is kept of the turns before the last one, in `left` tokens, and how many messages are not."""
    everything = [message for turn in turns for message in turn]
    at = next((n for n, message in enumerate(everything) if message.role == "user"), None)
    costs = [message_tokens(message, CAUTIOUS) for message in everything]
    if at is None or left < MIN_OPENING_TOKENS + MARKER_TOKENS:
        fits = at is None and sum(costs) <= left
        return (everything, 0) if fits else ([], len(everything))
    opening, others = everything[at], sum(costs) - costs[at]
    if left - others >= min(costs[at], share):
        return [*everything[:at], shortened(opening, left - others), *everything[at + 1 :]], 0
    opening = shortened(opening, min(share, left - MARKER_TOKENS))
    left -= message_tokens(opening, CAUTIOUS) + MARKER_TOKENS
    first = next(n for n, turn in enumerate(turns) if any(message is everything[at] for message in turn))
    latest = _latest(turns[first + 1 :], left)
    left_out = len(everything) - 1 - len(latest)
    marker = [Message("assistant", _marker(left_out))] if left_out else []
    return [opening, *marker, *latest], left_out


def _latest(turns: Sequence[Sequence[Message]], left: int) -> list[Message]:
    """As many of the newest turns as fit; the oldest of them perhaps with its results cut short."""
    kept: list[Message] = []
    for turn in reversed(turns):
        short = _with_short_results(turn, left)
        left -= conversation_tokens(short, 0, CAUTIOUS)
        if left < 0:
            break
        kept = [*short, *kept]
    return kept


def _marker(count: int) -> str:
    one = count == 1
    return _MARKER.format(
        count=count,
        messages="message" if one else "messages",
        were="was" if one else "were",
        they="it does" if one else "they do",
    )


# ---- cutting ------------------------------------------------------------------------------------


def shortened(message: Message, tokens: int) -> Message:
    """The message within about `tokens`: its beginning and end, with a note of what is missing between.

    Pictures that would take more than half of the room are left out, and the note says so.
    """
    if message_tokens(message, CAUTIOUS) <= tokens:
        return message
    note = ""
    if (count := len(message.images)) * IMAGE_TOKENS > tokens // 2:
        note = f"[{count} picture{'s' if count > 1 else ''} left out here to fit the context window]\n"
        message = replace(message, images=())
    size = int((tokens - MESSAGE_TOKENS - len(message.images) * IMAGE_TOKENS) * CAUTIOUS)
    return replace(message, content=note + cut_text(message.content, size - len(note)))


def cut_text(text: str, size: int) -> str:
    """The text within about `size` UTF-8 bytes: two thirds of its beginning, one of its end, a note between."""
    if text_bytes(text) <= size:
        return text
    data = text.encode("utf-8", "surrogatepass")
    kept = max(0, size - _CUT_BYTES)
    end = kept // 3
    head = data[: kept - end].decode("utf-8", "ignore")
    tail = data[len(data) - end :].decode("utf-8", "ignore")
    return f"{head}{_CUT.format(count=len(text) - len(head) - len(tail))}{tail}"


def _with_short_results(turn: Sequence[Message], room: int) -> list[Message]:
    """The turn with its tool results cut until it fits, the oldest most; those of one step to the same length.

    If that is not enough, the arguments of calls are cut as well. May still not fit.
    """
    out = list(turn)
    over = conversation_tokens(out, 0, CAUTIOUS) - room
    for step in _steps(out):
        if over <= 0:
            break
        costs = [message_tokens(out[at], CAUTIOUS) for at in step]
        level = _level(costs, sum(costs) - over)
        for at in step:
            out[at] = shortened(out[at], level)
        over -= sum(costs) - sum(message_tokens(out[at], CAUTIOUS) for at in step)
    if over > 0:
        out = [_with_short_arguments(message) for message in out]
    return out


def _steps(turn: Sequence[Message]) -> list[list[int]]:
    """Positions of the tool results, those that follow one another together."""
    steps: list[list[int]] = []
    for at, message in enumerate(turn):
        if message.role == "tool":
            if turn[at - 1].role != "tool" or not steps:
                steps.append([])
            steps[-1].append(at)
    return steps


def _level(costs: Sequence[int], allowed: int) -> int:
    """The height at which all costs are cut off so that they add up to `allowed`; never below what is kept."""
    level, rest = 0, allowed
    ordered = sorted(costs)
    for n, cost in enumerate(ordered):
        level = rest // (len(ordered) - n)
        if cost > level:
            break
        rest -= cost
    return max(level, MIN_RESULT_TOKENS)


def _with_short_arguments(message: Message) -> Message:
    size = int(MIN_RESULT_TOKENS * CAUTIOUS)
    if not any(text_bytes(call.arguments) > size for call in message.tool_calls):
        return message
    calls = tuple(
        replace(call, arguments=orjson.dumps({"input": cut_text(call.arguments, size)}).decode())
        if text_bytes(call.arguments) > size
        else call
        for call in message.tool_calls
    )
    return replace(message, tool_calls=calls)
