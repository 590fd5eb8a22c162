"""Answers about whole documents without a language model: made of their own sentences. Pure functions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from backend.core.citations_text import plain
from backend.core.whole_document_cues import Whole
from backend.core.whole_document_prompts import EXTRACTED
from backend.core.whole_document_sorts import SORTS
from backend.core.whole_document_text import Item, Passage, as_list, merged, names_of
from backend.utils.language import content_words, stem
from backend.utils.query_text import sentences

SUMMARY_SENTENCES = 8
MIN_WORDS, MAX_WORDS = 6, 45
MAX_SENTENCE_CHARS = 320
MAX_LISTED = 200
MAX_DIFFERENCES = 15
ALIKE = 0.6
"""Share of common words from which two sentences say different things about the same."""
MAX_SENTENCES = 6_000
"""Of each document that are compared."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    marker: int
    place: int
    """Characters of the documents in front of it, about."""
    stems: frozenset[str]


def extracted(task: Whole, query: str, passages: Sequence[Passage], language: str) -> str:
    """The answer to what is asked of the documents, with markers."""
    words = EXTRACTED.get(language, EXTRACTED["en"])
    if task.kind == "compare":
        return _compared(passages, words)
    names = names_of(passages)
    if task.kind == "summary":
        chosen = _telling(_read(passages))
        return _told(words["summary"].format(files=names), chosen) if chosen else words["nothing"].format(files=names)
    sort = next((each for each in SORTS if each.asked.search(query)), None)
    if sort is None and task.kind == "ask":
        return _asked(query, passages, words)
    found = _of_sort(passages, sort.is_in) if sort is not None else _of_sort(passages, _holding(query, task.files))
    if not found:
        return words["nothing"].format(files=names)
    more = f"\n{words['more'].format(count=len(found) - MAX_LISTED)}" if len(found) > MAX_LISTED else ""
    sources = {marker: passage.source for passage in passages for marker in [passage.marker]}
    ordered = [sources.get(marker) or passages[0].source for marker in range(1, max(sources) + 1)]
    return f"{words['list'].format(files=names)}\n\n{as_list(found[:MAX_LISTED], ordered)}{more}"


def cannot_translate(language: str) -> str:
    """Why there is no translation."""
    return EXTRACTED.get(language, EXTRACTED["en"])["translate"]


def _read(passages: Iterable[Passage]) -> list[_Sentence]:
    """The whole sentences of the passages, without headings, rows of tables and scraps."""
    out: list[_Sentence] = []
    place = 0
    for passage in passages:
        for text in _sentences(passage):
            if MIN_WORDS <= len(text.split()) <= MAX_WORDS and text.count("|") < 2:
                out.append(_Sentence(text, passage.marker, place, frozenset(map(stem, content_words(text)))))
            place += len(text)
    return out


def _sentences(passage: Passage) -> list[str]:
    lines = (line for line in passage.source.quote.splitlines() if not line.lstrip().startswith("#"))
    return [each.strip().lstrip("-*•– ").strip() for each in sentences("\n".join(lines))]


def _telling(read: Sequence[_Sentence]) -> list[_Sentence]:
    """The sentence of each stretch of the text that has most of what the whole text speaks of, no two alike."""
    counts = Counter(each for sentence in read for each in sentence.stems)
    weights = {each: math.log(1 + count) for each, count in counts.items() if count > 1}
    stretches = min(SUMMARY_SENTENCES, max(1, len(read) // 2))
    length = max((each.place for each in read), default=0) + 1
    chosen: list[_Sentence] = []
    for stretch in range(stretches):
        there = [each for each in read if each.place * stretches // length == stretch]
        fresh = [each for each in there if all(_share(each, other) < ALIKE for other in chosen)]
        if fresh:
            chosen.append(max(fresh, key=lambda each: _weight(each, weights)))
    return chosen


def _weight(sentence: _Sentence, weights: Mapping[str, float]) -> float:
    total = sum(weights.get(each, 0.0) for each in sentence.stems)
    return total / math.sqrt(4 + len(sentence.stems))


def _share(one: _Sentence, other: _Sentence) -> float:
    return len(one.stems & other.stems) / max(1, min(len(one.stems), len(other.stems)))


def _told(head: str, chosen: Iterable[_Sentence]) -> str:
    return f"{head}\n\n" + "\n".join(f"- {_quoted(each.text)} [{each.marker}]" for each in chosen)


def _quoted(text: str) -> str:
    """A sentence between quotation marks, so that it can be checked; without them where it holds a marker itself."""
    if re.search(r"\[\s*\d", text) or "【" in text:
        return re.sub(r"[\[【]\s*(\d[^\]】]*)[\]】]", r"(\1)", text)
    shown = re.sub(r"[“”„\"«»]", "’", text)
    if len(shown) > MAX_SENTENCE_CHARS:
        shown = f"{shown[:MAX_SENTENCE_CHARS].rsplit(' ', 1)[0]} …"
    return f"“{shown}”"


def _of_sort(passages: Sequence[Passage], holds: Callable[[str], bool]) -> list[Item]:
    """The sentences (and rows) that hold something, each once."""
    return merged(
        Item(_quoted(text), (passage.marker,)) for passage in passages for text in _sentences(passage) if holds(text)
    )


def _holding(query: str, files: Sequence[str]) -> Callable[[str], bool]:
    """For a kind of thing without a look of its own: the sentences that name it."""
    named = {stem(word) for name in files for word in re.findall(r"[^\W_]+", name.casefold())}
    ignored = named | {stem(word) for word in ("single", "list", "extract", "document", "file", "mentioned")}
    wanted = {stem(word) for word in content_words(query)} - ignored
    return lambda text: bool(wanted & {stem(word) for word in content_words(text)})


def _asked(query: str, passages: Sequence[Passage], words: Mapping[str, str]) -> str:
    names = names_of(passages)
    wanted = {stem(word) for word in content_words(query)}
    read = _read(passages)
    counts = Counter(each for sentence in read for each in sentence.stems)
    scored = [(sum(1 / counts[each] for each in sentence.stems & wanted), sentence) for sentence in read]
    best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])[:SUMMARY_SENTENCES]
    if not best:
        return words["nothing"].format(files=names)
    return _told(words["ask"].format(files=names), sorted((each for _, each in best), key=lambda each: each.place))


def _compared(passages: Sequence[Passage], words: Mapping[str, str]) -> str:
    """What of the first two documents is the same, what is said differently, and what only one has."""
    files = list(dict.fromkeys(each.source.file_id or each.filename for each in passages))
    if len(files) < 2:
        return words["nothing"].format(files=names_of(passages))
    one, other = ([each for each in passages if (each.source.file_id or each.filename) == file] for file in files[:2])
    first, second = _read(one)[:MAX_SENTENCES], _read(other)[:MAX_SENTENCES]
    there, here = {plain(each.text) for each in second}, {plain(each.text) for each in first}
    only_first = [each for each in first if plain(each.text) not in there]
    only_second = [each for each in second if plain(each.text) not in here]
    pairs = _pairs(only_first, only_second)
    names = one[0].filename, other[0].filename
    told = [words["compare"].format(a=names[0], b=names[1], same=len(first) - len(only_first))]
    if pairs:
        lines = [
            f"- {names[0]}: {_quoted(a.text)} [{a.marker}]\n  {names[1]}: {_quoted(b.text)} [{b.marker}]"
            for a, b in pairs
        ]
        told.append(_block(words["changed"], lines, words))
    paired = {id(each) for pair in pairs for each in pair}
    for name, rest in zip(names, (only_first, only_second), strict=True):
        lines = [f"- {_quoted(each.text)} [{each.marker}]" for each in rest if id(each) not in paired]
        if lines:
            told.append(_block(words["only"].format(file=name), lines, words))
    return "\n\n".join(told) if len(told) > 1 else f"{told[0]} {words['alike']}"


def _pairs(first: Sequence[_Sentence], second: Sequence[_Sentence]) -> list[tuple[_Sentence, _Sentence]]:
    """Sentences about the same, each with the likeliest of the other document."""
    by_stem: dict[str, list[_Sentence]] = {}
    for each in second:
        for word in each.stems:
            by_stem.setdefault(word, []).append(each)
    taken: set[int] = set()
    pairs: list[tuple[_Sentence, _Sentence]] = []
    for each in first:
        near = Counter(id(other) for word in each.stems for other in by_stem.get(word, ())[:200])
        known = {id(other): other for word in each.stems for other in by_stem.get(word, ())[:200]}
        best = max(
            (known[key] for key, _ in near.most_common(5) if key not in taken),
            key=lambda other: _overlap(each, other),
            default=None,
        )
        if best is not None and _overlap(each, best) >= ALIKE:
            taken.add(id(best))
            pairs.append((each, best))
    return pairs


def _overlap(one: _Sentence, other: _Sentence) -> float:
    return len(one.stems & other.stems) / max(1, len(one.stems | other.stems)) * 1.2


def _block(head: str, lines: Sequence[str], words: Mapping[str, str]) -> str:
    more = [words["more"].format(count=len(lines) - MAX_DIFFERENCES)] if len(lines) > MAX_DIFFERENCES else []
    return "\n".join([head, *lines[:MAX_DIFFERENCES], *more])
