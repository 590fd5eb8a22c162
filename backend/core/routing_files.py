"""Whether a query speaks of the user's documents by their names, or of what their tables hold. Pure functions.

Queries and file names are folded (`routing_text.fold`) before they are compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from backend.core.routing_text import fold, singular
from backend.core.routing_words import AGGREGATE, BUSINESS
from backend.utils.patterns import LazyPattern

TABLE_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".xls", ".sqlite", ".sqlite3", ".db", ".parquet")
MAX_DOCUMENTS = 200
_WORD = re.compile(r"[a-z0-9]{3,}")
_EVERYDAY = frozenset(
    """scan copy final draft version untitled new readme index data export output page pages img image the and for with
    kopie entwurf neu datei document doc file text test list liste list info""".split()  # noqa: SIM905
)
_DEFINITE = frozenset(
    """the my our this that these those im laut vom zum zur das die der dem den des mein meine meinem meinen meiner
    unser unsere unserem dans le la les l du des mon ma mes notre nos ce cette selon el los las mi mis del al
    nuestro nuestra este esta segun il lo i gli nel nella nei dal dalla dei del mio mia miei mie questo secondo o
    os na nos nas da dos das meu minha meus minhas pelo segundo het mijn onze both each""".split()  # noqa: SIM905
)
_INDEFINITE = LazyPattern(
    r"\b(?:a|an|any|some|ein|eine|einen|einem|einer|guten?|gutes|un|une|una|uno|um|uma|een|good|fair|bom|boa|bon|"
    r"buen|buon|"
    r"what is|write|schreib\w*) (?:\w+ ){0,2}$",
    flags=0,
)
_TABLE_SAID = LazyPattern(
    r"\b(?:table|data|file|csv|list|sheet|tabelle|daten|datei|liste|fichier|donnees|tabla|datos|archivo|lista|"
    r"tabella|dati|tabela|dados|arquivo)\b",
    flags=0,
)
_INSTRUCTIONS = LazyPattern(
    r"manual|instruction|how-?to|setup|anleitung|manuel|mode[-_ ]d.emploi|notice|guia|instruc|manuale|istruzion|"
    r"handleiding|instrukcja|faq|playbook|runbook|recipe|rezept|recette|receta|ricett",
    flags=0,
)
_TERMS = LazyPattern(
    r"contract|lease|agreement|policy|terms|conditions|handbook|insurance|vertrag|richtlinie|ordnung|agb|police|"
    r"contrat|bail|reglement|assurance|"
    r"contrato|poliza|seguro|reglamento|condicion|contratto|polizza|regolamento|condizion|apolice|plano|regulamento|"
    r"condicoes|contract|polis|umowa|regulamin",
    flags=0,
)
_AGGREGATE = LazyPattern(rf"\b{AGGREGATE}\b", flags=0)
_BUSINESS = LazyPattern(rf"\b{BUSINESS}\b", flags=0)


def named(folded: str, documents: Sequence[str]) -> tuple[str, ...]:
    """The documents that a query names: in full, or by a telling word of the name ("the lease" for
    `lease_agreement.pdf`, "im Vertrag" for `mietvertrag.docx`), unless it speaks of any such thing ("a lease")."""
    said = [(plainer(found.group()), found.start()) for found in _WORD.finditer(folded)]
    return tuple(name for name in documents[:MAX_DOCUMENTS] if _is_named(folded, said, name))


def plainer(text: str) -> str:
    """With one spelling of umlauts: `verkaeufe.csv` holds what people call "Verkäufe"."""
    return text.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def holds_instructions(documents: Sequence[str]) -> bool:
    """Whether any of the documents is a manual by its name: then "how do I …" may be answered by it."""
    return any(_INSTRUCTIONS.search(fold(name)) for name in documents[:MAX_DOCUMENTS])


def holds_terms(documents: Sequence[str]) -> bool:
    """Whether any of the documents is a contract, a policy or the like by its name."""
    return any(_TERMS.search(fold(name)) for name in documents[:MAX_DOCUMENTS])


def has_tables(documents: Sequence[str]) -> bool:
    """Whether any of the documents is a table."""
    return any(_is_table(name) for name in documents[:MAX_DOCUMENTS])


def asks_of_tables(folded: str, documents: Sequence[str]) -> bool:
    """Whether a query wants a count, a sum, a ranking of what the user's tables hold."""
    tables = [name for name in documents[:MAX_DOCUMENTS] if _is_table(name)]
    if not tables or not _AGGREGATE.search(folded):
        return False
    if _BUSINESS.search(folded):
        return True
    said = {singular(plainer(word)) for word in _WORD.findall(folded)}
    return any(singular(word) in said for name in tables for word in _telling(name))


def _is_table(name: str) -> bool:
    return name.lower().endswith(TABLE_ENDINGS)


def _is_named(folded: str, said: Sequence[tuple[str, int]], name: str) -> bool:
    whole = fold(name)
    stem = whole.rsplit(".", 1)[0]
    if "." in whole and len(whole) > 4 and (whole in folded or (not stem.isalpha() and stem in folded.split())):
        return True
    if _is_table(name) and not (_AGGREGATE.search(folded) or _TABLE_SAID.search(folded)):
        return False  # "my employees" are people until something is counted
    words = _telling(name)
    places = [(word, at) for word, at in said if _belongs(word, words)]
    if any(_INDEFINITE.search(folded[max(0, at - 30) : at]) for _, at in places):
        return False
    if len(words) > 1 and len({singular(word) for word, _ in places}) >= len(words):
        return True
    return any(_is_pointed_at(folded, at) for _, at in places)


def _belongs(word: str, words: frozenset[str]) -> bool:
    """Whether a word of the query is one of a file's telling words, in any number, or ends one ("vertrag")."""
    if word in words or (len(word) >= 6 and any(own.endswith(word) for own in words)):
        return True
    return len(word) >= 5 and singular(word) in {singular(own) for own in words}


def _is_pointed_at(folded: str, at: int) -> bool:
    """Whether one of the two words before this place is a determiner: "the lease", "our annual report"."""
    lead = re.findall(r"[a-z]+", folded[max(0, at - 30) : at])[-2:]
    return any(each in _DEFINITE for each in lead)


@lru_cache(maxsize=4096)
def _telling(name: str) -> frozenset[str]:
    """The words of a file's name that say what it is."""
    stem = plainer(fold(name).rsplit(".", 1)[0])
    words = (word for word in _WORD.findall(stem) if not any(c.isdigit() for c in word))
    return frozenset(word for word in words if len(word) >= 4 and word not in _EVERYDAY)
