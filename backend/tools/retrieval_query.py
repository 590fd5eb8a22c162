"""The words that are really searched for: follow-ups made whole, courtesies left out. Pure functions, no model."""

from __future__ import annotations

from collections.abc import Sequence

from backend.models.messages import Message
from backend.utils.follow_ups import MAX_FOLLOW_CHARS, MAX_FOLLOW_WORDS, complete_follow_up, is_follow_up, stands_alone
from backend.utils.patterns import LazyPattern
from backend.utils.query_text import is_greeting, is_thanks, refers_back

MAX_DEPTH = 3
"""Turns a chain of follow-ups is traced back."""
MAX_TURN_CHARS = 500
"""Longer turns are pasted text, of which no follow-up can be completed."""
_COURTESY = LazyPattern(
    r"^\W*(?:(?:hi|hello|hey|hallo|guten tag|bonjour|hola|ciao|please|bitte|s['’]il (?:vous|te) plaît|por favor|"
    r"per favore|thanks|danke|ok(?:ay)?|so)\b[\s,!.:]*)*"
    r"(?:(?:(?:can|could|would|will) you (?:please )?|i(?:['’]d| would) like (?:you )?to |i want (?:you )?to )?"
    r"(?:tell me|let me know|explain to me|find out|look up|know|search (?:my documents )?for)\b[\s,:]*|"
    r"(?:kannst|könntest|können|könnten) (?:du|sie) (?:mir )?(?:bitte )?(?:sagen|nennen)[\s,:]*|"
    r"(?:sag|nenn)e? mir[\s,:]*|dis[- ]moi[\s,:]*|dime[\s,:]*|dimmi[\s,:]*)?"
    r"(?:(?:please|bitte)\b[\s,]*)?"
)


def whole_query(query: str, earlier: Sequence[str], depth: int = MAX_DEPTH) -> str:
    """The query as it would be asked without the turns before it.

    `earlier` are the user's turns before, newest first. "and in Berlin?" after "How many days of leave are there in
    Munich?" gives "How many days of leave are there in Berlin"; where no part of the turn before can be replaced
    ("how long does it take?"), both turns are searched for together.
    """
    turns = [turn for turn in earlier if turn.strip() and not (is_thanks(turn) or is_greeting(turn))]
    if not turns or depth == 0 or len(query) > MAX_FOLLOW_CHARS or len(turns[0]) > MAX_TURN_CHARS:
        return query
    if not (is_follow_up(query) or (refers_back(query) and len(query.split()) <= MAX_FOLLOW_WORDS)):
        return query
    alone = stands_alone(query)
    return alone or complete_follow_up(whole_query(turns[0], turns[1:], depth - 1), query)[0]


def plain_query(query: str) -> str:
    """The query without greetings and "could you tell me"; as it is where nothing else would be left."""
    found = _COURTESY.match(query)
    rest = query[found.end() :].strip() if found is not None else query
    return rest if len(rest.split()) >= 2 else query.strip()


def rewritten(queries: Sequence[str]) -> list[str]:
    """The queries as they are better searched for; one that follows up on those before it is made whole."""
    return [plain_query(whole_query(query, queries[:place][::-1])) for place, query in enumerate(queries)]


def earlier_turns(messages: Sequence[Message]) -> tuple[str, ...]:
    """What the user said before the last turn, newest first."""
    asked = [message.content for message in messages if message.role == "user"][:-1]
    return tuple(turn[: MAX_TURN_CHARS + 1] for turn in reversed(asked[-MAX_DEPTH:]))
