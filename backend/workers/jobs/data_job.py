"""The job behind data analysis: statistics of every field, and the one that was asked for."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

from backend.utils.statistics_words import (
    Asked,
    statistics_named,
    without_data,
)
from backend.workers.jobs.data_job_extremes import PER, extreme_row
from backend.workers.jobs.data_job_fields import (
    asked_field,
    chosen_rows,
    fits,
    named_field,
    not_in_table,
    only_number,
    only_rows,
    speaks_of_something_else,
)
from backend.workers.jobs.data_job_further import Request, further, narrowed, with_group
from backend.workers.jobs.data_job_read import Table, read_table
from backend.workers.jobs.data_job_statistics import TOP, describe, figure, is_number, numbers_of, plain, shown
from backend.workers.jobs.data_job_workbook import SIGNATURE, read_workbook
from backend.workers.port import Refusal

MAX_BYTES = 64 * 1_048_576
MAX_GROUPS = 20
_WORD = re.compile(r"[^\W_]+")
_ROWS = re.compile(
    r"(?<!\w)(?:rows?|records?|entr(?:y|ies)|lines|zeilen|einträge|datensätze|lignes|entrées|enregistrements|filas"
    r"|registros|entradas)(?!\w)(?!\s+(?:per|by|for each|pro|je|par|por)\s)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    r"(?<!\w)(?:how many|wie ?viele|combien d[e'’]|cu[aá]nt[oa]s|quant[eioa]s?|number of|anzahl(?: "
    r"der)?)\s*(?P<noun>[^\W\d]\w*)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Said:
    """What is said of one question, or of one statistic of it."""

    answer: str | None = None
    value: int | float | None = None
    groups: list[dict[str, Any]] | None = None
    unknown: list[str] = field(default_factory=list)


def analyse(
    text: str | None = None,
    path: str | None = None,
    question: str | None = None,
    name: str | None = None,
    sheet: str | None = None,
    **further_wishes: Any,
) -> dict[str, Any]:
    """Statistics of CSV or JSON, inline or from a file the server names, which may be a workbook too.

    Args:
        text: The data itself; instead of a path.
        path: Where the file lies.
        question: What is asked; it may hold the data too.
        name: What the user calls the file: its words in the question name no field.
        sheet: Of a workbook; None for the first one with values.
        further_wishes: The fields of `Request`: group_by, where, chart, chart_fields.

    Returns:
        `rows`, `fields` (each with name, type, count, missing, distinct and, by type, sum, min, max, mean, median,
        stdev (sample), q1, q3 (linear between neighbours) or top values), `answer` (a sentence a statistic, or None),
        `numeric` (the number in it, where there is just one), `groups` (or None) and `unknown` (years and names that
        the question asks for and the data has not; then there is no answer), `where` (the conditions that chose the
        rows, or empty), `sheet` and `sheets` of a workbook, and what `further` gives.

    Raises:
        Refusal: nothing to read, not CSV or JSON, too large or too deep.
    """
    request = Request(**further_wishes)
    sheets: list[str] = []
    if path is not None and _is_workbook(path):
        table, sheet, sheets = read_workbook(Path(path), sheet)
    else:
        table, sheet = read_table(text if text is not None else _file(path or "")), None
    with localcontext(Context(prec=34)):
        fields = [describe(name, column, table.rows) for name, column in table.columns.items()]
        asked = _without_name(without_data(question or "", text or ""), name or "")
        rows = narrowed(table, fields, request, asked)
        said = _Said(rows.nothing)
        for words in with_group(rows.questions, request, rows.fields) if rows.nothing is None else ():
            said = _answer(rows.table, rows.fields, words)
            if said.answer is not None or said.unknown:
                break
        more = further(rows, request, rows.questions[0], said.groups)
    answer = more.pop("related") or said.answer
    return {
        "rows": rows.table.rows,
        "fields": rows.fields,
        "answer": f"Where {rows.where}: {answer}" if answer and rows.where else answer,
        "numeric": said.value,
        "groups": said.groups,
        "unknown": said.unknown,
        "where": rows.where,
        "sheet": sheet,
        "sheets": sheets,
        **more,
    }


def _is_workbook(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _file(path: str) -> str:
    with Path(path).open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refusal("The file is larger than 64 MiB; take a part of it.")
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refusal("The file is not text; give CSV or JSON.")


def _without_name(question: str, filename: str) -> list[str]:
    """The question without the file's name; where only its stem stands there, without it first, then as it is."""
    if not filename:
        return [question]
    if filename.casefold() in question.casefold():
        return [re.sub(re.escape(filename), " ", question, flags=re.IGNORECASE)]
    words = [re.escape(word) for word in _WORD.findall(filename.rpartition(".")[0])]
    if not words:
        return [question]
    spoken = r"[\W_]+".join(words)
    without = re.sub(rf"(?<!\w){spoken}(?!\w)", " ", question, flags=re.IGNORECASE)
    return [without] if without == question else [without, question]


def _answer(table: Table, fields: list[dict[str, Any]], question: str) -> _Said:
    """A sentence for each statistic that the question asks for; per group if it names one.

    Where it names values of the table, only the rows with them count.
    """
    every = statistics_named(question, [each["name"] for each in fields]) or _sums_per_group(question, fields)
    if not every:
        return _Said()
    scope = every[-1].sentence
    missing = not_in_table(table, fields, scope)
    if missing:
        return _Said(unknown=missing)
    named, rows = chosen_rows(table, fields, scope)
    if not named:
        named, rows = chosen_rows(table, fields, question)
    if named:
        table = only_rows(table, rows)
        fields = [describe(name, column, table.rows) for name, column in table.columns.items()]
    found = [each for asked in every if (each := _one_answer(table, fields, asked)).answer]
    if not found:
        return _Said()
    where = " and ".join(f"{name} is {' or '.join(shown(value) for value in values)}" for name, values in named.items())
    text = " ".join(dict.fromkeys(each.answer or "" for each in found))
    return _Said(
        f"Where {where}: {text}" if where else text,
        found[0].value if len(found) == 1 else None,
        next((each.groups for each in found if each.groups), None),
    )


def _sums_per_group(question: str, fields: list[dict[str, Any]]) -> list[Asked]:
    """`revenue per region` asks for sums, although it names no statistic."""
    per = PER.search(question)
    if per is None or named_field(per["rest"], fields) is None:
        return []
    numeric = [each for each in fields if fits(each, "sum")]
    return [Asked("sum", question, (question,))] if named_field(question[: per.start()], numeric) else []


def _one_answer(table: Table, fields: list[dict[str, Any]], asked: Asked) -> _Said:
    statistic = asked.statistic
    if statistic == "count" and _ROWS.search(asked.sentence):
        return _Said(f"There are {table.rows:,} rows.", table.rows)
    if statistic in ("max", "min"):
        row = extreme_row(table, fields, asked)
        if row is not None:
            return _Said(row)
    per = PER.search(asked.sentence)
    group = named_field(per["rest"], fields) if per else None
    scopes = asked.scopes
    if per and group:
        head, tail = asked.sentence[: per.start()], asked.sentence[per.start() :]
        scopes = tuple(scope.replace(tail, "") for scope in (*scopes[:-1], head))
    if statistic == "count":
        counted = _counted(asked.sentence, fields)
        if counted is not None and counted["type"] == "number" and not _is_numbering(counted):
            statistic = "sum"
        scopes = (counted["name"],) if counted is not None else scopes
    chosen = asked_field(scopes, fields, statistic)
    if chosen is None and not speaks_of_something_else(asked.sentence, fields):
        chosen = only_number(fields, statistic)
    if chosen is None:
        return _Said(f"There are {table.rows:,} rows.", table.rows) if statistic == "count" else _Said()
    if group is not None and group is not chosen:
        groups = _grouped(table, chosen["name"], group["name"], statistic)
        if groups is not None:
            shown = ", ".join(f"{each['group']} {figure(each[statistic])}" for each in groups[:TOP])
            more = " …" if len(groups) > TOP else ""
            return _Said(f"{_title(statistic)} of {chosen['name']} per {group['name']}: {shown}{more}.", None, groups)
    value = chosen.get(statistic)
    return _Said(_sentence(table, chosen, statistic), value if isinstance(value, (int, float)) else None)


def _is_numbering(field: dict[str, Any]) -> bool:
    """Whether the values only number the rows, as in 1001, 1002, 1003: then there are so many, and no sum of them."""
    count = field["count"]
    return bool(count > 1 and field["distinct"] == count and field["max"] - field["min"] == count - 1)


def _counted(sentence: str, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The field right after `how many`: of a measure the sum is meant, of anything else the number of values."""
    found = _HOW_MANY.search(sentence)
    return named_field(found["noun"], fields) if found else None


def _title(statistic: str) -> str:
    return {
        "stdev": "The standard deviation",
        "max": "The maximum",
        "min": "The minimum",
        "q1": "The first quartile",
        "q3": "The third quartile",
        "count": "The number of values",
    }.get(statistic, f"The {statistic}")


def _sentence(table: Table, field: dict[str, Any], statistic: str) -> str | None:
    name = field["name"]
    match statistic:
        case "count":
            return f"{name} has {field['count']:,} values."
        case "missing":
            return f"{name} is missing in {field['missing']:,} of {table.rows:,} rows."
        case "distinct":
            return f"{name} has {field['distinct']:,} distinct values."
        case "top":
            common = Counter(shown(value) for _, value in table.columns[name]).most_common(1)
            return f"The most common value of {name} is {common[0][0]} ({common[0][1]:,} times)." if common else None
        case "range":
            low, high = field.get("min"), field.get("max")
            if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
                return None
            span = figure(plain(Decimal(str(high)) - Decimal(str(low))))
            return (
                f"The range of {name} is {span}, from {figure(low)} to {figure(high)} (over {field['count']:,} values)."
            )
    value = field.get(statistic)
    if value is None:
        return None
    where = _label(table, name, value) if statistic in ("min", "max") else ""
    count = field.get("numbers", field["count"])
    return f"{_title(statistic)} of {name} is {figure(value)}{where} (over {count:,} values)."


def _label(table: Table, name: str, value: Any) -> str:
    """What else is known of the row that holds an extreme: its first text field."""
    row = next((row for row, each in table.columns[name] if is_number(each) and plain(Decimal(each)) == value), None)
    for other, column in table.columns.items():
        text = next((each for at, each in column if at == row and isinstance(each, str)), None)
        if other != name and text is not None:
            return f", where {other} is {shown(text)}"
    return ""


def _grouped(table: Table, name: str, by: str, statistic: str) -> list[dict[str, Any]] | None:
    keys = {row: shown(value) for row, value in table.columns[by]}
    parts: dict[str, list[Any]] = {}
    for row, value in table.columns[name]:
        if row in keys and (is_number(value) or statistic in ("count", "distinct")):
            parts.setdefault(keys[row], []).append(value)
    if not parts:
        return None
    made = []
    for key, values in parts.items():
        if statistic == "count":
            result: Any = len(values)
        elif statistic == "distinct":
            result = len(set(values))
        else:
            result = numbers_of(values).get(statistic)
        made.append({"group": key, statistic: result, "count": len(values)})
    return sorted(made, key=lambda each: (-each["count"], each["group"]))[:MAX_GROUPS]
