"""Which type the values of a column have, judged over all of them, and how they are stored."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_TEXT = 100_000
"""Characters of one cell that are kept."""
MAX_INTEGER = 2**63 - 1
SQL_TYPES = {
    "integer": "INTEGER",
    "real": "REAL",
    "text": "TEXT",
    "date": "DATE",
    "datetime": "DATETIME",
    "boolean": "BOOLEAN",
}
"""Declared type by column type. SQLite keeps DATE and BOOLEAN columns by their value; these hold text and 0 or 1."""
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "–", "?", "#n/a"))
_MONEY = r"(?:[€$£¥]|EUR|USD|CHF|GBP|BRL|R\$)"
_STRIP = re.compile(rf"^{_MONEY}\s*|\s*(?:{_MONEY}|%)$")
_GROUP = r"[ \u00a0\u202f']"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing values of a type. `convert` raises ValueError for what only looks like it."""

    type: str
    pattern: re.Pattern[str]
    convert: Callable[[str], Any]


def _integer(text: str) -> int:
    value = int(text)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError(text)
    return value


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _plain_number(text: str) -> float:
    return _real(re.sub(rf"{_GROUP}|,", "", _STRIP.sub("", text)))


def _comma_number(text: str) -> float:
    return _real(re.sub(rf"{_GROUP}|\.", "", _STRIP.sub("", text)).replace(",", "."))


def _iso_date(text: str) -> str:
    return dt.date.fromisoformat(text.replace("/", "-")).isoformat()


def _iso_datetime(text: str) -> str:
    moment = dt.datetime.fromisoformat(text.replace("/", "-", 2))
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds")


def _written_date(day: int, month: int) -> Callable[[str], str]:
    """Converter for dates of three numbers, year last; `day` and `month` are places."""

    def convert(text: str) -> str:
        parts = [int(part) for part in re.split(r"\D", text)]
        return dt.date(parts[2], parts[month], parts[day]).isoformat()

    return convert


_SIGNED = r"[-+]?"
_HEAD, _TAIL = rf"(?:{_MONEY}\s?)?", rf"\s?(?:{_MONEY}|%)?"
FORMS: tuple[Form, ...] = (
    Form("boolean", re.compile(r"true|false", re.I), lambda text: int(text.lower() == "true")),
    Form("integer", re.compile(r"[-+]?(?:0|[1-9]\d{0,18})"), _integer),
    Form("real", re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"), _real),
    Form(
        "real",
        re.compile(rf"{_HEAD}{_SIGNED}(?:\d{{1,3}}(?:(?:,|{_GROUP})\d{{3}})+|0|[1-9]\d*)(?:\.\d+)?{_TAIL}"),
        _plain_number,
    ),
    Form(
        "real",
        re.compile(rf"{_HEAD}{_SIGNED}(?:\d{{1,3}}(?:(?:\.|{_GROUP})\d{{3}})+|0|[1-9]\d*)(?:,\d+)?{_TAIL}"),
        _comma_number,
    ),
    Form("date", re.compile(r"\d{4}([-/])\d\d\1\d\d"), _iso_date),
    Form(
        "datetime",
        re.compile(r"\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[-+]\d\d:?\d\d)?"),
        _iso_datetime,
    ),
    Form("date", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), _written_date(0, 1)),
    Form("date", re.compile(r"\d{1,2}[/-]\d{1,2}[/-]\d{4}"), _written_date(0, 1)),
    Form("date", re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), _written_date(1, 0)),
)
_INTEGER, _REAL = FORMS[1], FORMS[2]
_QUICK = (
    (_INTEGER, re.compile(r"(?:[-+]?(?:0|[1-9]\d{0,17})\n)*+"), FORMS[1:5]),
    (_REAL, re.compile(r"(?:[-+]?(?:(?:0|[1-9]\d{0,99})(?:\.\d{0,99})?)\n)*+"), FORMS[2:4]),
)
"""Form, a batch of lines that are all of it, and the forms which those lines have as well."""
_DAY_FIRST, _MONTH_FIRST = FORMS[8], FORMS[9]
_TEXT_FORMS = tuple(form for form in FORMS if form.type in ("date", "datetime"))
_KINDS: dict[type, frozenset[str]] = {
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "real"}),
    float: frozenset({"real"}),
    Decimal: frozenset({"real"}),
    dt.date: frozenset({"date", "datetime"}),
    dt.datetime: frozenset({"datetime"}),
}


@dataclass(slots=True)
class Guess:
    """What the values of a column seen so far can all be.

    `typed` is for sources whose values have types already: their text is never a number.
    """

    typed: bool = False
    forms: tuple[Form, ...] = ()
    kinds: frozenset[str] = frozenset(SQL_TYPES)
    texts: bool = False
    others: bool = False

    def __post_init__(self) -> None:
        self.forms = _TEXT_FORMS if self.typed else FORMS

    def see(self, values: Iterable[Any]) -> None:
        """A batch of the column's values; None is missing."""
        if not self.forms and not self.kinds:
            return
        values = list(values)
        for kind in set(map(type, values)) - {type(None), str}:
            self.others = True
            self.kinds &= _KINDS.get(kind, frozenset())
        texts = {value for value in values if type(value) is str}
        wider = self._all_alike(texts)
        if wider is not None:
            self.texts = True
            self.forms = wider
            return
        for text in texts:
            text = text.strip()
            if text.lower() in _MISSING:
                continue
            self.texts = True
            self.forms = tuple(form for form in self.forms if _fits(form, text))
            if not self.forms:
                return

    def _all_alike(self, texts: set[str]) -> tuple[Form, ...] | None:
        """The quick way for long columns of plain numbers: one look at the whole batch. None where it cannot tell."""
        head = self.forms[0] if self.forms else None
        if head is not _INTEGER and head is not _REAL:
            head = _INTEGER if head is FORMS[0] else None
        if head is None or not texts:
            return None
        joined = "\n".join(texts) + "\n"
        for form, lines, also in _QUICK:
            if form is head and lines.fullmatch(joined):
                return tuple(each for each in self.forms if each in also)
        return None

    def column(self) -> Settled:
        """The type all values have; `text` when they have none in common, or none was seen."""
        forms = self.forms
        if _DAY_FIRST in forms and _MONTH_FIRST in forms:
            forms = ()  # 03/04/2024 is two dates: nobody can tell which is meant, so the text stays
        if not self.texts and self.others:
            order = ("boolean", "integer", "real", "date", "datetime")
            return Settled(next((kind for kind in order if kind in self.kinds), "text"), None)
        if not self.texts or not forms or (self.others and forms[0].type not in self.kinds):
            return Settled("text", None)
        return Settled(forms[0].type, forms[0])


def _fits(form: Form, text: str) -> bool:
    if len(text) > 40 or form.pattern.fullmatch(text) is None:
        return False
    try:
        form.convert(text)
    except (ValueError, IndexError):
        return False
    return True


@dataclass(slots=True)
class Settled:
    """A column's type and how its values are stored."""

    type: str
    form: Form | None
    _known: dict[str, Any] = field(default_factory=dict)

    def stored_all(self, values: Sequence[Any]) -> list[Any]:
        """A batch of values, quickly where all are plain numbers or plain text."""
        try:
            if self.form is _INTEGER:
                return list(map(int, values))
            if self.form is _REAL:
                return list(map(float, values))
        except (ValueError, TypeError):
            pass
        if self.type == "text" and set(map(type, values)) == {str} and max(map(len, values)) <= MAX_TEXT:
            return [value if value and not value.isspace() else None for value in values]
        return list(map(self.stored, values))

    def stored(self, value: Any) -> Any:
        """A value as SQLite keeps it: int, float, text or None."""
        if value is None:
            return None
        if type(value) is str:
            return self._text(value)
        if self.type == "text":
            return as_text(value)
        if isinstance(value, (dt.date, dt.datetime)):
            return _moment(value, self.type)
        if self.type == "real":
            number = float(value)
            return number if math.isfinite(number) else None
        return int(value) if -MAX_INTEGER <= int(value) <= MAX_INTEGER else None

    def _text(self, value: str) -> Any:
        if self.form is None:
            return value[:MAX_TEXT] if value.strip() else None
        found = self._known.get(value, self)
        if found is self:
            text = value.strip()
            found = None if text.lower() in _MISSING else self.form.convert(text)
            if len(self._known) < 10_000:
                self._known[value] = found
        return found


def _moment(value: dt.date, wanted: str) -> str:
    if wanted == "datetime" and not isinstance(value, dt.datetime):
        return f"{value.isoformat()} 00:00:00"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None, microsecond=0).isoformat(sep=" ")
    return value.isoformat()


def as_text(value: Any) -> str | None:
    """Any value of any source as text; None for what is empty."""
    if isinstance(value, str):
        return value[:MAX_TEXT] if value.strip() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes)"
    if isinstance(value, dt.datetime):
        return _moment(value, "datetime")
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)[:MAX_TEXT]
    try:
        return str(value)[:MAX_TEXT]
    except (ValueError, InvalidOperation):  # an integer of more digits than Python will write
        return None
