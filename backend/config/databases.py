"""Databases that an administrator names by URL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import SecretStr

ROLES = ("admin", "user")
_ENTRY = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_-]{0,31})(?:\[(?P<role>\w+)\])?=(?P<url>\S+)")
_BETWEEN = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9_-]{0,31}(?:\[\w+\])?=[a-z][a-z0-9+]*:)")
_URL = re.compile(r"[a-z][a-z0-9]*(?:\+[a-z0-9]+)?://\S*")


@dataclass(frozen=True, slots=True)
class NamedDatabase:
    """`url` as SQLAlchemy reads it, never shown; `role` None: everybody who is signed in may ask it."""

    name: str
    url: SecretStr
    role: str | None = None


def named_databases(text: str) -> tuple[NamedDatabase, ...]:
    """Read `shop=postgresql+psycopg://…, hr[admin]=sqlite:////srv/hr.db`. Raises ValueError saying what is allowed."""
    made: list[NamedDatabase] = []
    for part in _BETWEEN.split(text.strip()) if text.strip() else []:
        found = _ENTRY.fullmatch(part.strip().rstrip(","))
        if found is None or _URL.fullmatch(found["url"]) is None:
            raise ValueError("name=url pairs separated by commas, e.g. shop=postgresql+psycopg://user@host/shop")
        if found["role"] not in (None, *ROLES):
            raise ValueError(f"the role in brackets is one of {', '.join(ROLES)}")
        if any(each.name.casefold() == found["name"].casefold() for each in made):
            raise ValueError(f"each name once; {found['name']} stands twice")
        made.append(NamedDatabase(found["name"], SecretStr(found["url"]), found["role"]))
    return tuple(made)
