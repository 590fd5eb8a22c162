"""Faults in what the model says: each takes an answer and spoils it in one way."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

from tests.doubles.ollama.answer import Answer, ToolCall, words
from tests.doubles.ollama.faults import CONTENT, Fault, Faults

ODD_TEXT = "next\x85line, ls\u2028ps\u2029, nul\x00, bell\x07, tag <b>&amp;, half \ud83d, e\u0301, \U0001f600 done"
_SAMPLE_CALL = ToolCall("math_calc", {"expression": "6*7"})
_SAMPLE_JSON = '{"answer": "forty-two", "steps": ["multiply", "report"]}'


def spoil(answer: Answer, faults: Faults) -> Answer:
    """The answer with every content fault applied, in a fixed order."""
    for kind in sorted(CONTENT):
        fault = faults.get(kind)
        if fault is not None:
            answer = _SPOILERS[kind](answer, fault)
    return answer


def _calls(answer: Answer) -> list[ToolCall]:
    return answer.tool_calls or [_SAMPLE_CALL]


def _with_calls(change: Callable[[ToolCall], ToolCall]) -> Callable[[Answer, Fault], Answer]:
    def spoiled(answer: Answer, fault: Fault) -> Answer:
        return dataclasses.replace(answer, tool_calls=[change(call) for call in _calls(answer)])

    return spoiled


def _unicode_oddities(answer: Answer, fault: Fault) -> Answer:
    return dataclasses.replace(answer, content=words(fault.get("text", ODD_TEXT)))


def _long_line(answer: Answer, fault: Fault) -> Answer:
    return dataclasses.replace(answer, content=["x" * int(fault.get("mib", 1) * 1024 * 1024)], forever=True)


def _tool_calls_spread(answer: Answer, fault: Fault) -> Answer:
    calls = _calls(answer)
    if len(calls) == 1:
        calls = [calls[0], ToolCall(calls[0].name, {**calls[0].arguments, "part": 2})]
    return dataclasses.replace(answer, tool_calls=calls, spread_calls=True)


def _repeated_ids(answer: Answer, fault: Fault) -> Answer:
    calls = _calls(answer)
    calls = calls if len(calls) > 1 else calls * 2
    same = fault.get("id", "call_same0000")
    return dataclasses.replace(answer, tool_calls=[dataclasses.replace(call, id=same) for call in calls])


def _duplicate_calls(answer: Answer, fault: Fault) -> Answer:
    calls = [dataclasses.replace(call) for call in _calls(answer) for _ in range(fault.get("copies", 2))]
    return dataclasses.replace(answer, tool_calls=calls)


def _wrong_arguments(answer: Answer, fault: Fault) -> Answer:
    """Numbers as strings, objects as JSON text, a field nobody asked for."""

    def twisted(value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value)

    calls = [
        dataclasses.replace(
            call, arguments={key: twisted(value) for key, value in call.arguments.items()} | {"extra": 1}
        )
        for call in _calls(answer)
    ]
    return dataclasses.replace(answer, tool_calls=calls)


def call_as_text(call: ToolCall, form: str) -> str:
    """A tool call the way a small model writes it into its text."""
    plain = json.dumps({"name": call.name, "arguments": call.arguments})
    forms = {
        "object": plain,
        "parameters": json.dumps({"name": call.name, "parameters": call.arguments}),
        "fenced": f"```json\n{plain}\n```",
        "tag": f"<tool_call>\n{plain}\n</tool_call>",
        "array": f"[{plain}]",
        "several": f"{plain}\n{plain}",
        "function": f"<function={call.name}>{json.dumps(call.arguments)}</function>",
        "prose": f"I will call the tool now: {plain}",
    }
    return forms[form]


def _calls_as_text(answer: Answer, fault: Fault) -> Answer:
    text = "\n".join(call_as_text(call, fault.get("form", "object")) for call in _calls(answer))
    return dataclasses.replace(answer, content=words(text), tool_calls=[])


def _truncated_arguments(answer: Answer, fault: Fault) -> Answer:
    """Cut by the token limit: a string value loses its end, and the reason says `length`."""

    def cut(value: Any) -> Any:
        return value[: len(value) // 2] if isinstance(value, str) else value

    calls = [
        dataclasses.replace(call, arguments={key: cut(value) for key, value in call.arguments.items()})
        for call in _calls(answer)
    ]
    return dataclasses.replace(answer, tool_calls=calls, done_reason="length")


def _think_in_content(answer: Answer, fault: Fault) -> Answer:
    text = fault.get("text", "Let me see.")
    return dataclasses.replace(answer, thinking=[], content=[f"<think>\n{text}\n</think>\n\n", *answer.content])


def _think_no_opener(answer: Answer, fault: Fault) -> Answer:
    text = fault.get("text", "Let me see.")
    return dataclasses.replace(answer, thinking=[], content=[f"{text}\n", "</think>", "\n\n", *answer.content])


def _think_tag_split(answer: Answer, fault: Fault) -> Answer:
    text = fault.get("text", "Let me see.")
    pieces = ["<th", "ink", ">", *words(text), "</", "thi", "nk>", "\n"]
    return dataclasses.replace(answer, thinking=[], content=[*pieces, *answer.content])


def _thinking_only(answer: Answer, fault: Fault) -> Answer:
    thinking = answer.thinking or words("Let me think about it. Still thinking.")
    reason = fault.get("done_reason", "length")
    return dataclasses.replace(answer, thinking=thinking, content=[], tool_calls=[], done_reason=reason)


def _empty_answer(answer: Answer, fault: Fault) -> Answer:
    return dataclasses.replace(answer, thinking=[], content=[], tool_calls=[], after=[])


def _endless(pieces: Callable[[Fault], Any]) -> Callable[[Answer, Fault], Answer]:
    def spoiled(answer: Answer, fault: Fault) -> Answer:
        forever = bool(fault.get("forever"))
        return dataclasses.replace(answer, content=[], tool_calls=[], endless=pieces(fault), forever=forever)

    return spoiled


def _json_text(answer: Answer) -> str:
    return answer.text if answer.text.lstrip().startswith(("{", "[")) else _SAMPLE_JSON


def _json_cut(answer: Answer, fault: Fault) -> Answer:
    text = _json_text(answer)
    return dataclasses.replace(answer, content=words(text[: len(text) * 2 // 3]), done_reason="length")


def _json_fenced(answer: Answer, fault: Fault) -> Answer:
    return dataclasses.replace(answer, content=words(f"Here you are:\n```json\n{_json_text(answer)}\n```"))


_SPOILERS: dict[str, Callable[[Answer, Fault], Answer]] = {
    "unicode_oddities": _unicode_oddities,
    "long_line": _long_line,
    "tool_calls_spread": _tool_calls_spread,
    "repeated_ids": _repeated_ids,
    "absent_ids": _with_calls(lambda call: dataclasses.replace(call, id="")),
    "zero_index": _with_calls(lambda call: dataclasses.replace(call, index=0)),
    "calls_as_text": _calls_as_text,
    "string_arguments": _with_calls(lambda call: dataclasses.replace(call, arguments=json.dumps(call.arguments))),
    "unknown_tool": _with_calls(lambda call: dataclasses.replace(call, name="no_such_tool")),
    "empty_name": _with_calls(lambda call: dataclasses.replace(call, name="")),
    "truncated_arguments": _truncated_arguments,
    "duplicate_calls": _duplicate_calls,
    "wrong_arguments": _wrong_arguments,
    "think_in_content": _think_in_content,
    "think_no_opener": _think_no_opener,
    "think_tag_split": _think_tag_split,
    "thinking_only": _thinking_only,
    "empty_answer": _empty_answer,
    "endless_whitespace": _endless(lambda fault: itertools.cycle(["\n", "  "])),
    "endless_repetition": _endless(lambda fault: itertools.repeat(fault.get("token", " again"))),
    "endless_text": _endless(lambda fault: (f"w{number} " for number in itertools.count())),
    "json_cut": _json_cut,
    "json_fenced": _json_fenced,
}
