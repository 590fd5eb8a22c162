"""The job behind data analysis: statistics of every field, and the one that was asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

from backend.utils.statistics_words import statistic_named
from backend.workers.jobs.data_job_read import Table, read_table, whole_characters
from backend.workers.port import Refusal

MAX_BYTES = 64 * 1_048_576
MAX_TEXT = 80
TOP = 5
MAX_GROUPS = 20
NUMERIC = ("sum", "min", "max", "mean", "median", "stdev", "q1", "q3")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_WORD = re.compile(r"[^\W_]+")
_PER = re.compile(r"(?<!\w)(?:by|per|for each|grouped by|pro|je|nach|par|por|según)\s+(?P<rest>.+)", re.IGNORECASE)


def analyse(text: str | None = None, path: str | None = None, question: str | None = None) -> dict[str, Any]:
    """Statistics of CSV or JSON, inline or from a file the server names.

    Returns:
        `rows`, `fields` (each with name, type, count, missing, distinct and, by type, sum, min, max, mean, median,
        stdev (sample), q1, q3 (linear between neighbours) or top values), `answer` (one sentence or None) and
        `groups` (or None).

    Raises:
        Refusal: nothing to read, not CSV or JSON, too large or too deep.
    """
    table = read_table(text if text is not None else _file(path or ""))
    with localcontext(Context(prec=34)):
        fields = [_describe(name, column, table.rows) for name, column in table.columns.items()]
        answer, groups = _answer(table, fields, question or "")
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


def _answer(
    table: Table, fields: list[dict[str, Any]], question: str
) -> tuple[str | None, list[dict[str, Any]] | None]:
    """The sentence for the statistic and field that the question names; per group if it names one."""
    statistic = statistic_named(question)
    if statistic is None:
        return None, None
    per = _PER.search(question)
    group = _named(per["rest"], fields, wanted=None) if per else None
    head = question[: per.start()] if per and group else question
    field = _named(head, fields, wanted=statistic)
    if field is None and statistic == "count":
        return f"There are {table.rows:,} rows.", None
    if field is None:
        return None, None
    if group is not None and group is not field:
        groups = _grouped(table, field["name"], group["name"], statistic)
        if groups is not None:
            shown = ", ".join(f"{each['group']} {_figure(each[statistic])}" for each in groups[:TOP])
            more = " …" if len(groups) > TOP else ""
            return f"{_title(statistic)} of {field['name']} per {group['name']}: {shown}{more}.", groups
    return _sentence(table, field, statistic), None


def _named(question: str, fields: list[dict[str, Any]], *, wanted: str | None) -> dict[str, Any] | None:
    """The field whose name stands in the question (longest first), else the only one that fits the statistic."""
    asked = {_stem(word) for word in _WORD.findall(question)}
    best, most = None, 0
    for field in fields:
        for name in (field["name"], field["name"].rsplit(".", 1)[-1]):
            words = {_stem(word) for word in _WORD.findall(_spaced(name))}
            if words and words <= asked and len(words) > most:
                best, most = field, len(words)
    if best is None and wanted in NUMERIC:
        numeric = [field for field in fields if field["type"] == "number"]
        best = numeric[0] if len(numeric) == 1 else None
    return best


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
