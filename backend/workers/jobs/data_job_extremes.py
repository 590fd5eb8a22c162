"""Who or which one has the most or the least."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from backend.utils.statistics_words import (
    Asked,
    asks_for_row,
    fields_of_verb,
    names_sum,
    noun_asked_for,
    superlative_named,
)
from backend.workers.jobs.data_job_fields import asked_field, fits, named_field, only_number, spaced
from backend.workers.jobs.data_job_read import Table
from backend.workers.jobs.data_job_statistics import TOP, figure, is_number, plain, shown

_NAME = re.compile(
    r"(?<![^\W_])(?:\w*name|title|titel|titre|título|nom|prénom|nombre|apellidos?)(?![^\W_])", re.IGNORECASE
)
_SUPERLATIVE_OF = re.compile(
    r"(?<!\w)(?:\w{3,}(?:est|ste[rsn]?)|most \w+|least \w+)\s+(?P<noun>[^\W\d]\w*)", re.IGNORECASE
)
PER = re.compile(r"(?<!\w)(?:by|per|for each|grouped by|pro|je|nach|par|por|según)\s+(?P<rest>.+)", re.IGNORECASE)


def extreme_row(table: Table, fields: list[dict[str, Any]], asked: Asked) -> str | None:
    """Who or which one has the most: the label of the row with the extreme. None where a bare value is asked for."""
    statistic, sentence = asked.statistic, asked.sentence
    noun = noun_asked_for(sentence)
    subject = named_field(noun, fields) if noun else _after_superlative(sentence, fields)
    ordered = [field for field in fields if fits(field, statistic) and field is not subject]
    named = asked_field(asked.scopes, ordered, statistic)
    per = PER.search(sentence)
    by_measure = per is not None and named is not None and named_field(sentence[: per.start()], ordered) is None
    wanted = superlative_named(sentence)
    field = None
    if wanted is not None:
        statistic = wanted.statistic
        field = _spoken_of(wanted.fields, ordered)
        if field is None and wanted.opposite is not None:
            field = _spoken_of(wanted.opposite, ordered)
            statistic = {"max": "min", "min": "max"}[statistic] if field else statistic
    of_a_kind = subject is not None and not noun and field is not None
    if not asks_for_row(sentence) and not by_measure and not of_a_kind and (field is None or field is named):
        return None
    field = field or named
    if field is None and (wanted is None or not wanted.strict):
        verb = fields_of_verb(sentence)
        field = (_spoken_of(verb, ordered) if verb else None) or only_number(ordered, statistic)
    if field is None or field.get(statistic) is None:
        return None
    if subject is not None and subject["distinct"] < subject["count"] and names_sum(sentence):
        return _extreme_total(table, field["name"], subject["name"], statistic)
    holders = _rows_with(table, field["name"], field[statistic])
    labels = [_row_label(table, fields, row, field["name"], subject) for row in holders[:TOP]]
    who = labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
    more = f" (and {len(holders) - TOP:,} more)" if len(holders) > TOP else ""
    side = "highest" if statistic == "max" else "lowest"
    if field["type"] == "date":
        side = "latest" if statistic == "max" else "earliest"
    verb_form = "has" if len(holders) == 1 else "have"
    return f"{who}{more} {verb_form} the {side} {field['name']}: {figure(field[statistic])}."


def _after_superlative(sentence: str, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The field that the cheapest one is of: `product` in "the cheapest product"."""
    found = _SUPERLATIVE_OF.search(sentence)
    texts = [field for field in fields if field["type"] in ("text", "mixed")]
    return named_field(found["noun"], texts) if found else None


def _extreme_total(table: Table, name: str, by: str, statistic: str) -> str | None:
    """Whose values add up to the most or the least."""
    keys = dict(table.columns[by])
    totals: dict[str, Decimal] = {}
    for row, value in table.columns[name]:
        if row in keys and is_number(value):
            key = shown(keys[row])
            totals[key] = totals.get(key, Decimal(0)) + Decimal(value)
    if not totals:
        return None
    key = (max if statistic == "max" else min)(totals, key=totals.__getitem__)
    side = "highest" if statistic == "max" else "lowest"
    return f"{key} has the {side} sum of {name}: {figure(plain(totals[key]))}."


def _rows_with(table: Table, name: str, value: Any) -> list[int]:
    found = [
        row
        for row, each in table.columns[name]
        if (plain(Decimal(each)) if is_number(each) else each) == value and not isinstance(each, bool)
    ]
    return list(dict.fromkeys(found))


def _row_label(
    table: Table, fields: list[dict[str, Any]], row: int, besides: str, subject: dict[str, Any] | None
) -> str:
    """What a row is called: the field that the question asks for, else its names, else its first text."""
    texts = [field for field in fields if field["type"] in ("text", "mixed") and field["name"] != besides]
    names = [field for field in texts if _NAME.search(spaced(field["name"]))][:2]
    for choice in ([subject] if subject else [], names, *([field] for field in texts)):
        cells = [next((each for at, each in table.columns[field["name"]] if at == row), None) for field in choice]
        label = " ".join(shown(cell) for cell in cells if cell is not None)
        if label:
            return f"{subject['name']} {label}" if subject and choice == [subject] and subject not in texts else label
    return f"Row {row + 1:,}"


def _spoken_of(pattern: re.Pattern[str], fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((field for field in fields if pattern.search(spaced(field["name"]))), None)
