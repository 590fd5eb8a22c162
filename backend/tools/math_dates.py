"""Days between two dates of a question, as a sum that a person can check. Pure functions."""

from __future__ import annotations

import datetime
import re
import unicodedata

_MONTHS = (
    "january januar jänner janvier enero gennaio janeiro jan",
    "february februar février febrero febbraio fevereiro feb",
    "march märz mars marzo março mar",
    "april avril abril aprile apr",
    "may mai mayo maggio maio",
    "june juni juin junio giugno junho jun",
    "july juli juillet julio luglio julho jul",
    "august août agosto aug",
    "september septembre septiembre settembre setembro sep sept",
    "october oktober octobre octubre ottobre outubro oct okt",
    "november novembre noviembre novembro nov",
    "december dezember décembre diciembre dicembre dezembro dec dez",
)


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


_MONTH_OF = {_bare(word): number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_MONTH = "(?P<{}>" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + ")"
_DATE = re.compile(
    r"(?<!\d)(?:(?P<y1>\d{4})-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})(?!\d)|(?P<d2>\d{1,2})\.(?P<m2>\d{1,"
    r"2})\.(?P<y2>\d{4})(?!\d)"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?\s(?:(?:of|de)\s)?{_MONTH.format('m3')}\b\.?(?:,?\s(?:de\s|"
    rf"del\s)?(?P<y3>\d{{4}}))?)"
    rf"|\b{_MONTH.format('m4')}\.?\s(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s(?P<y4>\d{{4}}))?"
)
_ASKS_DAYS = re.compile(
    r"\b(?:(?:how many|number of) days|wie ?viele tage|combien de jours|cuantos dias|quanti giorni|quantos dias|days "
    r"between)\b"
)
MAX_TERMS = 40


def days_between(query: str) -> str | None:
    """ "How many days are between 28 January and 3 March 2024?" as `(31 - 28) + 29 + 3`; None for anything else.

    A year given once counts for both; without one, only spans that no leap day can change are answered.
    """
    text = _bare(query)
    if not _ASKS_DAYS.search(text):
        return None
    found = list(_DATE.finditer(text))
    if len(found) != 2:
        return None
    read = [_read(each) for each in found]
    years = [year for year, _, _ in read if year is not None]
    try:
        dates = [datetime.date(year or (years[0] if years else 2023), month, day) for year, month, day in read]
    except ValueError:
        return None
    first, last = sorted(dates)
    if not years and first.month <= 2 < last.month:
        return None
    return _sum(first, last)


def _read(found: re.Match[str]) -> tuple[int | None, int, int]:
    """Year, month and day."""
    for n in "1234":
        if found[f"d{n}"]:
            month = found[f"m{n}"]
            year = found[f"y{n}"]
            return int(year) if year else None, int(month) if month.isdigit() else _MONTH_OF[month], int(found[f"d{n}"])
    raise AssertionError("every form of the pattern has a day")


def _sum(first: datetime.date, last: datetime.date) -> str | None:
    if (first.year, first.month) == (last.year, last.month):
        return f"{last.day} - {first.day}"
    terms = [f"({_length(first.year, first.month)} - {first.day})"]
    year, month = first.year, first.month + 1
    while (year, month) != (last.year, last.month):
        if month > 12:
            year, month = year + 1, 1
            continue
        whole_year = month == 1 and year < last.year
        terms.append(str(366 if _length(year, 2) == 29 else 365) if whole_year else str(_length(year, month)))
        if len(terms) > MAX_TERMS:
            return None
        year, month = (year + 1, 1) if whole_year else (year, month + 1)
    return " + ".join([*terms, str(last.day)])


def _length(year: int, month: int) -> int:
    following = datetime.date(year + month // 12, month % 12 + 1, 1) if year < 9999 else datetime.date(9999, 12, 31)
    return (following - datetime.date(year, month, 1)).days
