"""From text to terms: words, stemmed in the language of their document, as the numbers that postings are kept under.

A term is a hash of 64 bits, so that nothing of a deleted document can be read in an index's dictionary.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import PurePath

from backend.vector_store.languages import STEMMERS, STOP_WORDS

MAX_WORD = 64
"""Characters of a word that count; longer ones are encoded data rather than language."""
MAX_QUERY_WORDS = 256
MAX_CACHED = 50_000
"""Words of a language whose terms are remembered; about 150 bytes each."""

_CONTRACTION = re.compile(r"['’](?:s|t|d|m|ll|re|ve)\b")
_ELISION = re.compile(r"\b(?:[cdjlmnst]|qu|dell|nell|sull|all|dall|un)['’](?=\w)")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Vowel signs of South and Southeast Asian scripts and of Hebrew and Arabic are marks, not letters, yet belong to words.
_WORD = re.compile(
    r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e00-\u109f])+"
)
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)
"""Scripts written without spaces: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
_ACCENT = re.compile(r"[\u0300-\u036f]")
_NAME_WORD = re.compile(r"[^\W\d_]{3,}")


def split_words(text: str) -> list[str]:
    """Lower-case words in order, accents kept; runs of scripts without spaces become overlapping pairs."""
    folded = _ELISION.sub("", _CONTRACTION.sub("", text.casefold()))
    if folded.isascii():
        return _ASCII_WORD.findall(folded)
    folded = unicodedata.normalize("NFKC", folded).casefold()
    words: list[str] = []
    for word in _WORD.findall(folded):
        if word.isascii() or _UNSPACED.search(word) is None:
            words.append(word)
        else:
            words.extend(_pairs(word))
    return words


def without_accents(word: str) -> str:
    """`café` -> `cafe`; marks of other scripts, which tell words apart, stay."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", word)))


def name_words(filename: str) -> str:
    """What a file's name may be asked for with: its words of letters, without the ending."""
    return " ".join(_NAME_WORD.findall(PurePath(filename).stem))


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


class Words:
    """Terms of texts in any language, remembered between texts. May be used by several threads."""

    def __init__(self) -> None:
        self._languages: dict[str, _Language] = {}
        self._lock = threading.Lock()

    def terms(self, text: str, language: str) -> list[int]:
        """The terms of a text in a language (as `languages.language_of` names it), stop words left out."""
        known = self._language(language)
        return [term for term in map(known.__getitem__, split_words(text)) if term]

    def query(self, text: str, languages: Collection[str]) -> list[tuple[tuple[int, ...], int]]:
        """For each word of a query its terms in all these languages, and how often it stands there."""
        known = [self._language(language) for language in sorted(languages)]
        counted: Counter[tuple[int, ...]] = Counter()
        for word in split_words(text):
            terms = tuple(dict.fromkeys(term for language in known if (term := language[word])))
            if terms:
                counted[terms] += 1
        return counted.most_common(MAX_QUERY_WORDS)

    def _language(self, language: str) -> _Language:
        with self._lock:
            found = self._languages.get(language)
            if found is None or len(found) > MAX_CACHED:
                found = self._languages[language] = _Language(language)
            return found


class _Language(dict[str, int]):
    """Word -> term, 0 for a stop word: stemming costs far more than this look-up."""

    def __init__(self, language: str) -> None:
        import snowballstemmer

        super().__init__()
        self._name = language
        self._stop = STOP_WORDS.get(language, frozenset())
        algorithm = STEMMERS.get(language)
        self._stemmer = None if algorithm is None else snowballstemmer.stemmer(algorithm)
        self._lock = threading.Lock()

    def __missing__(self, word: str) -> int:
        self[word] = term = 0 if word in self._stop else term_of(*self._stemmed(word[:MAX_WORD]))
        return term

    def _stemmed(self, word: str) -> tuple[str, str]:
        """The stem and its language; words that no stemmer is for belong to none."""
        plain = without_accents(word)
        if self._stemmer is None or not word.isalpha() or (self._name == "en" and not plain.isascii()):
            return plain, ""
        with self._lock:  # a stemmer keeps its state between its steps
            stem = self._stemmer.stemWord(plain if self._name == "en" else word)
        return without_accents(stem), self._name


def term_of(stem: str, language: str) -> int:
    """The term of a stem, never 0."""
    digest = hashlib.blake2b(f"{language}:{stem}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def sample(texts: Iterable[str], most: int = 4000) -> str:
    """As much of the beginning of texts as shows their language, in characters."""
    taken: list[str] = []
    size = 0
    for text in texts:
        taken.append(text[: most - size])
        size += len(taken[-1])
        if size >= most:
            break
    return "\n".join(taken)
