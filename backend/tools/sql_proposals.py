"""Which questions are for SQL, judged by their words and the names of the caller's files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.models.tools import Proposal
from backend.tools.sql_words import folded

STATEMENT, IN_WORDS, LIKELY = 0.95, 0.94, 0.8
MAX_LOOKED_AT = 4000
TABLE_FILES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xlsx", ".sqlite", ".sqlite3", ".db")
ONLY_HERE = (".sqlite", ".sqlite3", ".db")
"""Files that no other tool reads."""
_STATEMENT = re.compile(
    r"(?:^|[:\n`])[ \t]*((?:select\b(?=[^;]{0,3000}?\bfrom\b)|select\s+[\d'(]"
    r"|with\s+(?:recursive\s+)?\w+\s*(?:\([^)]{0,200}\))?\s+as\s*\()[^`]{0,19000})",
    re.IGNORECASE,
)
_SQL_WORD = re.compile(r"\bsql\b")
_SCHEMA = re.compile(
    r"\b(?:which|what|list|show|welche|zeige?|quelles?|liste|montre|que|cuales|muestra|quali|mostra|quais)\b.{0,30}"
    r"\b(?:tables|tabellen|tablas|tabelle|tabelas|database schema|schema)\b"
)
_ROWS = re.compile(
    r"\b(?:how many|number of|wie ?viele|anzahl|combien|nombre de|cuant[oa]s|numero de|quant[ie]|numero di"
    r"|quant[oa]s)\b.{0,40}\b(?:rows?|records?|entries|lines|zeilen|datensatze|lignes|enregistrements|filas|registros"
    r"|righe|record|linhas)\b"
)
_GROUPS = re.compile(
    r"\btop \d+\b|\b(?:total|sum|summe|somme|suma|somma|soma|average|durchschnitt\w*|moyenne|promedio|media|how many"
    r"|count|anzahl|combien)\b.{0,60}\b(?:per|for each|grouped by|pro|je|par|por|cada|ogni)\b"
)
_ASKS = re.compile(
    r"\b(?:top \d+|how many|count|number of|total|sum|average|group(?:ed)? by|highest|lowest|largest|join"
    r"|wie ?viele|anzahl|summe|durchschnitt\w*|hochste\w*|combien|nombre|moyenne|somme|cuant[oa]s|promedio|suma"
    r"|quant[ie]|media|somma|quant[oa]s|soma)\b"
)


def proposals(query: str, documents: Sequence[str]) -> list[Proposal]:
    """What to call the tool with for a question; empty where it is for others."""
    head = query[:MAX_LOOKED_AT]
    statement = _STATEMENT.search(query[:20_000]) if "select" in head.lower() else None
    if statement is not None:
        sql = statement.group(1).strip().rstrip("`").strip()
        return [Proposal({"query": sql, "database": None}, STATEMENT, "an SQL statement")]
    tables = [name for name in documents if name.lower().endswith(TABLE_FILES)]
    if not tables:
        return []
    text = folded(head)
    if _SCHEMA.search(text):
        return [Proposal({"query": "schema"}, IN_WORDS, "which tables there are")]
    named = next((name for name in tables if _is_named(text, name)), None)
    if named is None or not _ASKS.search(text):
        return []
    sure = named.lower().endswith(ONLY_HERE) or any(cue.search(text) for cue in (_ROWS, _SQL_WORD, _GROUPS))
    # Named without a database: this is no search for the question's words, but a question to the user's own tables.
    arguments = {"query": query[:2000], "database": None}
    return [Proposal(arguments, IN_WORDS if sure else LIKELY, "a question over the rows of a table")]


def _is_named(text: str, filename: str) -> bool:
    stem = folded(filename.rpartition(".")[0])
    return folded(filename) in text or (
        len(stem) > 2 and re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", text) is not None
    )
