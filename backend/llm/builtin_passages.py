"""Picking the sentences of found passages that answer a question; none when none does."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.llm.builtin_lines import units
from backend.models.errors import HearthError
from backend.utils.language import stem, stems

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

MAX_SENTENCES = 3
MAX_EMBEDDED = 48
"""Sentences compared by meaning; the best by words go first."""
MAX_SENTENCE_CHARS = 320
SAME_MEANING = 0.53
"""Cosine at which a sentence answers even without a common word (MiniLM; unrelated pairs stay below 0.3)."""
NEAR_MEANING = 0.35
GOOD_COVERAGE = 0.5
"""Weighted share of the question's words a sentence must have when its meaning is only near."""
FULL_COVERAGE = 0.6
"""The same when there is no embedder, or its language is not the question's."""
CLOSE_TO_BEST = 0.85
NEAR_MISS = 0.6
"""Meaning plus half the coverage from which the best sentence is worth showing as the nearest, not as the answer."""
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|far|often|big|high|heavy|large|late)|when|what (?:time|date|year|percentage)|"
    r"wie ?viele?|"
    r"wie (?:lange?|oft|hoch)|wann|combien|quand|"
    r"cuánt[oa]s?|cuándo|quant[oaie]|quando|quantos|quantas)\b",
    re.IGNORECASE,
)
_ASKS_WHO = re.compile(r"^\W*(?:who(?:se|m)?|by whom|wer|wem|wen|wessen|qui|quién(?:es)?|chi|quem)\b", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|once|twice|noon|midnight|"
    r"zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf|deux|trois|quatre|cinq|sept|huit|neuf|"
    r"dix|dos|tres|cuatro|cinco|seis|due|tre|quattro|cinque|sei|dois)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"\b[A-ZÀ-Þ][a-zà-ÿ'’-]+ [A-ZÀ-Þ][\w'’-]+|\b(?:by|von|par|por|da) [A-ZÀ-Þ]\w+")
TYPE_BONUS = 0.12
"""For a sentence with the kind of thing asked for: an amount or date, a person."""
COMMON_WEIGHT = 0.2
"""Of a word that is in the file's name or in most passages: it tells the passages apart no more."""
COMMON_SHARE = 0.6
MIN_PASSAGES = 3
"""Fewer passages say nothing about which words are common."""
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


_CONTAINER_WORDS = (
    "document documents file files pdf handbook manual contract report paper text upload uploaded attachment says "
    "state "
    "states mention mentions according tell find section passage dokument dokumente dokumenten datei handbuch vertrag "
    "bericht laut unterlagen fichier manuel contrat rapport documento documentos archivo contrato informe documenti "
    "contratto rapporto manuale arquivo relatorio"
)
_CONTAINERS = frozenset(map(stem, _CONTAINER_WORDS.split()))
_MEASURE_WORDS = "long many much often old far big high large heavy late lang lange hoch oft alt weit groß schwer"
_MEASURES = frozenset(map(stem, _MEASURE_WORDS.split()))
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


@dataclass(slots=True)
class _Candidate:
    text: str
    marker: int
    place: tuple[int, int]
    """Passage and sentence, both from 0."""
    context: str = ""
    coverage: float = 0.0
    telling: bool = True
    """Has one of the words asked for that are not common to the passages."""
    typed: bool = False
    """Has the kind of thing asked for."""
    meaning: float | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """Sentences in reading order. `certain` is False for one that is only the nearest there is."""

    sentences: tuple[Passage, ...] = ()
    certain: bool = True


async def best_sentences(question: str, passages: Sequence[Passage], embedder: Embedder) -> Found:
    """The sentences that answer a question, at most MAX_SENTENCES; none when none does.

    A sentence counts when its meaning is that of the question, or is near and it shares enough of the question's
    words (rarer words weigh more). Goes by words alone when the embedder fails.
    """
    candidates = _candidates(passages)
    asked = _asked(question)
    if candidates and _SUMMARY.search(question) and all(word in _SUMMARY_WORDS | _CONTAINERS for word in asked):
        return Found(await _central(candidates, embedder))
    if not candidates or not asked:
        return Found()
    _weigh_words(asked, candidates, _common(asked, passages))
    kind = _AMOUNT if _ASKS_NUMBER.search(question) else _PERSON if _ASKS_WHO.match(question) else None
    for each in candidates:
        each.typed = kind is not None and bool(kind.search(each.text))
    candidates.sort(key=lambda each: -each.coverage)
    await _weigh_meaning(question, candidates[:MAX_EMBEDDED], embedder)
    answering = [each for each in candidates if _answers(each)]
    for each in answering:
        bonus = TYPE_BONUS if each.typed else 0.0
        penalty = 0.15 if each.text.endswith("?") or len(each.text.split()) < 3 else 0.0
        meaning = each.meaning if each.meaning is not None else each.coverage
        each.score = 0.6 * meaning + 0.4 * each.coverage + bonus - penalty
        each.score -= RANK_PENALTY * each.place[0]
    if not answering:
        return _nearest(candidates)
    answering.sort(key=lambda each: -each.score)
    chosen = [each for each in answering if each.score >= CLOSE_TO_BEST * answering[0].score][:MAX_SENTENCES]
    return Found(_in_reading_order(chosen, candidates))


def _asked(question: str) -> list[str]:
    """Stems of what is asked, without the words for where it should be found ("the handbook says")."""
    every = stems(question)
    return [word for word in every if word not in _CONTAINERS] or every


async def _central(candidates: Sequence[_Candidate], embedder: Embedder) -> tuple[Passage, ...]:
    """For a summary: the sentences nearest to the mean of all, no two alike; the first ones when the embedder fails."""
    whole = [each for each in candidates if len(each.text.split()) >= 5][:MAX_EMBEDDED] or list(
        candidates[:MAX_EMBEDDED]
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


def _nearest(candidates: Sequence[_Candidate]) -> Found:
    near = [
        each
        for each in candidates
        if each.coverage > 0 and each.meaning is not None and each.meaning + each.coverage / 2 >= NEAR_MISS
    ]
    if not near:
        return Found()
    best = max(near, key=lambda each: (each.meaning or 0.0) + each.coverage / 2)
    return Found((Passage(clean(best.text), best.marker),), certain=False)


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    """Every different sentence once. A heading is not one, but lends its words to the sentence after it."""
    out: list[_Candidate] = []
    seen: set[str] = set()
    for i, passage in enumerate(passages):
        heading = ""
        before = ""
        for j, sentence in enumerate(units(passage.text)):
            key = " ".join(sentence.lower().split())
            if _is_heading(sentence):
                heading = sentence
                continue
            if key not in seen:
                seen.add(key)
                lent = f"{heading} {before}".strip() if _LEANS_BACK.match(sentence) else heading
                out.append(_Candidate(sentence, passage.marker, (i, j), lent))
            before = sentence
    return out


def _is_heading(sentence: str) -> bool:
    bare = sentence.strip("# *")
    return sentence.startswith("#") or (
        len(bare.split()) <= 8 and bare[-1:].isalnum() and not re.search(r"\d", bare[-3:]) and ":" not in bare
    )


def _common(asked: Sequence[str], passages: Sequence[Passage]) -> set[str]:
    """The words asked for that most passages or the files' names have; none when nothing else is asked for."""
    named = {word for each in passages for word in stems(re.sub(r"[_.-]", " ", each.filename.rsplit(".", 1)[0]))}
    having = Counter(word for each in passages for word in set(stems(each.text)))
    most = COMMON_SHARE * len(passages) if len(passages) >= MIN_PASSAGES else math.inf
    common = {word for word in asked if word in named or having[word] >= most}
    return common if any(word not in common and word not in _MEASURES for word in asked) else set()


def _weigh_words(asked: Sequence[str], candidates: Sequence[_Candidate], common: set[str]) -> None:
    """Coverage: share of the question's words a sentence has, each weighted by its rarity among the sentences.

    A word that no sentence has keeps its full weight, so that a question about something else is not covered. A
    heading's words count half, and common words hardly.
    """
    own = [set(stems(each.text)) for each in candidates]
    lent = [set(stems(each.context)) if each.context else set() for each in candidates]
    having = Counter(word for words in own for word in words)
    weight = {word: 1 + math.log((1 + len(own)) / (1 + having[word])) / 4 for word in asked}
    weight.update({word: COMMON_WEIGHT for word in weight if word in common})
    if common:
        weight.update({word: COMMON_WEIGHT for word in weight if word in _MEASURES})
    total = sum(weight.values())
    for each, words, heading in zip(candidates, own, lent, strict=True):
        got = sum(weight[word] * (1.0 if word in words else 0.5 if word in heading else 0.0) for word in asked)
        each.coverage = got / total
        each.telling = not common or any(
            word in words or word in heading for word in asked if word not in common and word not in _MEASURES
        )


async def _weigh_meaning(question: str, candidates: Sequence[_Candidate], embedder: Embedder) -> None:
    texts = [f"{each.context}: {each.text}" if each.context else each.text for each in candidates]
    subject = " ".join(word for word in question.split() if stem(word.lower().strip("?!.,:;'\"")) not in _CONTAINERS)
    try:
        queries = [await embedder.embed_query(text) for text in dict.fromkeys((question, subject)) if text]
        vectors = await embedder.embed_documents(texts)
    except HearthError:
        return
    for each, vector in zip(candidates, vectors, strict=True):
        each.meaning = max(float(vector @ query) for query in queries)


def _answers(each: _Candidate) -> bool:
    if not each.telling:
        return False
    if each.typed and each.coverage >= TYPED_COVERAGE and (each.meaning is None or each.meaning >= TYPED_MEANING):
        return True
    if each.meaning is None:
        return each.coverage >= FULL_COVERAGE
    if each.meaning >= SAME_MEANING and each.coverage > 0:
        return True
    return each.meaning >= NEAR_MEANING and each.coverage >= GOOD_COVERAGE


def _in_reading_order(chosen: list[_Candidate], candidates: Sequence[_Candidate]) -> tuple[Passage, ...]:
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
    text = _OWN_MARKER.sub(r"(\1)", text.strip().lstrip("#*•–- ").strip())
    return text if len(text) <= MAX_SENTENCE_CHARS else text[: MAX_SENTENCE_CHARS - 1].rsplit(" ", 1)[0] + " …"
