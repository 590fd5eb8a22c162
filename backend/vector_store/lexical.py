"""BM25 over document chunks, kept in memory and changed in place: the lexical half of every vector store."""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

import numpy as np

K1 = 1.5
B = 0.75
MAX_WORD = 64
"""Characters of a word that count; longer ones are encoded data rather than language."""
MAX_QUERY_WORDS = 256
COMPACT_FROM = 256

STOP_WORDS = frozenset(
    """a about am an and any are as at be been being but by can could did do does doing for from had has have having he
    her hers him his how i if in into is it its me my no nor not of on or our ours she should so some such than that the
    their theirs them then there these they this those to us was we were what when where which who whom whose why will
    with would you your yours""".split()  # noqa: SIM905
)
"""English words that say nothing about a document's subject, with the ones questions are made of."""

_CONTRACTION = re.compile(r"['’](?:s|t|d|m|ll|re|ve)\b")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Vowel signs of South and Southeast Asian scripts and of Hebrew and Arabic are marks, not letters, yet belong to words.
_WORD = re.compile(
    r"(?:[^\W_]|[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e00-\u109f])+"
)
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)
"""Scripts written without spaces: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
_LATIN_ACCENT = re.compile(r"[\u0300-\u036f]")

Key = TypeVar("Key", bound=Hashable)


def split_words(text: str) -> list[str]:
    """Lower-case words without accents, in order; runs of scripts without spaces become overlapping pairs."""
    folded = _CONTRACTION.sub("", text.casefold())
    if folded.isascii():
        return _ASCII_WORD.findall(folded)
    decomposed = unicodedata.normalize("NFKD", folded)
    folded = unicodedata.normalize("NFC", _LATIN_ACCENT.sub("", decomposed)).casefold()
    words: list[str] = []
    for word in _WORD.findall(folded):
        if word.isascii() or _UNSPACED.search(word) is None:
            words.append(word)
        else:
            words.extend(_pairs(word))
    return words


def _pairs(word: str) -> list[str]:
    """`東京都2020` -> `東京`, `京都`, `2020`: neighbouring characters stand in for words nobody marked."""
    out: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > end:
            out.append(word[end : run.start()])
        end = run.end()
        piece = run.group()
        out += [piece[i : i + 2] for i in range(len(piece) - 1)] or [piece]
    if end < len(word):
        out.append(word[end:])
    return out


class _Terms(dict[str, str]):
    """Word -> term, "" for a stop word: stemming costs far more than this look-up."""

    def __init__(self) -> None:
        import snowballstemmer

        super().__init__()
        self._stem = snowballstemmer.stemmer("english").stemWord

    def __missing__(self, word: str) -> str:
        term = "" if word in STOP_WORDS else self._stem(word[:MAX_WORD]) if word.isascii() else word[:MAX_WORD]
        self[word] = term
        return term


class LexicalIndex(Generic[Key]):
    """Texts under keys, found by their words. Not safe for threads: its store keeps one user's calls apart.

    Score of a text for a query, summed over the query's words (a repeated word counts again):
    idf * tf / (tf + k1 * (1 - b + b * length / average length)), idf = ln(1 + (N - df + 0.5) / (df + 0.5)),
    with k1 = 1.5 and b = 0.75; words stemmed (English), stop words left out.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), in the form Lucene has since 8.0.
    Cost: a search reads the postings of its words alone; adding and removing never rebuild the rest.
    """

    def __init__(self) -> None:
        self._terms = _Terms()
        self._postings: dict[str, array[int]] = {}
        """Term -> slot, count, slot, count…; slots of removed texts stay until the next compaction."""
        self._slots: dict[Key, int] = {}
        self._keys: list[Key | None] = []
        self._lengths = array("I")
        """Words of the text in each slot; 0 when removed."""
        self._total = 0

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, key: Key, text: str) -> None:
        """Put a text under a key, in place of what was there."""
        self.remove(key)
        counts = self._counts(text)
        slot = len(self._keys)
        self._keys.append(key)
        self._slots[key] = slot
        length = counts.total()
        self._lengths.append(length)
        self._total += length
        for term, count in counts.items():
            posting = self._postings.get(term)
            if posting is None:
                posting = self._postings[term] = array("I")
            posting.append(slot)
            posting.append(count)

    def remove(self, key: Key) -> None:
        """Forget a text; unknown keys are ignored."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        self._total -= self._lengths[slot]
        self._lengths[slot] = 0
        self._keys[slot] = None
        if len(self._keys) > COMPACT_FROM and len(self._slots) * 2 < len(self._keys):
            self._compact()

    def search(self, text: str, limit: int, allowed: Collection[Key] | None = None) -> list[tuple[Key, float]]:
        """The best `limit` keys with scores above 0, best first; equal scores in the order of adding.

        `allowed` limits what is found, not what the word statistics are taken from.
        """
        wanted = self._counts(text).most_common(MAX_QUERY_WORDS)
        if not self._slots or not wanted or limit < 1:
            return []
        lengths = np.frombuffer(self._lengths, dtype=np.uint32)
        average = max(1.0, self._total / len(self._slots))
        damping = np.float32(K1 * (1 - B)) + np.float32(K1 * B / average) * lengths.astype(np.float32)
        scores = np.zeros(len(lengths), dtype=np.float32)
        for term, times in wanted:
            posting = self._postings.get(term)
            if posting is None:
                continue
            pairs = np.frombuffer(posting, dtype=np.uint32).reshape(-1, 2)
            pairs = pairs[lengths[pairs[:, 0]] > 0]
            slots, counts = pairs[:, 0], pairs[:, 1].astype(np.float32)
            rarity = math.log(1 + (len(self._slots) - len(slots) + 0.5) / (len(slots) + 0.5))
            scores[slots] += np.float32(times * rarity) * counts / (counts + damping[slots])
        if allowed is not None:
            mask = np.zeros(len(scores), dtype=bool)
            mask[[slot for slot in map(self._slots.get, allowed) if slot is not None]] = True
            scores[~mask] = 0
        return [(key, float(scores[slot])) for slot in _best(scores, limit) if (key := self._keys[slot]) is not None]

    def _counts(self, text: str) -> Counter[str]:
        """How often each term stands in a text; stop words do not count."""
        counts = Counter(map(self._terms.__getitem__, split_words(text)))
        del counts[""]
        return counts

    def _compact(self) -> None:
        """Drop removed texts from all postings, and the words that no text has any more."""
        kept = np.array([slot for slot, key in enumerate(self._keys) if key is not None], dtype=np.int64)
        moved = np.full(len(self._keys), -1, dtype=np.int64)
        moved[kept] = np.arange(len(kept))
        postings: dict[str, array[int]] = {}
        for term, posting in self._postings.items():
            pairs = np.frombuffer(posting, dtype=np.uint32).reshape(-1, 2)
            pairs = pairs[moved[pairs[:, 0]] >= 0].copy()
            if len(pairs):
                pairs[:, 0] = moved[pairs[:, 0]]
                postings[term] = array("I", pairs.tobytes())
        self._postings = postings
        self._lengths = array("I", np.frombuffer(self._lengths, dtype=np.uint32)[kept].tobytes())
        self._keys = [key for key in self._keys if key is not None]
        self._slots = {key: slot for slot, key in enumerate(self._keys) if key is not None}
        self._terms = _Terms()


def _best(scores: np.ndarray, limit: int) -> list[int]:
    """Positions of the `limit` highest scores above 0, highest first, equal ones in order."""
    found = np.flatnonzero(scores > 0)
    if len(found) > limit:
        threshold = np.partition(scores[found], len(found) - limit)[len(found) - limit]
        found = found[scores[found] >= threshold]
    order = np.argsort(-scores[found], kind="stable")[:limit]
    return [int(slot) for slot in found[order]]
