"""Attributes of files in collections, and the filters that choose files by them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.models.errors import InvalidRequest

Attribute = str | float | bool
"""What an attribute of a file may be; integers are numbers like others."""

MAX_ATTRIBUTES = 16
MAX_KEY = 64
MAX_VALUE = 512
MAX_DEPTH = 8
MAX_FILTERS = 256
MAX_CHOICES = 1000
"""Values of one `in` or `nin`."""
MAX_INTEGER = 2**63


@dataclass(frozen=True, slots=True)
class Comparison:
    """One attribute against a value, or against several for `in` and `nin`."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: Attribute | tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """All (`and`) or at least one (`or`) of several filters."""

    type: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Comparison | Compound

COMPARISONS: Sequence[str] = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_ORDER: Mapping[str, Callable[[Attribute, Attribute], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matches(wanted: Filter | None, attributes: Mapping[str, Attribute]) -> bool:
    """Whether a file's attributes pass. One that a file lacks passes only `ne` and `nin`.

    Text is compared with text alone, numbers with numbers, truth values with truth values; text by code points.
    """
    if wanted is None:
        return True
    if isinstance(wanted, Compound):
        every = (matches(each, attributes) for each in wanted.filters)
        return all(every) if wanted.type == "and" else any(every)
    values = wanted.value if isinstance(wanted.value, tuple) else (wanted.value,)
    own = attributes.get(wanted.key)
    if wanted.type in ("eq", "in"):
        return own is not None and any(_equal(own, value) for value in values)
    if wanted.type in ("ne", "nin"):
        return own is None or not any(_equal(own, value) for value in values)
    if own is None or _kind(own) != _kind(values[0]) or _kind(own) is bool:
        return False
    return _ORDER[wanted.type](own, values[0])


def attributes_of(value: Any, param: str) -> dict[str, Attribute]:
    """Attributes out of a request. Raises InvalidRequest naming `param`."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_ATTRIBUTES:
        raise _wrong(f"{param} must be an object of at most {MAX_ATTRIBUTES} keys.", param)
    for key, one in value.items():
        if not 0 < len(key) <= MAX_KEY:
            raise _wrong(f"Each key of {param} has 1 to {MAX_KEY} characters.", param)
        if not _is_attribute(one):
            raise _wrong(
                f"Each value of {param} is text of at most {MAX_VALUE} characters, a number, true or false.", param
            )
    return dict(value)


def filter_of(value: Any, param: str = "filters") -> Filter | None:
    """A filter out of a request; None for none. Raises InvalidRequest naming the part that is wrong."""
    return None if value is None else _read(value, param, 1, [0])


def _read(value: Any, param: str, depth: int, seen: list[int]) -> Filter:
    seen[0] += 1
    if depth > MAX_DEPTH or seen[0] > MAX_FILTERS:
        raise _wrong(f"Filters nest at most {MAX_DEPTH} levels deep, and {MAX_FILTERS} in all.", param)
    if not isinstance(value, dict):
        raise _wrong(f"{param} must be an object.", param)
    kind = value.get("type")
    if kind == "and" or kind == "or":
        inner = value.get("filters")
        if not isinstance(inner, list) or not inner:
            raise _wrong(f"{param}.filters must be a list of filters.", f"{param}.filters")
        every = (_read(each, f"{param}.filters[{n}]", depth + 1, seen) for n, each in enumerate(inner))
        return Compound(kind, tuple(every))
    if not isinstance(kind, str) or kind not in COMPARISONS:
        allowed = ", ".join([*COMPARISONS, "and", "or"])
        raise _wrong(f"{param}.type must be one of {allowed}.", f"{param}.type")
    key = value.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
        raise _wrong(f"{param}.key must be text of 1 to {MAX_KEY} characters.", f"{param}.key")
    return Comparison(kind, key, _value(kind, value.get("value"), f"{param}.value"))  # type: ignore[arg-type]


def _value(kind: str, value: Any, param: str) -> Attribute | tuple[Attribute, ...]:
    if kind in ("in", "nin"):
        if not isinstance(value, list) or len(value) > MAX_CHOICES or not all(map(_is_attribute, value)):
            raise _wrong(f"{param} must be a list of at most {MAX_CHOICES} texts and numbers.", param)
        return tuple(value)
    if not _is_attribute(value):
        raise _wrong(f"{param} must be text of at most {MAX_VALUE} characters, a number, true or false.", param)
    one: Attribute = value
    return one


def _is_attribute(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_VALUE
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def _wrong(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_value")


def _equal(one: Attribute, other: Attribute) -> bool:
    return _kind(one) is _kind(other) and one == other


def _kind(value: Attribute) -> type:
    """1 is not True, but it is 1.0."""
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
