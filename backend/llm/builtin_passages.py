"""Picking the sentences of found passages that answer a question; none when none does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.llm.builtin_agreement import Candidate, close_words, read_candidates, settle, weigh_words
from backend.llm.builtin_question import CONTAINERS, Asked, read_question
from backend.models.errors import HearthError
from backend.utils.language import stem

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

MAX_SENTENCES = 3
MAX_EMBEDDED = 6
"""Sentences compared by meaning: those that may answer, the best by words first. Each costs some milliseconds."""
MAX_SUMMARISED = 32
MAX_NEAREST = 3
"""The same when none may answer, and only the nearest is looked for."""
MAX_REREAD = 1
"""Sentences in which other words for what they lack are looked for."""
CLEARLY = 0.12
"""How far the coverage of a sentence that has everything must be ahead of the next to need no comparison by meaning."""
MAX_SENTENCE_CHARS = 320
SAME_MEANING = 0.53
"""Cosine at which a sentence answers even with few common words (MiniLM; unrelated pairs stay below 0.3)."""
NEAR_MEANING = 0.35
GOOD_COVERAGE = 0.5
"""Weighted share of the question's words a sentence must have when its meaning is only near."""
FULL_COVERAGE = 0.6
"""The same when there is no embedder, or its language is not the question's."""
ALL_COVERAGE = 0.9
"""Enough for any sentence: it has all that is asked for, in its own words or its heading's."""
CLOSE_TO_BEST = 0.85
NEAR_MISS = 0.6
"""Meaning plus half the coverage from which the best sentence is worth showing as the nearest, not as the answer."""
TYPE_BONUS = 0.12
"""For a sentence with the kind of thing asked for: an amount or date, a person."""
RANK_PENALTY = 0.005
"""For each place down in the order of the search: it breaks ties only."""
TYPED_MEANING = 0.15
TYPED_COVERAGE = 0.7
"""Enough for a sentence that has the kind of thing asked for."""
_LEANS_BACK = re.compile(
    r"^(?:it|this|that|these|those|they|he|she|es|dies\w*|er|sie|il|elle|ils|cela|esto|eso|questo|isso)\b",
    re.IGNORECASE,
)
_OWN_MARKER = re.compile(r"[\[【]\s*(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]】]")
_SUMMARY = re.compile(
    r"\b(?:summari[sz]e|summary|overview|main (?:points|ideas)|key (?:points|findings)|gist|fasse|zusammenfassung|"
    r"überblick|"
    r"résume[rz]?|résumé|aperçu|resume|resumen|riassumi|riassunto|resuma|resumo)\b|\bwhat\b.{0,40}\babout\W*$",
    re.IGNORECASE,
)
_SUMMARY_WORD_LIST = (
    "summarise summarize summary overview main key point points ideas findings gist fasse zusammen kurz short "
    "zusammenfassung überblick brief résume résumer résumé aperçu resume resumen riassumi riassunto resuma resumo"
)
_SUMMARY_WORDS = frozenset(map(stem, _SUMMARY_WORD_LIST.split()))
SUMMARY_SENTENCES = 4


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a source; `marker` is the number under which it is cited, `filename` may be empty."""

    text: str
    marker: int
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Sentences in reading order. `certain` is False for one that is only the nearest there is."""

    sentences: tuple[Passage, ...] = ()
    certain: bool = True


async def best_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> Found:
    """The sentences that answer a question, at most MAX_SENTENCES; none when none does.

    A sentence counts when it agrees with what the question names, and its meaning is that of the question or it
    shares enough of its words (rarer words weigh more). Goes by words alone when the embedder fails.
    """
    asked = read_question(question)
    candidates = read_candidates([(each.text, each.marker, each.filename) for each in passages])
    if candidates and _SUMMARY.search(question) and all(word in _SUMMARY_WORDS | CONTAINERS for word in asked.words):
        return Found(await _central(candidates, embedder))
    if not candidates or not asked.words:
        return Found()
    weigh_words(asked, candidates)
    for each in candidates:
        _score(each)
    candidates.sort(key=lambda each: -each.score)
    plausible = _of_the_kind([each for each in candidates if each.agrees and not each.missing])
    if not _decided(plausible):
        compared = plausible[:MAX_EMBEDDED] or _lacking_little(candidates)[:MAX_NEAREST]
        await _weigh_meaning(asked, compared, embedder)
        for each in candidates:
            _score(each)
    if not plausible:
        await _accept_close_words(asked, candidates, embedder)
    answering = sorted((each for each in plausible or candidates if _answers(each)), key=lambda each: -each.score)
    if not answering:
        return _nearest(candidates)
    chosen = [each for each in answering if each.score >= CLOSE_TO_BEST * answering[0].score][:MAX_SENTENCES]
    return Found(_in_reading_order(chosen, candidates))


def _of_the_kind(plausible: list[Candidate]) -> list[Candidate]:
    """Those with the kind of thing asked for, where one of them has as many of the words as the others."""
    most = max((each.coverage for each in plausible), default=0.0)
    typed = [each for each in plausible if each.typed]
    return typed if any(each.coverage >= most - CLEARLY for each in typed) else plausible


def _decided(plausible: Sequence[Candidate]) -> bool:
    """Whether one sentence has all that is asked for, and no other comes near."""
    if not plausible or plausible[0].coverage < ALL_COVERAGE:
        return False
    return len(plausible) == 1 or plausible[1].coverage < plausible[0].coverage - CLEARLY


def _lacking_little(candidates: Sequence[Candidate]) -> list[Candidate]:
    """When no sentence has everything: those that agree in names first, and lack the least."""
    return sorted(candidates, key=lambda each: (not each.agrees, len(each.missing), -each.score))


def _score(each: Candidate) -> None:
    bonus = TYPE_BONUS if each.typed else 0.0
    penalty = 0.15 if each.text.endswith("?") or len(each.text.split()) < 3 else 0.0
    meaning = each.meaning if each.meaning is not None else each.coverage
    each.score = 0.6 * meaning + 0.4 * each.coverage + bonus - penalty - RANK_PENALTY * each.place[0]


async def _accept_close_words(asked: Asked, candidates: Sequence[Candidate], embedder: Embedder) -> None:
    """Another word for the same thing counts as the word: tried for the best sentences that lack just one."""
    lacking = [
        each for each in candidates if each.agrees and len(each.missing) == 1 and (each.meaning or 0) >= NEAR_MEANING
    ]
    for each in sorted(lacking, key=lambda each: -each.score)[:MAX_REREAD]:
        found = await close_words(asked, each, embedder)
        if found:
            settle(asked, each, found)
            _score(each)


async def _central(candidates: Sequence[Candidate], embedder: Embedder) -> tuple[Passage, ...]:
    """For a summary: the sentences nearest to the mean of all, no two alike; the first ones when the embedder fails."""
    whole = [each for each in candidates if len(each.text.split()) >= 5][:MAX_SUMMARISED] or list(
        candidates[:MAX_SUMMARISED]
    )
    try:
        vectors = await embedder.embed_documents([each.text for each in whole])
    except HearthError:
        return _in_reading_order(whole[:SUMMARY_SENTENCES], whole)
    nearness = vectors @ vectors.mean(axis=0)
    chosen: list[int] = []
    for index in nearness.argsort()[::-1].tolist():
        if all(float(vectors[index] @ vectors[other]) < 0.8 for other in chosen):
            chosen.append(index)
        if len(chosen) == SUMMARY_SENTENCES:
            break
    return _in_reading_order([whole[index] for index in sorted(chosen)], candidates)


def _nearest(candidates: Sequence[Candidate]) -> Found:
    near = [
        each
        for each in candidates
        if each.coverage > 0 and each.meaning is not None and each.meaning + each.coverage / 2 >= NEAR_MISS
    ]
    if not near:
        return Found()
    best = max(near, key=lambda each: (each.meaning or 0.0) + each.coverage / 2)
    return Found((Passage(clean(best.text), best.marker),), certain=False)


async def _weigh_meaning(asked: Asked, candidates: Sequence[Candidate], embedder: Embedder) -> None:
    texts = [f"{each.context}: {each.text}" if each.context else each.text for each in candidates]
    subject = " ".join(word for word in asked.text.split() if stem(word.lower().strip("?!.,:;'\"")) not in CONTAINERS)
    try:
        query = await embedder.embed_query(subject or asked.text)
        vectors = await embedder.embed_documents(texts)
    except HearthError:
        return
    for each, vector in zip(candidates, vectors, strict=True):
        each.meaning = float(vector @ query)


def _answers(each: Candidate) -> bool:
    if not each.telling or not each.agrees or each.missing:
        return False
    if each.coverage >= ALL_COVERAGE:
        return each.meaning is None or each.meaning >= TYPED_MEANING
    if each.typed and each.coverage >= TYPED_COVERAGE and (each.meaning is None or each.meaning >= TYPED_MEANING):
        return True
    if each.meaning is None:
        return each.coverage >= FULL_COVERAGE
    if each.meaning >= SAME_MEANING and each.coverage > 0:
        return True
    return each.meaning >= NEAR_MEANING and each.coverage >= GOOD_COVERAGE


def _in_reading_order(chosen: list[Candidate], candidates: Sequence[Candidate]) -> tuple[Passage, ...]:
    """The chosen sentences, each that leans on the one before it ("It …") together with that one."""
    by_place = {each.place: each for each in candidates}
    for each in list(chosen):
        before = by_place.get((each.place[0], each.place[1] - 1))
        if before is not None and before not in chosen and _LEANS_BACK.match(each.text):
            chosen.append(before)
    best = min((each.place[0] for each in chosen), default=0)
    first = chosen[0].place[0] if chosen else best
    chosen.sort(key=lambda each: (each.place[0] != first, each.place))
    return tuple(Passage(clean(each.text), each.marker) for each in chosen)


def clean(text: str) -> str:
    """A quoted sentence that cannot be taken for a citation of ours, cut to a readable length."""
    text = _OWN_MARKER.sub(r"(\1)", text.replace("```", "").strip().lstrip("#*•–- ").strip())
    return text if len(text) <= MAX_SENTENCE_CHARS else text[: MAX_SENTENCE_CHARS - 1].rsplit(" ", 1)[0] + " …"
