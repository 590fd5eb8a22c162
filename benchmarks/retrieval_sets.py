"""Collections to measure retrieval on: one in BEIR form, and known-item ones made of what this machine has installed.

A known-item query is made of a few words of one passage of one document, which is then the only right answer. The same
files give the same collection: the choice is by a seeded generator.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS, GERMAN_MANUALS = Path("/usr/share/doc"), Path("/usr/share/man/de")
MAX_DOCUMENTS = 400
MAX_CHARS = 6000
"""What is taken of a document's beginning, so that no collection is one long manual."""
MIN_CHARS = 800
MAX_OF_PACKAGE = 12
QUERIES = 200
SEED = 6
_PLAIN = re.compile(r"(?:README|NEWS|FAQ|TODO|HACKING)[\w.-]*|[\w.+-]+\.(?:txt|md|rst)")
_LEFT_OUT = re.compile(r"NEWS\.Debian|README\.Debian|changelog|copyright|LICEN[CS]E", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?\n][^.!?]{40,240}[.!?](?=\s|$)")
_WORD = re.compile(r"[^\W\d_]{3,}")

Judgements = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents by id, questions by id, and for each question the grades of its documents."""

    name: str
    about: str
    documents: dict[str, str]
    queries: dict[str, str]
    judged: Judgements

    def cut(self, limit: int | None) -> Collection:
        """The first documents alone, and the questions that these can answer; all of them without a limit."""
        if limit is None or limit >= len(self.documents):
            return self
        documents = dict(list(self.documents.items())[:limit])
        judged = {query: own for query, grades in self.judged.items() if (own := _within(grades, documents))}
        return Collection(self.name, self.about, documents, {query: self.queries[query] for query in judged}, judged)


def _within(grades: dict[str, int], documents: dict[str, str]) -> dict[str, int]:
    return {document: grade for document, grade in grades.items() if document in documents}


def beir(folder: Path, split: str = "test") -> Collection:
    """`corpus.jsonl`, `queries.{split}.jsonl`, `qrels.{split}.tsv`."""
    documents = {each["_id"]: f"{each['title']}\n{each['text']}" for each in _lines(folder / "corpus.jsonl")}
    judged: Judgements = {}
    for line in (folder / f"qrels.{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    asked = {each["_id"]: each["text"] for each in _lines(folder / f"queries.{split}.jsonl")}
    return Collection(folder.name, f"{split} queries", documents, {query: asked[query] for query in judged}, judged)


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def installed_docs() -> Collection:
    """READMEs and the like of installed packages, asked for with three of the rarer words of a sentence."""
    documents: dict[str, str] = {}
    of_package: Counter[str] = Counter()
    for path in sorted(DOCS.glob("**/*")) if DOCS.is_dir() else ():
        package, name = path.relative_to(DOCS).parts[0], path.name.removesuffix(".gz")
        if of_package[package] >= MAX_OF_PACKAGE or not _PLAIN.fullmatch(name) or _LEFT_OUT.search(name):
            continue
        text = _text(path)
        if text is not None and len(text) >= MIN_CHARS and text[:MAX_CHARS] not in documents.values():
            documents[f"{package}-{len(documents)}"] = text[:MAX_CHARS]
            of_package[package] += 1
    return _known_items("usr-share-doc", "keywords, English", _sample(documents), _keywords)


def german_manuals() -> Collection:
    """German manual pages, asked for with a sentence of theirs that lacks every third word."""
    documents: dict[str, str] = {}
    for path in sorted(GERMAN_MANUALS.glob("man*/*.gz")) if GERMAN_MANUALS.is_dir() else ():
        text = _manual(path)
        if len(text) >= MIN_CHARS and text[:MAX_CHARS] not in documents.values():
            documents[path.name.removesuffix(".gz")] = text[:MAX_CHARS]
    return _known_items("man-de", "broken sentences, German", _sample(documents), _broken)


def _text(path: Path) -> str | None:
    if not path.is_file() or path.is_symlink():
        return None
    data = path.read_bytes()
    try:
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (UnicodeDecodeError, gzip.BadGzipFile):
        return None


def _manual(path: Path) -> str:
    """A manual page as it is shown; "" where nothing here can show it."""
    try:
        shown = subprocess.run(
            ["man", "-E", "UTF-8", "-P", "cat", "-l", str(path)],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            timeout=60,
            check=False,
        ).stdout.decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    # Words are not divided at the ends of lines, and paragraphs stay apart.
    text = re.sub(r".\x08", "", shown).replace("\u2010\n", "").replace("\u00ad\n", "")
    return re.sub(r"(?<=\S)\n +(?=\S)", " ", re.sub(r"(?<=\S) {2,}", " ", text)).strip()


def _sample(documents: dict[str, str]) -> dict[str, str]:
    kept = sorted(random.Random(SEED).sample(sorted(documents), min(MAX_DOCUMENTS, len(documents))))
    return {key: documents[key] for key in kept}


def _known_items(
    name: str,
    about: str,
    documents: dict[str, str],
    ask: Callable[[str, Counter[str], random.Random], str],
) -> Collection:
    chance = random.Random(SEED)
    frequency = Counter(word for text in documents.values() for word in set(_words(text)))
    queries: dict[str, str] = {}
    judged: Judgements = {}
    asked = chance.sample(sorted(documents), min(QUERIES, len(documents)))
    for number, key in enumerate(asked):
        sentences = [" ".join(each.split()) for each in _SENTENCE.findall(documents[key])]
        chance.shuffle(sentences)
        question = next(filter(None, (ask(sentence, frequency, chance) for sentence in sentences)), "")
        if question:
            queries[str(number)] = question
            judged[str(number)] = {key: 1}
    return Collection(name, about, documents, queries, judged)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _keywords(sentence: str, frequency: Counter[str], chance: random.Random) -> str:
    """Three of the rarer words that stand in other documents too, in their order; "" when there are not so many."""
    words = list(dict.fromkeys(_words(sentence)))
    rare = sorted((word for word in words if 3 <= frequency[word] <= MAX_DOCUMENTS // 5), key=lambda w: frequency[w])
    if len(rare) < 5:
        return ""
    kept = set(chance.sample(rare[:6], 3))
    return " ".join(word for word in words if word in kept)


def _broken(sentence: str, frequency: Counter[str], chance: random.Random) -> str:
    words = sentence.split()
    if not 8 <= len(words) <= 30 or not any(frequency[word] >= 2 for word in _words(sentence)):
        return ""
    return " ".join(word for place, word in enumerate(words) if place % 3 != 2)
