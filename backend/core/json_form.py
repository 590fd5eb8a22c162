"""What a model's answer must be as a response_format says it, and judging what came against that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.core import enforcement_texts as texts
from backend.core.json_answer import JsonAnswer
from backend.core.json_schema import JsonSchema
from backend.core.schema_grammar import for_grammar, is_guaranteed
from backend.llm.port import ResponseFormat
from backend.models.errors import InvalidRequest

SCHEMA_PARAM = "response_format.json_schema.schema"

Mend = Callable[[Any], Any]
"""Puts a value right where nothing is lost by it; may raise InvalidRequest saying what is wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is the JSON that fits, exactly as it may be passed on; None when there is none, and `problem` says why."""

    text: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A response_format with its schema checked. Raises InvalidRequest when made from a schema that cannot be used."""

    wanted: ResponseFormat
    param: str = SCHEMA_PARAM
    mend: Mend | None = None
    schema: JsonSchema | None = field(init=False)

    def __post_init__(self) -> None:
        given = self.wanted.schema if self.wanted.type == "json_schema" else None
        object.__setattr__(self, "schema", None if given is None else JsonSchema(given, self.param))

    @property
    def first(self) -> str:
        """Characters the JSON may begin with; empty for any."""
        if self.schema is None:
            return "{"
        kind = self.schema.schema.get("type")
        return {"object": "{", "array": "[", "string": '"'}.get(kind, "") if isinstance(kind, str) else ""

    @property
    def guaranteed(self) -> bool:
        """Whether what a grammar lets through always fits, so that it need not be seen whole."""
        return self.mend is None and (self.schema is None or is_guaranteed(self.schema.schema))

    def for_model(self) -> ResponseFormat:
        """What to ask a provider for."""
        if self.schema is None:
            return self.wanted
        return ResponseFormat("json_schema", self.wanted.name, for_grammar(self.schema.schema), self.wanted.strict)

    def in_words(self) -> str:
        if self.schema is None:
            return texts.ONE_OBJECT
        return texts.FITTING.format(schema=dumped(self.schema.schema))

    def answer(self) -> JsonAnswer:
        """An empty answer to be fed."""
        return JsonAnswer(self.first)

    def judge(self, answer: JsonAnswer, *, length: bool) -> Verdict:
        """What an answer that has ended is worth. `length`: a limit of tokens ended it.

        Raises InvalidRequest when the schema takes too long to check.
        """
        ending = answer.ending(length=length)
        if ending == "whole":
            return self.accepts(answer.json)
        if ending == "wrong":
            for each in answer.candidates():
                verdict = self.accepts(each)
                if verdict.text is not None:
                    return verdict
        return Verdict(None, texts.NOT_OBJECT if self.first == "{" else texts.NOT_JSON)

    def accepts(self, text: str) -> Verdict:
        """The verdict on a complete JSON text."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Verdict(None, texts.NOT_JSON)
        if self.mend is not None:
            try:
                mended = self.mend(value)
            except InvalidRequest as error:
                return Verdict(None, error.message)
            if mended != value:
                value, text = mended, dumped(mended)
        problem = None if self.schema is None else self.schema.problem(value)
        return Verdict(None, problem) if problem else Verdict(text)


def dumped(value: Any) -> str:
    """JSON text of a value, whatever size its numbers have."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=True)


def check_schema(schema: Mapping[str, Any], param: str = SCHEMA_PARAM) -> None:
    """Refuse a schema before any model is asked. Raises InvalidRequest naming `param`."""
    JsonSchema(schema, param)
