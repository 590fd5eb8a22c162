"""The built-in model: what it is, which calls it makes of a query, and how it streams."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from backend.llm.builtin import MODEL, BuiltinModel
from backend.llm.port import ChatRequest, Sampling
from backend.models.errors import InvalidRequest, ModelNotFound
from backend.models.messages import Finished, Message, TextDelta, ToolCallMade, Usage
from backend.models.tools import Proposal, ToolResult, ToolSpec
from tests.fakes.toy_specs import (
    ALL,
    DATA,
    MATH,
    SQL,
    BrokenEmbedder,
    ForbiddenEmbedder,
    WordEmbedder,
)
from tests.llm.asking import DICE, TICKET, Run, calls_of, events, said, text_of, user

# ---- describing ---------------------------------------------------------------------------------


async def test_it_lists_itself_with_its_capabilities() -> None:
    model = BuiltinModel(ForbiddenEmbedder())
    (info,) = await model.list_models()
    assert (info.id, info.provider, info.context_length) == ("hearth-builtin", "builtin", 32_768)
    assert info.capabilities == {"completion", "tools", "structured", "tools_only"}
    assert await model.describe(MODEL) == info
    await model.aclose()


async def test_another_model_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        await BuiltinModel(ForbiddenEmbedder()).describe("llama")


# ---- calling tools ------------------------------------------------------------------------------

CALLS: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
    ("What is 12*7?", [("math_calc", {"expression": "12*7"})]),
    ("Berechne 5*8", [("math_calc", {"expression": "5*8"})]),
    ("weather in Paris", [("weather", {"location": "Paris"})]),
    ("What's the weather in Paris and Rome?", [("weather", {"location": "Paris"}), ("weather", {"location": "Rome"})]),
    (
        "What is 12*7 and what does the handbook say about vacation?",
        [
            ("math_calc", {"expression": "12*7"}),
            ("rag_retrieval", {"query": "what does the handbook say about vacation?"}),
        ],
    ),
    (
        "1. compute 2+2\n2. weather in Rome\n3. find the contract",
        [
            ("math_calc", {"expression": "2+2"}),
            ("weather", {"location": "Rome"}),
            ("rag_retrieval", {"query": "find the contract"}),
        ],
    ),
    ("What is 15% of 240 and then multiply that by 3", [("math_calc", {"expression": "15/100*240"})]),
    (
        "Compare plan A and plan B in my documents",
        [
            ("rag_retrieval", {"query": "plan A in my documents"}),
            ("rag_retrieval", {"query": "plan B in my documents"}),
        ],
    ),
    ("use weather for Berlin", [("weather", {"location": "Berlin"})]),
    ('Call sql_query with "select 1"', [("sql_query", {"query": "select 1"})]),
    ("What is 3*4 and what is 3*4?", [("math_calc", {"expression": "3*4"})]),
]


@pytest.mark.parametrize(("query", "expected"), CALLS, ids=[query[:45] for query, _ in CALLS])
async def test_each_part_of_a_query_becomes_its_call(query: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert await calls_of(user(query), tools=(*ALL, SQL), embedder=ForbiddenEmbedder()) == expected


async def test_a_tool_sure_of_several_things_gets_a_call_for_each() -> None:
    def each(query: str) -> list[Proposal]:
        return [Proposal({"expression": found}, 0.9) for found in query.split() if "*" in found]

    several = ToolSpec("math_calc", "Calculates.", MATH.parameters, each)
    calls = await calls_of(user("Results of 3*4 , 5*6 , 7*8"), tools=(several,))
    assert [arguments["expression"] for _, arguments in calls] == ["3*4", "5*6", "7*8"]


async def test_inline_data_stays_with_its_question() -> None:
    calls = await calls_of(user('Analyse [{"a":1},{"a":2}]. What is the mean of a?'), tools=ALL)
    assert [name for name, _ in calls] == ["data_analysis"]
    assert calls[0][1]["data"] == '[{"a":1},{"a":2}]'


async def test_a_turn_with_calls_ends_with_usage_and_tool_calls() -> None:
    *made, usage, finished = await events(user("What is 12*7? What's the weather in Rome?"), tools=ALL, step="step-1")
    assert all(isinstance(event, ToolCallMade) for event in made)
    ids = [event.call.id for event in made if isinstance(event, ToolCallMade)]
    assert len(set(ids)) == 2
    assert isinstance(usage, Usage)
    assert usage.step == "step-1"
    assert usage.estimated
    assert finished == Finished("tool_calls")


async def test_calls_come_one_by_one_where_parallel_calls_are_off() -> None:
    query = user("What is 12*7? What's the weather in Rome?")
    assert len(await calls_of(query, tools=ALL, parallel_tool_calls=False)) == 1
    run = Run(query).add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84", {"exact": "84"}))
    assert await calls_of(*run.messages, tools=ALL, parallel_tool_calls=False) == [("weather", {"location": "Rome"})]


async def test_a_dependent_part_is_called_with_the_earlier_value() -> None:
    run = Run(user("What is 15% of 240 and then multiply that by 3"))
    run.add("math_calc", {"expression": "15/100*240"}, ToolResult("15/100*240 = 36", {"exact": "36"}))
    assert await calls_of(*run.messages, tools=ALL) == [("math_calc", {"expression": "36 * 3"})]


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("What is 6*7 and then add 8 to the result", "42 + 8"),
        ("What is 6*7, then subtract 2 from that", "42 - 2"),
        ("Berechne 6*7 und teile das Ergebnis durch 2", "42 / 2"),
        ("Calcule 6*7 puis divise le résultat par 2", "42 / 2"),
        ("Calcula 6*7 y multiplícalo por 2", "42 * 2"),
        ("Calculate 6*7 and double it", "42 * 2"),
    ],
)
async def test_arithmetic_on_an_earlier_value_is_understood(query: str, expression: str) -> None:
    run = Run(user(query)).add("math_calc", {"expression": "6*7"}, ToolResult("42", {"exact": "42"}))
    assert await calls_of(*run.messages, tools=ALL) == [("math_calc", {"expression": expression})]


async def test_a_dependent_part_without_a_value_is_said_plainly() -> None:
    run = Run(user("What is 15% of 240 and then multiply that by 3"))
    run.add("math_calc", {"expression": "15/100*240"}, ToolResult("", error="The expression is too large."))
    answer = await text_of(*run.messages, tools=ALL)
    assert "The expression is too large." in answer
    assert "multiply that by 3" in answer


async def test_a_failed_call_is_never_made_again() -> None:
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("", error="It failed."))
    assert await calls_of(*run.messages, tools=(MATH, DATA)) == []


async def test_another_tool_is_tried_when_the_first_fails() -> None:
    guess = ToolSpec(
        "second_math", "Also calculates.", MATH.parameters, lambda _: (Proposal({"expression": "12*7"}, 0.6),)
    )
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("", error="It failed."))
    assert await calls_of(*run.messages, tools=(MATH, guess)) == [("second_math", {"expression": "12*7"})]
    run.add("second_math", {"expression": "12*7"}, ToolResult("84"))
    assert await text_of(*run.messages, tools=(MATH, guess)) == "84"


FOLLOW_UPS = [
    (["What's the weather in Paris?"], "It is sunny.", "and in Rome?", "weather", {"location": "Rome"}),
    (["What's the weather in Paris?"], "It is sunny.", "What about Berlin?", "weather", {"location": "Berlin"}),
    (["What's the weather in Paris?", "and in Rome?"], "Rain.", "and in Oslo?", "weather", {"location": "Oslo"}),
    (["What is the square root of 16?"], "4", "and of 25?", "math_calc", {"expression": "sqrt(25)"}),
    (["What is 12*7?"], "12*7 = 84", "divide that by 4", "math_calc", {"expression": "84 / 4"}),
    (["Was ist 12*7?"], "12*7 = 84", "multipliziere das mit 2", "math_calc", {"expression": "84 * 2"}),
    (
        ["What does the handbook say about vacation?"],
        "28 days [1]",
        "and about sick leave?",
        "rag_retrieval",
        {"query": "What does the handbook say about sick leave"},
    ),
]


@pytest.mark.parametrize(
    ("before", "answer", "query", "tool", "arguments"), FOLLOW_UPS, ids=[f"{f[0][-1][:20]}>{f[2]}" for f in FOLLOW_UPS]
)
async def test_a_follow_up_is_completed_from_the_turns_before(
    before: list[str], answer: str, query: str, tool: str, arguments: dict[str, Any]
) -> None:
    history = [message for text in before for message in (user(text), said(answer))]
    assert await calls_of(*history, user(query), tools=ALL) == [(tool, arguments)]


# ---- unknown tools ------------------------------------------------------------------------------


async def test_a_tool_that_proposes_nothing_is_found_by_its_description() -> None:
    query = "Roll dice for the game"
    assert await calls_of(user(query), tools=(DICE, MATH)) == [("dice_roll", {"query": query})]


async def test_an_unrelated_query_does_not_reach_for_an_unknown_tool() -> None:
    assert await calls_of(user("Who painted this picture?"), tools=(DICE, MATH)) == []


async def test_a_tool_that_wants_code_is_not_fed_plain_words() -> None:
    assert await calls_of(user("read-only SQL over tables of the user"), tools=(SQL,)) == []


async def test_a_broken_embedder_only_costs_the_comparison() -> None:
    answer = await text_of(user("Roll dice for the game"), tools=(DICE,), embedder=BrokenEmbedder())
    assert "built-in model" in answer


async def test_a_named_tool_gets_its_choices_and_numbers_from_the_query() -> None:
    assert await calls_of(user("use the ticket tool: 3 of level high"), tools=(TICKET,)) == [
        ("ticket", {"level": "high", "count": 3})
    ]


# ---- tool_choice --------------------------------------------------------------------------------


async def test_choice_none_calls_nothing() -> None:
    assert await calls_of(user("What is 12*7?"), tools=ALL, tool_choice="none") == []


async def test_choice_required_calls_something() -> None:
    assert await calls_of(user("Tell me about Mars"), tools=(DICE,), tool_choice="required") == [
        ("dice_roll", {"query": "Tell me about Mars"})
    ]


async def test_a_chosen_tool_is_called_even_if_another_fits_better() -> None:
    calls = await calls_of(user("What is the weather in Rome?"), tools=ALL, tool_choice="web_search")
    assert calls == [("web_search", {"query": "What is the weather in Rome?"})]


async def test_arguments_that_cannot_be_filled_are_refused_not_made_up() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await calls_of(user("Please help"), tools=(TICKET,), tool_choice="ticket")
    assert caught.value.param == "tool_choice"


async def test_after_a_result_a_required_choice_is_answered() -> None:
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    assert await text_of(*run.messages, tools=ALL, tool_choice="required") == "12*7 = 84"


# ---- nothing to do ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "beginning", "inside"),
    [
        ("Hello!", "Hello! I am Hearth's built-in model, not a language model", "Ollama"),
        ("Guten Tag", "Hallo! Ich bin das eingebaute Modell", "kein Sprachmodell"),
        ("Bonjour", "Bonjour ! Je suis le modèle intégré", "Ollama"),
        ("Hola", "¡Hola! Soy el modelo integrado", "Ollama"),
        ("What is love?", "I am Hearth's built-in model", "none is reachable"),
        ("Was ist die Liebe?", "Ich bin das eingebaute Modell", "Ollama"),
        ("", "I am Hearth's built-in model", "Ollama"),
        ("thanks!", "You're welcome", ""),
    ],
)
async def test_it_says_what_it_is_instead_of_pretending(query: str, beginning: str, inside: str) -> None:
    answer = await text_of(user(query), embedder=ForbiddenEmbedder())
    assert answer.startswith(beginning)
    assert inside in answer
    assert "\n" not in answer


async def test_a_greeting_calls_no_tool_however_eager() -> None:
    eager = ToolSpec("eager", "Anything.", DICE.parameters, lambda text: (Proposal({"query": text}, 0.99),))
    assert await calls_of(user("Hello there!"), tools=(eager,)) == []


async def test_a_request_without_a_user_message_is_answered() -> None:
    assert "built-in model" in await text_of(Message("system", "Be brief."))


# ---- the stream ---------------------------------------------------------------------------------


async def test_text_comes_in_words_and_joins_to_the_answer() -> None:
    got = await events(user("What is love?"))
    deltas = [event.text for event in got if isinstance(event, TextDelta)]
    assert len(deltas) > 20
    assert all(deltas)
    assert isinstance(got[-2], Usage) and got[-2].completion_tokens == len(deltas)
    assert got[-1] == Finished("stop")


async def test_max_tokens_ends_with_length() -> None:
    got = await events(user("What is love?"), sampling=Sampling(max_tokens=3))
    assert len([event for event in got if isinstance(event, TextDelta)]) == 3
    assert got[-1] == Finished("length")


async def test_a_stop_string_is_not_spoken() -> None:
    got = await events(user("What is love?"), sampling=Sampling(stop=("model,", "zebra")))
    assert "".join(event.text for event in got if isinstance(event, TextDelta)) == "I am Hearth's built-in "
    assert got[-1] == Finished("stop")


async def test_it_keeps_nothing_of_one_request_for_the_next() -> None:
    model = BuiltinModel(WordEmbedder())
    for query, expected in (("What is 12*7?", "12*7"), ("and 5*5?", "5*5")):
        got = [event async for event in model.stream(ChatRequest(MODEL, (user(query),), tools=(MATH,)))]
        calls = [event.call.arguments for event in got if isinstance(event, ToolCallMade)]
        assert calls == [orjson.dumps({"expression": expected}).decode()]
