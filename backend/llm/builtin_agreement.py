"""Whether a sentence speaks of what a question asks: its words, and the names, codes and dates that must agree.

"How large is the tank of the A300?" is not answered by what a manual says of the A200, however alike the sentences
are. A sentence may have a word itself, from its heading, from its section or, for ordinary words, from its document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend.llm.builtin_lines import is_record, units
from backend.llm.builtin_question import Asked, codes_in, days_of, shape_of
from backend.models.errors import HearthError
from backend.utils.language import content_words, detect_language, stem, stems

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

COMMON_WEIGHT = 0.2
"""Of a word that is in the file's name or in most passages: it tells the passages apart no more. So for light words."""
COMMON_SHARE = 0.6
MIN_PASSAGES = 3
"""Fewer passages say nothing about which words are common."""
OWN, HEADING, SECTION, DOCUMENT = 1.0, 0.7, 0.6, 0.3
"""What a word counts by where it stands: in the sentence, its heading, its section, elsewhere in its document."""
CLOSE = 0.7
"""Cosine at which two words mean the same thing (MiniLM; "interns" and "employees" reach 0.5)."""
CLOSE_COUNTS = 0.9
MAX_CLOSE_WORDS = 12
_LEANS_BACK = re.compile(
    r"^(?:it|this|that|these|those|they|he|she|es|dies\w*|er|sie|il|elle|ils|cela|esto|eso|questo|isso)\b",
    re.IGNORECASE,
)
_OPPOSITES = tuple(
    frozenset(map(stem, words.split()))
    for words in (
        "monday tuesday wednesday thursday friday saturday sunday weekday weekend weekdays weekends",
        "january february march april may june july august september october november december",
        "landlord tenant lodger owner",
        "employer employee",
        "buyer seller vendor customer supplier",
        "lender borrower",
        "teacher student pupil",
        "husband wife",
        "mother father",
        "minimum maximum",
        "first second third last",
        "start end begin beginning",
        "entry exit",
        "north south east west",
        "left right",
        "daily weekly monthly yearly annual",
        "day week month year hour minute",
        "summer winter spring autumn",
        "cat dog",
        "adult child children",
        "new old",
        "basic premium standard",
    )
)
"""Words that are near in meaning and yet never the same."""


@dataclass(slots=True)
class Candidate:
    """One sentence, row or value of a passage, and how it fits the question."""

    text: str
    marker: int
    place: tuple[int, int]
    """Passage and sentence, both from 0."""
    context: str = ""
    """Its heading, and the sentence before when it leans on that."""
    section: frozenset[str] = frozenset()
    document: frozenset[str] = frozenset()
    title: frozenset[str] = frozenset()
    """Stems of the file's name and of the document's first heading."""
    codes: frozenset[str] = frozenset()
    """Codes it speaks of: its own, else those last named before it in its section."""
    record: bool = False
    language: str = ""
    """Of its passage, as a two-letter code."""
    own: frozenset[str] = frozenset()
    lent: frozenset[str] = frozenset()
    coverage: float = 0.0
    missing: tuple[str, ...] = ()
    """Words asked for that are nowhere near; such a sentence is no answer."""
    agrees: bool = True
    """Whether names, codes, years and days are those of the question."""
    telling: bool = True
    """Has one of the words asked for that are not common to the passages."""
    typed: bool = False
    """Has the kind of thing asked for."""
    meaning: float | None = None
    score: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)


def read_candidates(passages: Sequence[tuple[str, int, str]]) -> list[Candidate]:
    """Every different sentence of the passages (text, marker, file name) once.

    A heading is no candidate, but lends its words to the sentences under it.
    """
    documents = _documents(passages)
    out: list[Candidate] = []
    seen: set[tuple[str, str]] = set()
    for i, (text, marker, filename) in enumerate(passages):
        document, title = documents[filename or str(marker)]
        language = detect_language(text)
        for part in _sections(units(text)):
            stemmed = [frozenset(stems(sentence, language)) for _, sentence in part.sentences]
            words = frozenset[str]().union(*stemmed)
            codes = codes_in(part.heading)
            before = ""
            for (j, sentence), own in zip(part.sentences, stemmed, strict=True):
                codes = codes_in(sentence) or codes
                record = is_record(sentence)
                key = (filename if record else "", " ".join(sentence.lower().split()))
                if key not in seen:
                    seen.add(key)
                    lent = f"{part.heading} {before}".strip() if _LEANS_BACK.match(sentence) else part.heading
                    out.append(
                        Candidate(
                            sentence, marker, (i, j), lent, words, document, title, codes, record, language,
                            own, frozenset(stems(lent, language)) if lent else frozenset(),
                        )
                    )  # fmt: skip
                before = sentence
    return out


@dataclass(slots=True)
class _Section:
    heading: str
    sentences: list[tuple[int, str]]


def _sections(found: Sequence[str]) -> list[_Section]:
    """Sentences with their places, under their headings; a heading right under another one belongs to both."""
    out = [_Section("", [])]
    for place, sentence in enumerate(found):
        if not _is_heading(sentence):
            out[-1].sentences.append((place, sentence))
            continue
        above = "" if out[-1].sentences else out[-1].heading
        out.append(_Section(f"{above} {sentence}".strip(), []))
    return [section for section in out if section.sentences]


def _is_heading(sentence: str) -> bool:
    bare = sentence.strip("# *")
    return sentence.startswith("#") or (
        len(bare.split()) <= 8 and bare[-1:].isalnum() and not re.search(r"\d", bare[-3:]) and ":" not in bare
    )


def _documents(passages: Sequence[tuple[str, int, str]]) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """For every document, by file name or marker, the stems of what is known of it and of its title."""
    words: dict[str, set[str]] = {}
    titles: dict[str, set[str]] = {}
    for text, marker, filename in passages:
        key = filename or str(marker)
        language = detect_language(text)
        words.setdefault(key, set()).update(stems(text, language))
        if key not in titles:
            name = re.sub(r"[_.-]+", " ", filename)
            titles[key] = {
                *stems(name, language),
                *name.lower().split(),
                *(stem(word) for word in name.lower().split()),
            }
        first = text.lstrip().split("\n", 1)[0].strip()
        if len(first) <= 120 and (_is_heading(first) or first.isupper()):
            titles[key].update(stems(first, language))
    return {key: (frozenset(words[key]), frozenset(titles[key])) for key in words}


# ---- words --------------------------------------------------------------------------------------


def weigh_words(asked: Asked, candidates: Sequence[Candidate]) -> None:
    """Fill in coverage, what is missing, agreement and kind of every candidate.

    Coverage is the share of the question's words a sentence has, each weighted by its rarity among the sentences. A
    word that no sentence has keeps its full weight, so that a question about something else is not covered.
    """
    having = Counter(word for each in candidates for word in each.own)
    common = _common(asked, candidates)
    weights = {word: 1 + math.log((1 + len(candidates)) / (1 + having[word])) / 4 for word in asked.words}
    weights.update({word: COMMON_WEIGHT for word in weights if word in common or word in asked.light})
    for each in candidates:
        each.typed = asked.kind is not None and bool(asked.kind.form.search(each.text))
        each.weights = weights
        telling = [word for word in asked.words if word not in common and word not in asked.light]
        each.telling = not common or not telling or any(_level(word, each, asked) >= SECTION for word in telling)
        each.agrees = _agrees(asked, each)
        settle(asked, each, frozenset())


def settle(asked: Asked, each: Candidate, close: frozenset[str]) -> None:
    """Coverage and missing words of a candidate; `close` are words it has in another form."""
    levels = {word: _counted_as(word, asked, each, close) for word in asked.words}
    missing = [word for word, level in levels.items() if not level and word not in asked.light]
    if asked.kind is not None and asked.kind.needed and not each.typed:
        missing.append(asked.kind.name)
    if asked.counted and asked.counted not in each.own and asked.counted not in close and not _amount_of(asked, each):
        missing.append(asked.counted)
    said = [word for word in asked.words if word not in asked.light and word not in (*asked.names, *asked.codes)]
    if said and max(levels[word] for word in said) < SECTION:
        missing += said  # The names alone: it speaks of the same thing, but not of what is asked about it.
    total = sum(each.weights[word] for word in asked.words)
    got = sum(each.weights[word] * level for word, level in levels.items())
    each.coverage = got / total if total else 0.0
    each.missing = tuple(dict.fromkeys(missing))


def _counted_as(word: str, asked: Asked, each: Candidate, close: frozenset[str]) -> float:
    """The level of a word, also where the sentence has it in another form or as the kind of thing it names."""
    if asked.kind is not None and word in asked.kind.named_by and each.typed:
        return OWN
    return max(_level(word, each, asked), CLOSE_COUNTS if word in close else 0.0)


def _amount_of(asked: Asked, each: Candidate) -> bool:
    """Whether what is counted is the subject of the section, or named by the column of a record."""
    return asked.counted in asked.light or (asked.counted or "") in each.lent


def _level(word: str, each: Candidate, asked: Asked) -> float:
    """How near a word of the question stands to a sentence; 0 when nowhere."""
    if (word in each.codes and asked.subject) or _has(each.own, word, asked.language):
        return OWN
    if word in each.lent:
        return HEADING
    if word in each.title:
        return SECTION
    if each.record:
        return 0.0
    if _has(each.section, word, asked.language):
        return SECTION
    return DOCUMENT if _has(each.document, word, asked.language) else 0.0


def _has(words: frozenset[str], word: str, language: str) -> bool:
    """Whether words have this one, or one that differs in its ending; German compounds also by their beginning."""
    if word in words:
        return True
    if len(word) < 5:
        return False
    if any(other == word + word[-1] or word == other + other[-1] for other in words):
        return True
    if language == "de":
        return any(len(other) >= 5 and (other.startswith(word) or word.startswith(other)) for other in words)
    return any(
        min(len(word), len(other)) >= 5 and max(len(word), len(other)) < 7 and abs(len(word) - len(other)) == 1
        and (other.startswith(word) or word.startswith(other))
        for other in words
    )  # fmt: skip


def _common(asked: Asked, candidates: Sequence[Candidate]) -> set[str]:
    """The words asked for that most passages or the files' names have; none when nothing else is asked for."""
    passages: dict[int, set[str]] = {}
    for each in candidates:
        passages.setdefault(each.place[0], set()).update(each.own | each.lent)
    having = Counter(word for words in passages.values() for word in words)
    most = COMMON_SHARE * len(passages) if len(passages) >= MIN_PASSAGES else math.inf
    titles = frozenset[str]().union(*(each.title for each in candidates))
    common = {word for word in asked.words if word in titles or having[word] >= most}
    return common if any(word not in common and word not in asked.light for word in asked.words) else set()


# ---- names, codes, dates ------------------------------------------------------------------------


def _agrees(asked: Asked, each: Candidate) -> bool:
    """Whether a sentence speaks of the very things that the question names."""
    for code in asked.codes:
        if code not in each.codes:
            rivals = {other for other in each.codes if shape_of(other) == shape_of(code)}
            known = any(part in each.document for part in (code, stem(code)))
            if rivals or not known or each.record:
                return False
    if not each.record and asked.language != each.language and not _shared(asked, each):
        return False
    near = each.own | each.lent if each.record else each.own | each.lent | each.section | each.title
    if any(name not in near for name in asked.names):
        return False
    if any(year not in near and year not in each.title for year in asked.years):
        return False
    if asked.days and not set(asked.days) <= set(days_of(f"{each.context} {each.text}")):
        return False
    return (
        asked.paper is None or asked.paper in each.title or asked.paper in each.lent or _paper_like(asked.paper, each)
    )


def _shared(asked: Asked, each: Candidate) -> bool:
    """Whether a sentence of another language shares more with the question than one word, which may be chance."""
    if asked.codes or asked.names:
        return True
    return sum(word in each.own and word not in asked.light for word in asked.words) > 1


def _paper_like(paper: str, each: Candidate) -> bool:
    return any(len(word) >= 4 and (word.startswith(paper) or paper.startswith(word)) for word in each.title)


# ---- other words for the same thing -------------------------------------------------------------


async def close_words(asked: Asked, each: Candidate, embedder: Embedder) -> frozenset[str]:
    """Those missing words for which the sentence or its heading has another word of the same meaning."""
    said = content_words(f"{each.text} {each.context}", each.language)
    there = [word for word in said if stem(word) not in asked.words and not word[0].isdigit()][:MAX_CLOSE_WORDS]
    if not there:
        return frozenset()
    try:
        vectors = await embedder.embed_documents([*(asked.forms.get(word, word) for word in each.missing), *there])
    except HearthError:
        return frozenset()
    found: set[str] = set()
    for index, word in enumerate(each.missing):
        alike = [float(vectors[index] @ vectors[len(each.missing) + at]) for at in range(len(there))]
        best = max(range(len(there)), key=alike.__getitem__)
        if alike[best] >= CLOSE and not _opposed(word, stem(there[best])):
            found.add(word)
    return frozenset(found)


def _opposed(one: str, other: str) -> bool:
    return any(one in words and other in words for words in _OPPOSITES)
