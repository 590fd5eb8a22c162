"""Whether a value fits a JSON schema that a stranger wrote: no network, no runaway pattern, bounded work."""

from __future__ import annotations

import datetime
import ipaddress
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from backend.core.schema_shape import IN_PLACE, check_shape, resolved, subschemas
from backend.models.errors import InvalidRequest

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

MAX_EVALUATIONS = 50_000
"""Applications of a schema to a part of a value, before validation is refused: about half a second of work."""
MAX_COMPILE_S = 0.3
"""Processor time for the patterns of a schema."""
MAX_PROBLEMS = 3
MAX_PROBLEM_CHARS = 240
_UNIQUE_SHARE = 16
"""Comparisons of two items that cost as much as one evaluation."""
_FOR_FIELDS = frozenset({"patternProperties", "additionalProperties"})
_FOR_ITEMS = frozenset({"items", "contains"})
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class JsonSchema:
    """A checked schema. Immutable; may be used any number of times.

    Args:
        schema: a JSON schema, draft 2020-12, or draft 7 when its `$schema` says so.
        param: the request field it stands in, for error messages.

    Raises:
        InvalidRequest: the schema is not valid, too large, endless, refers to other places, or has a pattern that
            cannot be checked in linear time.
    """

    def __init__(self, schema: Mapping[str, Any], param: str) -> None:
        patterns = check_shape(schema, param)
        self.schema = schema
        self.param = param
        self._patterns = _all_compiled(sorted(patterns), param)
        self._validator: Any = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, in a line or two fit for a person and a model; None when it fits.

        Raises InvalidRequest when telling would take too long.
        """
        if self._too_costly(value):
            raise self._too_complicated()
        if self._validator is None:
            self._validator = self._library_validator()
        try:
            problems = [_sentence(error) for error in islice(self._validator.iter_errors(value), MAX_PROBLEMS)]
        except (RecursionError, OverflowError):
            raise self._too_complicated() from None
        return "; ".join(problems) or None

    def _library_validator(self) -> Any:
        # Imported here: it takes a tenth of a second, and most servers never see a schema.
        from jsonschema import Draft7Validator, Draft202012Validator, validators  # type: ignore[import-untyped]
        from referencing import Registry

        old = "draft-0" in str(self.schema.get("$schema", ""))
        keywords = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "format": _format,
        }
        made = validators.extend(Draft7Validator if old else Draft202012Validator, keywords)
        # An empty registry knows the schema itself and never fetches another.
        return made(self.schema, registry=Registry())

    # ---- keywords with patterns: the library would hand them to a backtracking engine --------------

    def _matches(self, pattern: str, text: str) -> bool:
        return self._patterns[pattern].isinstance_python(text)

    def _pattern(self, _validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(value, str) and not self._matches(pattern, value):
            yield _error(f"{value!r} does not match {pattern!r}")

    def _pattern_properties(self, validator: Any, patterns: Any, value: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            for pattern, schema in patterns.items():
                for name, item in value.items():
                    if self._matches(pattern, name):
                        yield from validator.descend(item, schema, path=name, schema_path=pattern)

    def _additional_properties(self, validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(value, dict):
            return
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, item in value.items():
            if name in known or any(self._matches(pattern, name) for pattern in patterns):
                continue
            if wanted is False:
                yield _error(f"the field {name!r} is not allowed")
            else:
                yield from validator.descend(item, wanted, path=name)

    # ---- the cost -------------------------------------------------------------------------------

    def _too_costly(self, value: Any) -> bool:
        """Whether validation would apply schemas more often than MAX_EVALUATIONS.

        References make it possible for a schema of a few lines to double the work at every level.
        """
        left = MAX_EVALUATIONS
        todo: list[tuple[Any, Any]] = [(self.schema, value)]
        while todo:
            node, part = todo.pop()
            left -= 1
            if isinstance(node, bool):
                continue
            left -= _extra_cost(node, part)
            if left < 0:
                return True
            todo += self._applied(node, part)
        return False

    def _applied(self, node: Mapping[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
        """The schemas that follow from a schema, each with the part of the value it applies to."""
        if "$ref" in node:
            yield resolved(self.schema, node["$ref"]), value
        for keyword, at, child in subschemas(node):
            if keyword in IN_PLACE:
                yield child, value
            elif isinstance(value, dict):
                if keyword == "properties":
                    if at in value:
                        yield child, value[at]
                elif keyword in _FOR_FIELDS:
                    yield from ((child, part) for part in value.values())
                elif keyword == "propertyNames":
                    yield from ((child, name) for name in value)
            elif isinstance(value, list):
                if keyword == "prefixItems":
                    yield from ((child, part) for part in value[at : at + 1])
                elif keyword in _FOR_ITEMS:
                    yield from ((child, part) for part in value)

    def _too_complicated(self) -> InvalidRequest:
        return InvalidRequest(
            "Checking an answer against this JSON schema takes too long: use fewer combinations and references.",
            param=self.param,
        )


def _extra_cost(node: Mapping[str, Any], value: Any) -> int:
    """What a keyword costs beyond one evaluation."""
    cost = len(node.get("enum", ())) // 8
    if isinstance(value, list) and node.get("uniqueItems") and any(isinstance(item, (dict, list)) for item in value):
        cost += len(value) ** 2 // _UNIQUE_SHARE
    if isinstance(value, dict) and "patternProperties" in node:
        cost += len(value) * len(node["patternProperties"])
    return cost


def _all_compiled(patterns: Sequence[str], param: str) -> dict[str, SchemaValidator]:
    """Patterns that are large without looking so cost a tenth of a second each: together they get little more."""
    started = time.thread_time()
    out: dict[str, SchemaValidator] = {}
    for pattern in patterns:
        if time.thread_time() - started > MAX_COMPILE_S:
            raise InvalidRequest("The JSON schema's patterns are too large to be checked.", param=param)
        out[pattern] = _compiled(pattern, param)
    return out


def _compiled(pattern: str, param: str) -> SchemaValidator:
    """A pattern for pydantic's engine, which takes linear time whatever the pattern. Raises InvalidRequest."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        raise InvalidRequest(
            f"The JSON schema's pattern '{pattern[:80]}' cannot be used: it is not valid, too large, or needs "
            "look-around or back-references.",
            param=param,
        ) from None


# ---- sentences and formats ------------------------------------------------------------------------


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def _sentence(error: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{str(part)[:64]}" for part in error.absolute_path)
    message = str(error.message)
    if len(message) > MAX_PROBLEM_CHARS:
        # The end says what is wrong; the beginning quotes the value.
        message = f"{message[: MAX_PROBLEM_CHARS // 3]}…{message[-MAX_PROBLEM_CHARS * 2 // 3 :]}"
    return f"at {where.lstrip('.') or 'the top level'}: {message}"


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text)) and bool(datetime.date.fromisoformat(text))


def _is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text)) and datetime.time.fromisoformat(_short_fraction(text)) is not None


def _is_date_time(text: str) -> bool:
    day, _, hour = text.replace("t", "T").replace(" ", "T").partition("T")
    return _is_date(day) and _is_time(hour)


def _short_fraction(text: str) -> str:
    """At most six digits of a second, as the standard library reads them."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text.upper())


_FORMATS: dict[str, Callable[[str], object]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "uuid": uuid.UUID,
    "email": _EMAIL.fullmatch,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
}
"""Formats that are checked; others say something to people only."""


def _format(_validator: Any, name: str, value: Any, _schema: Any) -> Iterator[Any]:
    check = _FORMATS.get(name)
    if check is None or not isinstance(value, str):
        return
    try:
        fits = bool(check(value))
    except ValueError:
        fits = False
    if not fits:
        yield _error(f"{value!r} is not a valid {name}")
