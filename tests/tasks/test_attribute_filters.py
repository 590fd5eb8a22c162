"""Attributes of files and the filters over them: what passes, and what is refused by which name."""

from __future__ import annotations

from typing import Any

import pytest

from backend.models.attribute_filters import (
    MAX_DEPTH,
    MAX_FILTERS,
    Comparison,
    attributes_of,
    filter_of,
    matches,
)
from backend.models.errors import InvalidRequest

FILE = {"year": 2024, "price": 9.5, "lang": "de", "draft": False, "one": 1}


def passes(wanted: Any) -> bool:
    return matches(filter_of(wanted), FILE)


def is_(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("eq", "lang", "de", True),
        ("eq", "lang", "DE", False),
        ("eq", "year", 2024, True),
        ("eq", "year", 2024.0, True),
        ("eq", "year", "2024", False),
        ("eq", "draft", False, True),
        ("eq", "draft", 0, False),
        ("eq", "one", True, False),
        ("eq", "missing", "x", False),
        ("ne", "lang", "en", True),
        ("ne", "lang", "de", False),
        ("ne", "missing", "x", True),
        ("gt", "year", 2023, True),
        ("gt", "year", 2024, False),
        ("gte", "year", 2024, True),
        ("lt", "price", 10, True),
        ("lte", "price", 9.5, True),
        ("lte", "price", 9, False),
        ("gt", "lang", "cs", True),
        ("gt", "lang", 5, False),
        ("gt", "year", "2000", False),
        ("gt", "draft", False, False),
        ("gte", "draft", False, False),
        ("gt", "missing", 0, False),
        ("lt", "missing", 0, False),
        ("in", "lang", ["en", "de"], True),
        ("in", "lang", [], False),
        ("in", "one", [True], False),
        ("in", "missing", ["x"], False),
        ("nin", "lang", ["en"], True),
        ("nin", "lang", ["de"], False),
        ("nin", "missing", ["x"], True),
    ],
)
def test_comparisons(kind: str, key: str, value: Any, expected: bool) -> None:
    assert passes(is_(kind, key, value)) is expected


YES, NO = is_("eq", "lang", "de"), is_("eq", "lang", "en")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, True),
        ({"type": "and", "filters": [YES, YES]}, True),
        ({"type": "and", "filters": [YES, NO]}, False),
        ({"type": "or", "filters": [NO, YES]}, True),
        ({"type": "or", "filters": [NO, NO]}, False),
        ({"type": "and", "filters": [YES, {"type": "or", "filters": [NO, YES]}]}, True),
    ],
    ids=["none", "and", "and-no", "or", "or-no", "nested"],
)
def test_compounds(wanted: Any, expected: bool) -> None:
    assert passes(wanted) is expected


def nested(depth: int) -> dict[str, Any]:
    wanted = YES
    for _ in range(depth - 1):
        wanted = {"type": "and", "filters": [wanted]}
    return wanted


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ([], "filters"),
        ("x", "filters"),
        ({}, "filters.type"),
        ({"type": "like", "key": "a", "value": 1}, "filters.type"),
        ({"type": ["eq"], "key": "a", "value": 1}, "filters.type"),
        ({"type": "eq", "value": 1}, "filters.key"),
        ({"type": "eq", "key": "", "value": 1}, "filters.key"),
        ({"type": "eq", "key": "k" * 65, "value": 1}, "filters.key"),
        ({"type": "eq", "key": 5, "value": 1}, "filters.key"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value"),
        ({"type": "eq", "key": "a", "value": {}}, "filters.value"),
        ({"type": "eq", "key": "a", "value": [1]}, "filters.value"),
        ({"type": "eq", "key": "a", "value": "v" * 513}, "filters.value"),
        ({"type": "eq", "key": "a", "value": float("inf")}, "filters.value"),
        ({"type": "eq", "key": "a", "value": 10**400}, "filters.value"),
        ({"type": "in", "key": "a", "value": 1}, "filters.value"),
        ({"type": "in", "key": "a", "value": [[]]}, "filters.value"),
        ({"type": "nin", "key": "a", "value": ["x"] * 1001}, "filters.value"),
        ({"type": "and"}, "filters.filters"),
        ({"type": "or", "filters": []}, "filters.filters"),
        ({"type": "or", "filters": [YES, 5]}, "filters.filters[1]"),
        ({"type": "or", "filters": [YES, {"type": "and", "filters": [{"type": "x"}]}]},
         "filters.filters[1].filters[0].type"),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_what_is_no_filter_is_refused_by_name(wanted: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        filter_of(wanted)
    assert (caught.value.param, caught.value.code) == (param, "invalid_value")


def test_filters_nest_so_deep_and_no_deeper() -> None:
    assert passes(nested(MAX_DEPTH))
    with pytest.raises(InvalidRequest, match="nest at most"):
        filter_of(nested(MAX_DEPTH + 1))


def test_filters_are_so_many_and_no_more() -> None:
    assert passes({"type": "and", "filters": [YES] * (MAX_FILTERS - 1)})
    with pytest.raises(InvalidRequest):
        filter_of({"type": "and", "filters": [YES] * MAX_FILTERS})


def test_a_filter_names_its_place_in_a_larger_body() -> None:
    with pytest.raises(InvalidRequest) as caught:
        filter_of({"type": "eq"}, "tools[2].filters")
    assert caught.value.param == "tools[2].filters.key"
    assert filter_of(YES, "x") == Comparison("eq", "lang", "de")


@pytest.mark.parametrize("value", [None, {}, {"a": "x" * 512, "b": 1, "c": -2.5, "d": True}, {"k" * 64: ""}])
def test_attributes_that_are_taken(value: Any) -> None:
    assert attributes_of(value, "attributes") == (value or {})


@pytest.mark.parametrize(
    "value",
    [[], "x", {"a": None}, {"a": []}, {"a": {}}, {"a": "x" * 513}, {"": 1}, {"k" * 65: 1}, {"a": 10**30},
     {str(n): n for n in range(17)}],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_attributes_that_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        attributes_of(value, "files.3.attributes")
    assert caught.value.param == "files.3.attributes"
