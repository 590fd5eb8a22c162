"""Which fields and rows of a table a question speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from backend.utils.language import FUNCTION_WORDS
from backend.utils.statistics_words import asks_for_statistics
from backend.workers.jobs.data_job_read import Table


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMERIC = ("sum", "min", "max", "mean", "median", "stdev", "q1", "q3")
MAX_VALUES = 5000
"""Different values of a field that are looked for in the question."""
MAX_QUESTION = 2000
_WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"(?<![^\W_])(?:id|nr|no|index|key)(?![^\W_])", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\w.,/-])(?:19|20)\d\d(?![\w/-]|[.,]\d)")
_YEAR_FIELD = re.compile(r"year|jahr|année|año|anno|ano|date|datum|fecha|data", re.IGNORECASE)
_NAMED = re.compile(r"(?<!\w)(?:in|for|of|from|at)\s+(?:the\s+)?(?P<name>[A-Z][a-z]{2,}(?:\s[A-Z][a-z]+)*)(?![\w.])")
_STATISTIC_OF = re.compile(
    r"(?<!\w)(?:average|mean|median|total|sum|minimum|maximum|highest|lowest|largest|smallest|durchschnittliche[rsn]?|"
    r"mittlere[rsn]?|"
    r"höchste[rsn]?|niedrigste[rsn]?)\s+(?:of\s+)?(?:the\s+|all\s+(?:the\s+)?)?(?P<noun>[^\W\d_]{3,})",
    re.IGNORECASE,
)
_ANY_VALUES = _listed(
    "valu number data entry figur colum tabl fil list row item wert zahl amount result observatio measurement sampl "
    "point"
)
"""Stems that name no field of their own."""
_UNITS = _listed(
    "eur euro euros usd dollar dollars gbp chf kg g gram grams t km m cm mm ml l liter liters litre years year months "
    "days hours hrs minutes min sec seconds pct percent per in of the"
)
"""Words of a field's name that say how it is measured; people leave them out: `price_eur` is the price."""
_ALIKE = tuple(
    frozenset(words.split())
    for words in (
        "price cost preis kosten prix coût precio costo prezzo preço custo",
        "revenue turnover umsatz einnahmen ventas ingresos ricavi ricavo receita faturamento",
        "salary wage pay gehalt lohn salaire salario sueldo stipendio salário",
        "quantity qty units amount menge anzahl stückzahl quantité cantidad quantità quantidade",
        "stock inventory bestand lager stocks existencias scorte estoque",
        "employees employee staff headcount mitarbeiter beschäftigte employés empleados dipendenti funcionários",
        "rent miete loyer alquiler affitto aluguel",
        "population inhabitants einwohner bevölkerung habitants población popolazione população",
        "age alter âge edad età idade",
        "weight gewicht poids peso",
        "height größe taille altura altezza",
        "date datum fecha data",
        "city town stadt ville ciudad città cidade",
        "country land pays país paese",
        "category kategorie catégorie categoría categoria",
        "product item article artikel produkt produit artículo articulo producto prodotto articolo produto artigo",
        "month monat mois mes mese mês",
        "warehouse lagerhaus entrepôt almacén almacen magazzino armazém",
        "grade score mark points note punkte punktzahl puntos nota punteggio",
    )
)
"""Names of one thing in six languages."""


def spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def stem(word: str) -> str:
    word = word.casefold()
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    while len(word) > 3 and word.endswith(("s", "e", "n")):
        word = word[:-1]
    return word


_ALIKE_STEMS = tuple(frozenset(map(stem, words)) for words in _ALIKE)


def fits(field: dict[str, Any], statistic: str) -> bool:
    return field.get(statistic) is not None if statistic in NUMERIC else True


def asked_field(scopes: Sequence[str], fields: list[dict[str, Any]], statistic: str) -> dict[str, Any] | None:
    """The field named nearest to the statistic; one that has the statistic comes before one that has not."""
    fitting = [field for field in fields if fits(field, statistic)]
    for candidates in (fitting, fields):
        for scope in scopes:
            field = named_field(scope, candidates)
            if field is not None:
                return field
    return None


def named_field(question: str, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The field whose name stands in the question: as it is written before a like form, then the longest.

    A name without its unit (`price` for `price_eur`) comes after these, and another word for the same thing last.
    """
    asked = {stem(word) for word in _WORD.findall(spaced(question))} | {stem(word) for word in _WORD.findall(question)}
    best, most = None, (0, 0, 0)
    for field in fields:
        for name in (field["name"], field["name"].rsplit(".", 1)[-1]):
            words = _WORD.findall(spaced(name))
            level = _how_named(question, words, asked)
            rank = (level, len(words), len(name)) if level > 1 else (level, -len(words), -len(name))
            if level and (best is None or rank > most):
                best, most = field, rank
    return best


def _how_named(question: str, words: list[str], asked: set[str]) -> int:
    """4 as written, 3 in a like form, 2 without its unit, 1 by another word for it, 0 not at all."""
    stems = {stem(word) for word in words}
    if not stems:
        return 0
    if stems <= asked:
        spoken = r"[\W_]*".join(re.escape(word) for word in words)
        return 4 if re.search(rf"(?<![^\W_]){spoken}(?![^\W_])", question, re.IGNORECASE) else 3
    bare = {stem(word) for word in words if word.casefold() not in _UNITS}
    if bare and bare != stems and bare <= asked:
        return 2
    return int(
        bool(bare)
        and all(each in asked or any(each in like and like & asked for like in _ALIKE_STEMS) for each in bare)
    )


def only_number(fields: list[dict[str, Any]], statistic: str) -> dict[str, Any] | None:
    """The only numeric field that is no number of the row itself."""
    numeric = [field for field in fields if field["type"] == "number"]
    if len(numeric) > 1:
        numeric = [field for field in numeric if not _ID.search(spaced(field["name"]))]
    return numeric[0] if statistic in (*NUMERIC, "range", "top") and len(numeric) == 1 else None


def speaks_of_something_else(question: str, fields: list[dict[str, Any]]) -> bool:
    """Whether a statistic of a thing is asked for that is no field: "average bonus" where there are only salaries."""
    about = _STATISTIC_OF.search(question)
    if about is None:
        return False
    noun = about["noun"]
    if len(fields) == 1 or any(noun.casefold() in listed for listed in FUNCTION_WORDS.values()):
        return False
    return stem(noun) not in _ANY_VALUES and named_field(noun, fields) is None and not asks_for_statistics(noun)


# ---- rows ---------------------------------------------------------------------------------------


def chosen_rows(table: Table, fields: list[dict[str, Any]], question: str) -> tuple[dict[str, list[str]], set[int]]:
    """The values of the table that the question names ("in the North region"), by field, and the rows that have them.

    Rows must have one of the named values of every field; no field means no choice, and then no rows are given.
    """
    asked = _folded(question[:MAX_QUESTION])
    named: dict[str, list[str]] = {}
    rows: set[int] | None = None
    for field in fields:
        values = _values_in(table, field, asked, question)
        if not values:
            continue
        having = {row for row, value in table.columns[field["name"]] if _key(value) in values}
        both = having if rows is None else rows & having
        if not both:
            continue
        named[field["name"]], rows = list(values.values()), both
    return named, rows or set()


def _values_in(table: Table, field: dict[str, Any], asked: str, question: str) -> dict[str, str]:
    """Values of a field that stand in the question, by their key."""
    if field["type"] == "number":
        if not _YEAR_FIELD.search(field["name"]) or field["distinct"] > MAX_VALUES:
            return {}
        years = set(_YEAR.findall(question))
        return {_key(value): _key(value) for _, value in table.columns[field["name"]] if _key(value) in years}
    if field["type"] not in ("text", "mixed") or field["distinct"] > MAX_VALUES:
        return {}
    names = {stem(word) for word in _WORD.findall(spaced(field["name"]))}
    out: dict[str, str] = {}
    for value in dict.fromkeys(value for _, value in table.columns[field["name"]]):
        key = _key(value)
        if key in out or not isinstance(value, str) or not 1 <= len(value) <= 60:
            continue
        bare = _folded(value)
        if len(bare.strip()) < 2:
            about = rf"(?i:{re.escape(field['name'])})\s+{re.escape(value.strip())}(?!\w)"
            found = bool(value.strip()) and re.search(about, question) is not None
        else:
            found = bare in asked and not {stem(word) for word in bare.split()} <= names
        if found and not asks_for_statistics(value):
            out[key] = value
    return out


def _key(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else str(value)
    return str(value).casefold().strip()


def _folded(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def not_in_table(table: Table, fields: list[dict[str, Any]], question: str) -> list[str]:
    """Years and names that the question asks for and that no field or value has: "for 2023", "in Madrid"."""
    wanted = list(dict.fromkeys(_YEAR.findall(question[:MAX_QUESTION])))
    wanted += [found["name"] for found in _NAMED.finditer(question[:MAX_QUESTION])]
    if not wanted:
        return []
    known = _folded(" ".join(field["name"].replace("_", " ") for field in fields))
    left = [each for each in wanted if not _stands_in(each, known)]
    for column in table.columns.values():
        if not left:
            break
        text = _folded(" ".join({str(value) for _, value in column}))
        left = [each for each in left if not _stands_in(each, text)]
    return left


def _stands_in(wanted: str, folded: str) -> bool:
    return all(f" {word}" in folded for word in _WORD.findall(wanted.casefold()))


def only_rows(table: Table, rows: set[int]) -> Table:
    """The table with these rows alone; they keep their numbers."""
    columns = {name: [cell for cell in column if cell[0] in rows] for name, column in table.columns.items()}
    return Table(len(rows), columns, 0)
