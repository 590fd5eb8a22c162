"""Schemas that strangers write: refused with the place named, or validated in bounded time; never fetched."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backend.core.json_schema import JsonSchema
from backend.core.schema_grammar import for_grammar, is_guaranteed
from backend.models.errors import InvalidRequest
from tests.core.enforcement_helpers import PERSON

PARAM = "response_format.json_schema.schema"
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}},
            "additionalProperties": False,
        }
    },
}


def nested(levels: int, wrap: Any, core: Any) -> Any:
    for _ in range(levels):
        core = wrap(core)
    return core


def doubling(keyword: str, levels: int) -> dict[str, Any]:
    """A few lines that ask for 2^levels evaluations."""
    defs: dict[str, Any] = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": {"type": "string"}}, "$ref": "#/$defs/d0"}


# ---- what is refused -------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, str]] = {
    "remote reference": ({"$ref": "http://127.0.0.1:9/x.json"}, "only places in this schema"),
    "file reference": ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "only places in this schema"),
    "reference by base": ({"$id": "http://example.com/a", "$ref": "b.json"}, "only places in this schema"),
    "nested base": ({"properties": {"a": {"$id": "http://example.com/a"}}}, r"\$id is not supported"),
    "reference to nothing": ({"$ref": "#/$defs/none"}, "points at nothing"),
    "reference to no schema": ({"enum": [3], "$ref": "#/enum"}, "does not point at a schema"),
    "anchor": ({"$anchor": "x", "properties": {"a": {"$ref": "#x"}}}, "only places in this schema"),
    "dynamic reference": ({"$dynamicRef": "#x"}, r"\$dynamicRef is not supported"),
    "itself": ({"$ref": "#"}, "refers to itself without end"),
    "itself by another": (
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        "refers to itself without end",
    ),
    "itself in a combination": ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "refers to itself without end"),
    "long chain": ({"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(60)} | {"d60": {}},
                    "$ref": "#/$defs/d0"}, "combines more than"),
    "unknown type": ({"type": "objekt"}, "type must be one of array"),
    "type in a property": ({"properties": {"a": {"type": 5}}}, "properties.a: type must be"),
    "required no list": ({"required": "a"}, "required must be a list of names"),
    "properties a list": ({"properties": ["a"]}, "properties must be"),
    "enum empty": ({"enum": []}, "enum must be"),
    "anyOf empty": ({"anyOf": []}, "anyOf must be"),
    "bound as text": ({"minimum": "3"}, "minimum must be a number"),
    "negative length": ({"minLength": -1}, "minLength must be"),
    "broken pattern": ({"pattern": "("}, "pattern"),
    "look-around": ({"pattern": "^(?=a)b$"}, "look-around"),
    "huge pattern": ({"pattern": "(a{1000}){1000}"}, "too large"),
    "long pattern": ({"pattern": "a" * 600}, "at most 512 characters"),
    "many patterns": ({"properties": {f"p{n}": {"pattern": f"^{n}$"} for n in range(30)}}, "different patterns"),
    "heavy patterns": (
        {"properties": {f"p{n}": {"pattern": rf"^[\p{{L}}]{{{180 - n}}}$"} for n in range(20)}},
        "patterns are too large",
    ),
    "one megabyte": ({"properties": {f"p{n}": {"description": "x" * 60} for n in range(12_000)}}, "too large"),
    "many parts": ({"properties": {f"p{n}": {} for n in range(6_000)}}, "more than 5000 parts"),
    "deep": (nested(101, lambda inner: {"items": inner}, {}), "nested deeper"),
    "very deep": (nested(600, lambda inner: {"items": inner}, {}), "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidRequest, match=reason) as caught:
        JsonSchema(schema, PARAM)
    assert caught.value.param == PARAM
    assert len(caught.value.message) < 400
    assert time.process_time() - started < 2.0


# ---- what is bounded -------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(a?){200}a{200}$"])
def test_a_pattern_that_would_backtrack_for_ever_takes_no_time(pattern: str) -> None:
    schema = JsonSchema({"type": "string", "pattern": pattern}, PARAM)
    started = time.process_time()
    assert schema.problem("a" * 20_000 + "!")
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling("allOf", 14), "x"),
        (doubling("anyOf", 14), 5),
        ({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, nested(40, lambda inner: [inner], 1)),
        ({"uniqueItems": True}, [[n] for n in range(5000)]),
        ({"items": {"allOf": [{"minimum": n} for n in range(500)]}}, list(range(1000))),
    ],
    ids=["allOf doubling", "anyOf doubling", "doubling with the depth", "unique objects", "wide combination"],
)
def test_work_that_grows_without_measure_is_refused_in_bounded_time(schema: dict[str, Any], value: Any) -> None:
    checked = JsonSchema(schema, PARAM)
    started = time.process_time()
    with pytest.raises(InvalidRequest, match="takes too long") as caught:
        checked.problem(value)
    assert caught.value.param == PARAM
    assert time.process_time() - started < 5.0


def test_an_honest_recursive_schema_is_not_refused() -> None:
    tree = nested(14, lambda inner: {"left": inner, "right": {}}, {})
    assert JsonSchema(TREE, PARAM).problem(tree) is None
    assert "'up' is not allowed" in (JsonSchema(TREE, PARAM).problem({"left": {"up": 1}}) or "")


# ---- what is validated -----------------------------------------------------------------------------

CASES: list[tuple[dict[str, Any], Any, Any]] = [
    (PERSON, {"name": "Ada", "age": 36}, {"name": "Ada"}),
    (PERSON, {"name": "Ada", "age": 36}, {"name": "Ada", "age": 36, "x": 1}),
    ({"type": ["string", "null"]}, None, 3),
    ({"minimum": 0.5}, 0.75, 0.25),
    ({"multipleOf": 0.5}, 1.5, 1.4),
    ({"uniqueItems": True}, [1, 2], [1, 1]),
    ({"not": {"type": "string"}}, 1, "x"),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"c": 1}, {"a": 1}),
    ({"contains": {"const": 3}}, [1, 3], [1]),
    ({"oneOf": [{"minimum": 5}, {"maximum": 3}, {"type": "string"}]}, 7, 4),
    ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 2}, {"a": 1}),
    ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
    ({"pattern": "^[A-Z]{3}$"}, "ABC", "abc"),
    ({"patternProperties": {"^n_": {"type": "number"}}, "additionalProperties": False}, {"n_a": 1}, {"n_a": "x"}),
    ({"patternProperties": {"^n_": {}}, "additionalProperties": False}, {"n_a": 1}, {"m": 1}),
    ({"propertyNames": {"maxLength": 2}}, {"ab": 1}, {"abc": 1}),
    ({"properties": {"pattern": {"type": "string"}, "$ref": {"type": "number"}}}, {"$ref": 1}, {"pattern": 1}),
    ({"format": "date"}, "2026-02-28", "2026-02-31"),
    ({"format": "time"}, "23:59:59.123456789Z", "25:00:00Z"),
    ({"format": "date-time"}, "2026-02-28T10:00:00+02:00", "2026-02-28"),
    ({"format": "uuid"}, "123e4567-e89b-42d3-a456-426614174000", "123"),
    ({"format": "email"}, "a@example.org", "a at b"),
    ({"format": "ipv4"}, "192.0.2.1", "192.0.2.999"),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"type": "string"}},
      "properties": {"x": {"$ref": "#/definitions/a"}}}, {"x": "y"}, {"x": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), CASES, ids=[str(list(case[0])[:2]) for case in CASES])
def test_keywords_are_kept(schema: dict[str, Any], good: Any, bad: Any) -> None:
    checked = JsonSchema(schema, PARAM)
    assert checked.problem(good) is None
    assert checked.problem(bad)


def test_unknown_formats_say_something_to_people_only() -> None:
    assert JsonSchema({"format": "phone"}, PARAM).problem("anything") is None


def test_problems_name_the_place_and_stay_short() -> None:
    schema = JsonSchema({"properties": {"rows": {"items": PERSON}}}, PARAM)
    told = schema.problem({"rows": [{"name": "x" * 5000, "age": "y" * 5000}]})
    assert told is not None and told.startswith("at rows[0].age: ") and "is not of type 'integer'" in told
    assert len(told) < 1000


# ---- what a grammar guarantees ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "certain"),
    [
        (PERSON, True),
        (TREE, True),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, True),
        ({"type": "array", "items": {"enum": ["a", "b"], "type": "string"}, "minItems": 1, "maxItems": 3}, True),
        ({"type": "integer", "minimum": 1, "maximum": 5}, True),
        ({"type": "number", "minimum": 1}, False),
        ({"type": "string", "pattern": "^a$"}, False),
        ({"type": "string", "format": "date"}, False),
        ({"type": "string", "maxLength": 5000}, False),
        ({"type": "array", "uniqueItems": True}, False),
        ({"not": {"type": "string"}}, False),
        ({"if": {}, "then": {}}, False),
        ({"type": "array", "contains": {}}, False),
        ({"allOf": [{"type": "object"}]}, False),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, False),
        ({"anyOf": [{"type": "object"}], "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}, False),
        ({"type": "object", "required": ["a"]}, False),
        ({"type": ["string", "null"], "maxLength": 3}, False),
    ],
)
def test_only_what_every_grammar_keeps_counts_as_certain(schema: dict[str, Any], certain: bool) -> None:
    assert is_guaranteed(schema) is certain


def test_what_a_grammar_chokes_on_is_said_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The text.", "maxLength": 100_000},
            "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 9},
            "odd": {"type": "array", "items": {"type": "string", "pattern": "\\d"}},
        },
    }
    light = for_grammar(schema)["properties"]
    assert light["text"] == {"type": "string", "description": "The text. (at most 100000 characters)"}
    assert light["code"] == schema["properties"]["code"]
    assert light["odd"]["items"] == {"type": "string", "description": r"(must match the regular expression \d)"}
    assert schema["properties"]["text"]["maxLength"] == 100_000, "the original is untouched"
