"""The job behind data analysis: statistics of every field, and the one that was asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

from backend.utils.statistics_words import (
    Asked,
    asks_for_row,
    fields_of_verb,
    names_sum,
    noun_asked_for,
    statistics_named,
    superlative_named,
    without_data,
)
from backend.workers.jobs.data_job_read import Table, read_table, whole_characters
from backend.workers.port import Refusal

MAX_BYTES = 64 * 1_048_576
MAX_TEXT = 80
TOP = 5
MAX_GROUPS = 20
NUMERIC = ("sum", "min", "max", "mean", "median", "stdev", "q1", "q3")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_WORD = re.compile(r"[^\W_]+")
_ROWS = re.compile(
    r"(?<!\w)(?:rows?|records?|entr(?:y|ies)|lines|zeilen|einträge|datensätze|lignes|entrées|enregistrements|filas"
    r"|registros|entradas)(?!\w)(?!\s+(?:per|by|for each|pro|je|par|por)\s)",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?<![^\W_])(?:\w*name|title|titel|titre|título|nom|prénom|nombre|apellidos?)(?![^\W_])", re.IGNORECASE
)
_ID = re.compile(r"(?<![^\W_])(?:id|nr|no|index|key)(?![^\W_])", re.IGNORECASE)
_PER = re.compile(r"(?<!\w)(?:by|per|for each|grouped by|pro|je|nach|par|por|según)\s+(?P<rest>.+)", re.IGNORECASE)


def analyse(
    text: str | None = None, path: str | None = None, question: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """Statistics of CSV or JSON, inline or from a file the server names.

    Args:
        text: The data itself; instead of a path.
        path: Where the file lies.
        question: What is asked; it may hold the data too.
        name: What the user calls the file: its words in the question name no field.

    Returns:
        `rows`, `fields` (each with name, type, count, missing, distinct and, by type, sum, min, max, mean, median,
        stdev (sample), q1, q3 (linear between neighbours) or top values), `answer` (a sentence a statistic, or None)
        and `groups` (or None).

    Raises:
        Refusal: nothing to read, not CSV or JSON, too large or too deep.
    """
    table = read_table(text if text is not None else _file(path or ""))
    with localcontext(Context(prec=34)):
        fields = [_describe(name, column, table.rows) for name, column in table.columns.items()]
        asked = without_data(question or "", text or "")
        answer, groups = None, None
        for words in _without_name(asked, name or ""):
            answer, groups = _answer(table, fields, words)
            if answer is not None:
                break
    return {"rows": table.rows, "fields": fields, "answer": answer, "groups": groups}


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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _describe(name: str, column: Sequence[tuple[int, Any]], rows: int) -> dict[str, Any]:
    values = [value for _, value in column]
    out: dict[str, Any] = {
        "name": name,
        "type": _type(values),
        "count": len(values),
        "missing": rows - len({row for row, _ in column}),
        "distinct": len({(type(value) is bool, value) for value in values}),
    }
    if out["type"] == "number":
        out |= _numbers(values)
    elif out["type"] == "date":
        out |= {"min": min(values), "max": max(values)}
    elif values:
        common = Counter(_shown(value) for value in values).most_common(TOP)
        out["top"] = [{"value": value, "count": count} for value, count in common]
        if out["type"] == "mixed":
            numbers = [value for value in values if _is_number(value)]
            out |= {"numbers": len(numbers)} | _numbers(numbers)
    return out


def _type(values: list[Any]) -> str:
    """`mixed` when at least half are numbers: then those have their statistics too."""
    if not values:
        return "empty"
    numbers = sum(_is_number(value) for value in values)
    if numbers == len(values):
        return "number"
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    if all(isinstance(value, str) and _DATE.fullmatch(value) for value in values):
        return "date"
    return "mixed" if numbers * 2 >= len(values) else "text"


def _numbers(values: list[Any]) -> dict[str, Any]:
    ordered = sorted(Decimal(value) for value in values)
    total = sum(ordered, Decimal(0))
    mean = total / len(ordered)
    spread = None
    if len(ordered) > 1:
        spread = (sum(((value - mean) ** 2 for value in ordered), Decimal(0)) / (len(ordered) - 1)).sqrt()
    found = (
        total,
        ordered[0],
        ordered[-1],
        mean,
        _quantile(ordered, 2),
        spread,
        _quantile(ordered, 1),
        _quantile(ordered, 3),
    )
    return {name: _plain(value) for name, value in zip(NUMERIC, found, strict=True)}


def _quantile(ordered: list[Decimal], quarters: int) -> Decimal:
    """Linear between neighbours (the inclusive method)."""
    whole, part = divmod((len(ordered) - 1) * quarters, 4)
    if not part:
        return ordered[whole]
    return ordered[whole] + (ordered[whole + 1] - ordered[whole]) * part / 4


def _plain(value: Decimal | None) -> int | float | None:
    """A JSON number: whole where it is whole, rounded to 15 significant digits otherwise."""
    if value is None:
        return None
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.15g}")


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else whole_characters(str(value))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


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


def _answer(
    table: Table, fields: list[dict[str, Any]], question: str
) -> tuple[str | None, list[dict[str, Any]] | None]:
    """A sentence for each statistic that the question asks for; per group if it names one."""
    sentences: list[str] = []
    groups = None
    for asked in statistics_named(question, [field["name"] for field in fields]):
        sentence, found = _one_answer(table, fields, asked)
        sentences += [sentence] if sentence and sentence not in sentences else []
        groups = groups or found
    return " ".join(sentences) or None, groups


def _one_answer(
    table: Table, fields: list[dict[str, Any]], asked: Asked
) -> tuple[str | None, list[dict[str, Any]] | None]:
    statistic = asked.statistic
    if statistic == "count" and _ROWS.search(asked.sentence):
        return f"There are {table.rows:,} rows.", None
    if statistic in ("max", "min"):
        row = _extreme_row(table, fields, asked)
        if row is not None:
            return row, None
    per = _PER.search(asked.sentence)
    group = _named(per["rest"], fields) if per else None
    scopes = asked.scopes
    if per and group:
        head, tail = asked.sentence[: per.start()], asked.sentence[per.start() :]
        scopes = tuple(scope.replace(tail, "") for scope in (*scopes[:-1], head))
    field = _asked_field(scopes, fields, statistic) or _only_number(fields, statistic)
    if field is None:
        return (f"There are {table.rows:,} rows." if statistic == "count" else None), None
    if group is not None and group is not field:
        groups = _grouped(table, field["name"], group["name"], statistic)
        if groups is not None:
            shown = ", ".join(f"{each['group']} {_figure(each[statistic])}" for each in groups[:TOP])
            more = " …" if len(groups) > TOP else ""
            return f"{_title(statistic)} of {field['name']} per {group['name']}: {shown}{more}.", groups
    return _sentence(table, field, statistic), None


def _extreme_row(table: Table, fields: list[dict[str, Any]], asked: Asked) -> str | None:
    """Who or which one has the most: the label of the row with the extreme. None where a bare value is asked for."""
    statistic, sentence = asked.statistic, asked.sentence
    noun = noun_asked_for(sentence)
    subject = _named(noun, fields) if noun else None
    ordered = [field for field in fields if _fits(field, statistic) and field is not subject]
    named = _asked_field(asked.scopes, ordered, statistic)
    per = _PER.search(sentence)
    by_measure = per is not None and named is not None and _named(sentence[: per.start()], ordered) is None
    wanted = superlative_named(sentence)
    field = None
    if wanted is not None:
        statistic = wanted.statistic
        field = _spoken_of(wanted.fields, ordered)
        if field is None and wanted.opposite is not None:
            field = _spoken_of(wanted.opposite, ordered)
            statistic = {"max": "min", "min": "max"}[statistic] if field else statistic
    if not asks_for_row(sentence) and not by_measure and (field is None or field is named):
        return None
    field = field or named
    if field is None and (wanted is None or not wanted.strict):
        verb = fields_of_verb(sentence)
        field = (_spoken_of(verb, ordered) if verb else None) or _only_number(ordered, statistic)
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
    return f"{who}{more} {verb_form} the {side} {field['name']}: {_figure(field[statistic])}."


def _extreme_total(table: Table, name: str, by: str, statistic: str) -> str | None:
    """Whose values add up to the most or the least."""
    keys = dict(table.columns[by])
    totals: dict[str, Decimal] = {}
    for row, value in table.columns[name]:
        if row in keys and _is_number(value):
            key = _shown(keys[row])
            totals[key] = totals.get(key, Decimal(0)) + Decimal(value)
    if not totals:
        return None
    key = (max if statistic == "max" else min)(totals, key=totals.__getitem__)
    side = "highest" if statistic == "max" else "lowest"
    return f"{key} has the {side} sum of {name}: {_figure(_plain(totals[key]))}."


def _rows_with(table: Table, name: str, value: Any) -> list[int]:
    found = [
        row
        for row, each in table.columns[name]
        if (_plain(Decimal(each)) if _is_number(each) else each) == value and not isinstance(each, bool)
    ]
    return list(dict.fromkeys(found))


def _row_label(
    table: Table, fields: list[dict[str, Any]], row: int, besides: str, subject: dict[str, Any] | None
) -> str:
    """What a row is called: the field that the question asks for, else its names, else its first text."""
    texts = [field for field in fields if field["type"] in ("text", "mixed") and field["name"] != besides]
    names = [field for field in texts if _NAME.search(_spaced(field["name"]))][:2]
    for choice in ([subject] if subject else [], names, *([field] for field in texts)):
        cells = [next((each for at, each in table.columns[field["name"]] if at == row), None) for field in choice]
        label = " ".join(_shown(cell) for cell in cells if cell is not None)
        if label:
            return f"{subject['name']} {label}" if subject and choice == [subject] and subject not in texts else label
    return f"Row {row + 1:,}"


def _spoken_of(pattern: re.Pattern[str], fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((field for field in fields if pattern.search(_spaced(field["name"]))), None)


def _fits(field: dict[str, Any], statistic: str) -> bool:
    return field.get(statistic) is not None if statistic in NUMERIC else True


def _asked_field(scopes: Sequence[str], fields: list[dict[str, Any]], statistic: str) -> dict[str, Any] | None:
    """The field named nearest to the statistic; one that has the statistic comes before one that has not."""
    fitting = [field for field in fields if _fits(field, statistic)]
    for candidates in (fitting, fields):
        for scope in scopes:
            field = _named(scope, candidates)
            if field is not None:
                return field
    return None


def _named(question: str, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The field whose name stands in the question: as it is written before a like form, then the longest."""
    asked = {_stem(word) for word in _WORD.findall(_spaced(question))} | {
        _stem(word) for word in _WORD.findall(question)
    }
    best, most = None, (False, 0, 0)
    for field in fields:
        for name in (field["name"], field["name"].rsplit(".", 1)[-1]):
            words = _WORD.findall(_spaced(name))
            if not words or not {_stem(word) for word in words} <= asked:
                continue
            spoken = r"[\W_]*".join(re.escape(word) for word in words)
            exact = re.search(rf"(?<![^\W_]){spoken}(?![^\W_])", question, re.IGNORECASE) is not None
            rank = (exact, len(words), len(name))
            if rank > most:
                best, most = field, rank
    return best


def _only_number(fields: list[dict[str, Any]], statistic: str) -> dict[str, Any] | None:
    """The only numeric field that is no number of the row itself."""
    numeric = [field for field in fields if field["type"] == "number"]
    if len(numeric) > 1:
        numeric = [field for field in numeric if not _ID.search(_spaced(field["name"]))]
    return numeric[0] if statistic in NUMERIC and len(numeric) == 1 else None


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _stem(word: str) -> str:
    word = word.casefold()
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    while len(word) > 3 and word.endswith(("s", "e", "n")):
        word = word[:-1]
    return word


def _figure(value: Any) -> str:
    """A number to 10 significant digits."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


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
            top = field.get("top")
            return f"The most common value of {name} is {top[0]['value']} ({top[0]['count']:,} times)." if top else None
    value = field.get(statistic)
    if value is None:
        return None
    where = _label(table, name, value) if statistic in ("min", "max") else ""
    count = field.get("numbers", field["count"])
    return f"{_title(statistic)} of {name} is {_figure(value)}{where} (over {count:,} values)."


def _label(table: Table, name: str, value: Any) -> str:
    """What else is known of the row that holds an extreme: its first text field."""
    row = next((row for row, each in table.columns[name] if _is_number(each) and _plain(Decimal(each)) == value), None)
    for other, column in table.columns.items():
        text = next((each for at, each in column if at == row and isinstance(each, str)), None)
        if other != name and text is not None:
            return f", where {other} is {_shown(text)}"
    return ""


def _grouped(table: Table, name: str, by: str, statistic: str) -> list[dict[str, Any]] | None:
    keys = {row: _shown(value) for row, value in table.columns[by]}
    parts: dict[str, list[Any]] = {}
    for row, value in table.columns[name]:
        if row in keys and (_is_number(value) or statistic in ("count", "distinct")):
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
            result = _numbers(values).get(statistic)
        made.append({"group": key, statistic: result, "count": len(values)})
    return sorted(made, key=lambda each: (-each["count"], each["group"]))[:MAX_GROUPS]
