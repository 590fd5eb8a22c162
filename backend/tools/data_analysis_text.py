"""The result of a data analysis as Markdown."""

from __future__ import annotations

from typing import Any

COLUMNS = ("count", "missing", "distinct", "sum", "min", "max", "mean", "median", "stdev", "q1", "q3")
MAX_FIELDS = 40
MAX_GROUPS = 20
MAX_MEASURES = 4
MAX_PAIRS = 5
STRONG = 0.5
"""From this |r| on, a correlation is worth a word where nobody has asked for it."""


def as_markdown(result: dict[str, Any], title: str) -> str:
    """The answer first, then groups, then a table with one line a field."""
    fields = result["fields"]
    parts = [result["answer"]] if result["answer"] else []
    if result["unknown"]:
        parts.append(f"The data has nothing for {' or '.join(result['unknown'])}.")
    if result["groups"]:
        statistic = next(key for key in result["groups"][0] if key != "group")
        lines = [
            f"| {cell(group['group'])} | {cell(group[statistic])} | {group['count']} |" for group in result["groups"]
        ]
        parts.append("\n".join([f"| group | {statistic} | count |", "|---|---|---|", *lines]))
    elif result["by_group"]:
        parts.append(_groups(result["by_group"]))
    if result["chart"]:
        parts.append(f"A {result['chart']['kind']} chart of it is attached: {result['chart']['title']}.")
    parts += [result["chart_note"]] if result["chart_note"] else []
    where = f" where {result['where']}" if result["where"] else ""
    sheet = f", sheet {result['sheet']}" if len(result["sheets"]) > 1 else ""
    parts.append(f"{title}{sheet}: {result['rows']:,} rows{where}, {len(fields):,} fields.")
    lines = [
        "| " + " | ".join([cell(field["name"]), field["type"], *(cell(field.get(key)) for key in COLUMNS)]) + " |"
        for field in fields[:MAX_FIELDS]
    ]
    head = "| field | type | " + " | ".join(COLUMNS) + " |"
    parts.append("\n".join([head, "|" + "---|" * (len(COLUMNS) + 2), *lines]))
    if len(fields) > MAX_FIELDS:
        parts.append(f"({len(fields) - MAX_FIELDS} more fields are not shown.)")
    top = [
        f"{field['name']}: " + ", ".join(f"{each['value']} ({each['count']})" for each in field["top"])
        for field in fields[:MAX_FIELDS]
        if field.get("top") and field["distinct"] < field["count"]
    ]
    if top:
        parts.append("Commonest values: " + "; ".join(top) + ".")
    pairs = _strong(result["correlations"])
    if pairs:
        parts.append("Correlations (Pearson): " + "; ".join(pairs) + ".")
    return "\n\n".join(parts)


def _groups(found: dict[str, Any]) -> str:
    measures = found["fields"][:MAX_MEASURES]
    head = [found["by"], "rows", *(f"{name} {each}" for name in measures for each in ("sum", "mean"))]
    lines = ["| " + " | ".join(map(cell, head)) + " |", "|" + "---|" * len(head)]
    for group in found["groups"][:MAX_GROUPS]:
        figures = [group["fields"].get(name, {}).get(each) for name in measures for each in ("sum", "mean")]
        lines.append("| " + " | ".join(map(cell, [group["group"], group["count"], *figures])) + " |")
    shown = min(len(found["groups"]), MAX_GROUPS)
    more = f"\n\nThe largest {shown} of {found['total']:,} groups." if found["total"] > shown else ""
    return "\n".join(lines) + more


def _strong(found: dict[str, Any] | None) -> list[str]:
    """The closest pairs of fields, if they are close."""
    if found is None:
        return []
    names, matrix = found["fields"], found["matrix"]
    pairs = [
        (abs(r), f"{names[one]} and {names[two]} {r:.3g}")
        for one in range(len(names))
        for two in range(one + 1, len(names))
        if (r := matrix[one][two]) is not None and abs(r) >= STRONG
    ]
    return [text for _, text in sorted(pairs, key=lambda pair: -pair[0])[:MAX_PAIRS]]


def cell(value: Any) -> str:
    """A value inside a Markdown table; numbers to 10 significant digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
