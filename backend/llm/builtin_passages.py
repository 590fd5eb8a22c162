"""Picking the sentences of found passages that answer a question; none when none does."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.models.errors import HearthError
from backend.utils.language import stems
from backend.utils.query_text import sentences

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

MAX_SENTENCES = 3
MAX_EMBEDDED = 48
"""Sentences compared by meaning; the best by words go first."""
MAX_SENTENCE_CHARS = 320
SAME_MEANING = 0.55
"""Cosine at which a sentence answers even without a common word (MiniLM; unrelated pairs stay below 0.3)."""
NEAR_MEANING = 0.35
GOOD_COVERAGE = 0.5
"""Weighted share of the question's words a sentence must have when its meaning is only near."""
FULL_COVERAGE = 0.6
"""The same when there is no embedder, or its language is not the question's."""
CLOSE_TO_BEST = 0.85
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|far|often|big|high)|when|what (?:time|date|year|percentage)|wie ?viele?|"
    r"wie (?:lange?|oft|hoch)|wann|combien|quand|"
    r"cuánt[oa]s?|cuándo|quant[oaie]|quando|quantos|quantas)\b",
    re.IGNORECASE,
)
_LEANS_BACK = re.compile(
    r"^(?:it|this|that|these|those|they|he|she|es|dies\w*|er|sie|il|elle|ils|cela|esto|eso|questo|isso)\b",
    re.IGNORECASE,
)
_OWN_MARKER = re.compile(r"[\[【]\s*(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]】]")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a source; `marker` is the number under which it is cited."""

    text: str
    marker: int


@dataclass(slots=True)
class _Candidate:
    text: str
    marker: int
    place: tuple[int, int]
    """Passage and sentence, both from 0."""
    context: str = ""
    coverage: float = 0.0
    meaning: float | None = None
    score: float = 0.0


async def best_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> list[Passage]:
    """The sentences that answer a question, at most MAX_SENTENCES, in reading order; empty when none does.

    A sentence counts when its meaning is that of the question, or is near and it shares enough of the question's
    words (rarer words weigh more). Goes by words alone when the embedder fails.
    """
    candidates = _candidates(passages)
    asked = stems(question)
    if not candidates or not asked:
        return []
    _weigh_words(asked, candidates)
    candidates.sort(key=lambda each: -each.coverage)
    await _weigh_meaning(question, candidates[:MAX_EMBEDDED], embedder)
    wants_number = bool(_ASKS_NUMBER.search(question))
    answering = [each for each in candidates if _answers(each)]
    for each in answering:
        bonus = 0.08 if wants_number and re.search(r"\d", each.text) else 0.0
        penalty = 0.15 if each.text.endswith("?") or len(each.text.split()) < 3 else 0.0
        meaning = each.meaning if each.meaning is not None else each.coverage
        each.score = 0.6 * meaning + 0.4 * each.coverage + bonus - penalty
    answering.sort(key=lambda each: -each.score)
    chosen = [each for each in answering if each.score >= CLOSE_TO_BEST * answering[0].score][:MAX_SENTENCES]
    return _in_reading_order(chosen, candidates)


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    """Every different sentence once. A heading is not one, but lends its words to the sentence after it."""
    out: list[_Candidate] = []
    seen: set[str] = set()
    for i, passage in enumerate(passages):
        heading = ""
        for j, sentence in enumerate(sentences(passage.text)):
            key = " ".join(sentence.lower().split())
            if _is_heading(sentence):
                heading = sentence
                continue
            if key not in seen:
                seen.add(key)
                out.append(_Candidate(sentence, passage.marker, (i, j), heading))
    return out


def _is_heading(sentence: str) -> bool:
    bare = sentence.strip("# *")
    return sentence.startswith("#") or (
        len(bare.split()) <= 8 and bare[-1:].isalnum() and not re.search(r"\d", bare[-3:]) and ":" not in bare
    )


def _weigh_words(asked: Sequence[str], candidates: Sequence[_Candidate]) -> None:
    """Coverage: share of the question's words a sentence has, each weighted by its rarity among the sentences.

    A word that no sentence has keeps its full weight, so that a question about something else is not covered. A
    heading's words count half.
    """
    own = [set(stems(each.text)) for each in candidates]
    lent = [set(stems(each.context)) if each.context else set() for each in candidates]
    having = Counter(word for words in own for word in words)
    weight = {word: 1 + math.log((1 + len(own)) / (1 + having[word])) / 4 for word in asked}
    total = sum(weight.values())
    for each, words, heading in zip(candidates, own, lent, strict=True):
        got = sum(weight[word] * (1.0 if word in words else 0.5 if word in heading else 0.0) for word in asked)
        each.coverage = got / total


async def _weigh_meaning(question: str, candidates: Sequence[_Candidate], embedder: Embedder) -> None:
    texts = [f"{each.context}: {each.text}" if each.context else each.text for each in candidates]
    try:
        query = await embedder.embed_query(question)
        vectors = await embedder.embed_documents(texts)
    except HearthError:
        return
    for each, similarity in zip(candidates, (vectors @ query).tolist(), strict=True):
        each.meaning = float(similarity)


def _answers(each: _Candidate) -> bool:
    if each.meaning is None:
        return each.coverage >= FULL_COVERAGE
    if each.meaning >= SAME_MEANING and each.coverage > 0:
        return True
    return each.meaning >= NEAR_MEANING and each.coverage >= GOOD_COVERAGE


def _in_reading_order(chosen: list[_Candidate], candidates: Sequence[_Candidate]) -> list[Passage]:
    """The chosen sentences, each that leans on the one before it ("It …") together with that one."""
    by_place = {each.place: each for each in candidates}
    for each in list(chosen):
        before = by_place.get((each.place[0], each.place[1] - 1))
        if before is not None and before not in chosen and _LEANS_BACK.match(each.text):
            chosen.append(before)
    best = min((each.place[0] for each in chosen), default=0)
    first = chosen[0].place[0] if chosen else best
    chosen.sort(key=lambda each: (each.place[0] != first, each.place))
    return [Passage(clean(each.text), each.marker) for each in chosen]


def clean(text: str) -> str:
    """A quoted sentence that cannot be taken for a citation of ours, cut to a readable length."""
    text = _OWN_MARKER.sub(r"(\1)", text.strip().lstrip("#*•–- ").strip())
    return text if len(text) <= MAX_SENTENCE_CHARS else text[: MAX_SENTENCE_CHARS - 1].rsplit(" ", 1)[0] + " …"
