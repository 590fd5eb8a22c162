"""What is sent to /api/chat for a request."""

import base64

import orjson
import pytest

from backend.llm.ollama_models import ModelDetails
from backend.llm.ollama_request import Defaults, arguments_object, keep_alive_of, prepare
from backend.llm.port import ChatRequest, ModelInfo, ResponseFormat, Sampling
from backend.models.errors import ContextTooLong, InvalidRequest, SettingsError
from backend.models.messages import Image, Message, ToolCall
from backend.models.tools import ToolSpec

DEFAULTS = Defaults(temperature=0.7, top_p=0.9, top_k=40, keep_alive="30m")
USER = Message("user", "What is 6 times 7?")
MATH = ToolSpec("calculate", "Arithmetic", {"type": "object", "properties": {"expression": {"type": "string"}}})
CLOCK = ToolSpec("clock", "The time", {})
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def model(*capabilities, context=8192, family="llama", known=True, name="m:latest"):
    return ModelDetails(ModelInfo(name, "ollama", frozenset({"completion", *capabilities}), context), family, known)


def body(*messages, details=None, at_least=0, defaults=DEFAULTS, **fields):
    request = ChatRequest("m", messages or (USER,), **fields)
    return prepare(request, details or model("tools"), defaults, at_least).body


def test_plain_question_sends_the_model_s_profile_and_nothing_else():
    assert body() == {
        "model": "m:latest",
        "messages": [{"role": "user", "content": "What is 6 times 7?"}],
        "stream": True,
        "options": {"num_ctx": 4096, "temperature": 0.7, "top_p": 0.9, "top_k": 40},
        "keep_alive": "30m",
    }


@pytest.mark.parametrize(
    ("sampling", "options"),
    [
        (Sampling(temperature=0), {"temperature": 0}),
        (Sampling(top_p=0.5), {"top_p": 0.5}),
        (Sampling(max_tokens=12), {"num_predict": 12}),
        (Sampling(stop=("</a>",)), {"stop": ["</a>"]}),
        (Sampling(seed=0), {"seed": 0}),
        (Sampling(presence_penalty=1.0, frequency_penalty=-1.0), {"presence_penalty": 1.0, "frequency_penalty": -1.0}),
    ],
    ids=["temperature zero", "top_p", "max_tokens", "stop", "seed zero", "penalties"],
)
def test_sampling_overrides_the_settings(sampling, options):
    sent = body(sampling=sampling)["options"]
    assert {key: sent[key] for key in options} == options


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        ("-1", -1),
        ("0", 0),
        ("300", 300),
        ("1.5", 1.5),
        ("30m", "30m"),
        (" 1h30m ", "1h30m"),
        ("-1m", "-1m"),
        ("", None),
    ],
)
def test_keep_alive_is_a_number_or_a_duration(setting, sent):
    assert keep_alive_of(setting) == sent


@pytest.mark.parametrize("setting", ["forever", "5 minutes", "m", "1d"])
def test_bad_keep_alive_stops_the_start(setting):
    with pytest.raises(SettingsError, match="OLLAMA_KEEP_ALIVE"):
        keep_alive_of(setting)


# ---- messages -----------------------------------------------------------------------------------


def test_system_messages_become_one_in_first_place():
    sent = body(Message("system", "A"), USER, Message("system", "B"), Message("assistant", "42"), Message("user", "?"))
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "user"]
    assert sent["messages"][0]["content"] == "A\n\nB"


def test_empty_system_message_is_not_sent():
    assert [m["role"] for m in body(Message("system", "  "), USER)["messages"]] == ["user"]


@pytest.mark.parametrize(
    "messages", [(Message("system", "A"),), (Message("assistant", "B"),)], ids=["system only", "assistant only"]
)
def test_conversation_without_a_user_turn_is_refused(messages):
    with pytest.raises(InvalidRequest, match="user"):
        body(*messages)


def test_calls_and_results_travel_with_names_ids_and_objects():
    call = ToolCall("call_1", "calculate", '{"expression":"6*7"}')
    sent = body(
        USER, Message("assistant", "", tool_calls=(call,)), Message("tool", "42", tool_call_id="call_1", name=None)
    )["messages"]
    function = {"index": 0, "name": "calculate", "arguments": {"expression": "6*7"}}
    assert sent[1] == {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "function": function}]}
    assert sent[2] == {"role": "tool", "content": "42", "tool_name": "calculate", "tool_call_id": "call_1"}


@pytest.mark.parametrize(
    ("text", "sent"),
    [('{"a":1}', {"a": 1}), ("", {}), ("[1,2]", {"input": [1, 2]}), ('"x"', {"input": "x"}), ('{"a":', {})],
    ids=["object", "empty", "list", "string", "cut"],
)
def test_arguments_are_always_an_object(text, sent):
    assert arguments_object(text) == sent


def test_images_are_sent_as_bare_base64_of_their_bytes():
    sent = body(Message("user", "?", images=(Image("image/png", b"/etc/passwd"),)), details=model("vision"))
    assert base64.b64decode(sent["messages"][0]["images"][0]) == b"/etc/passwd"


def test_images_for_a_blind_model_are_refused_naming_it():
    with pytest.raises(InvalidRequest, match="m:latest"):
        body(Message("user", "?", images=(Image("image/png", b"x"),)))


def test_earlier_thinking_goes_only_to_models_that_think():
    turn = Message("assistant", "42", reasoning="Easy.")
    assert "thinking" not in body(USER, turn, USER)["messages"][1]
    assert body(USER, turn, USER, details=model("thinking"))["messages"][1]["thinking"] == "Easy."


def test_embedding_model_is_not_asked_to_chat():
    embedder = ModelDetails(ModelInfo("e", "ollama", frozenset({"embedding"}), 512))
    with pytest.raises(InvalidRequest, match="embeddings"):
        body(details=embedder)


def test_half_a_surrogate_pair_is_refused_not_crashed_on():
    request = ChatRequest("m", (Message("user", "\ud83d"),))
    with pytest.raises(InvalidRequest, match="Unicode"):
        prepare(request, model(), DEFAULTS).encoded()


@pytest.mark.parametrize(
    ("roles", "sent"),
    [("uu", ["a\n\nb"]), ("uau", ["a", "b", "c"]), ("au", ["Please begin.", "a", "b"]),
     ("ua", ["a", "b", "Please go on."]), ("uaau", ["a", "b\n\nc", "d"]), ("suu", ["a", "b\n\nc"])],
)  # fmt: skip
def test_strict_templates_get_user_and_assistant_by_turns(roles, sent):
    names = {"s": "system", "u": "user", "a": "assistant"}
    messages = tuple(Message(names[role], "abcd"[n]) for n, role in enumerate(roles))
    made = prepare(ChatRequest("m", messages), model(), DEFAULTS, taking_turns=True).body["messages"]
    assert [message["content"] for message in made] == sent


def test_calls_are_not_joined_with_the_words_before_them():
    call = ToolCall("c", "calculate", "{}")
    messages = (USER, Message("assistant", "", tool_calls=(call,)), Message("tool", "1", tool_call_id="c"),
                Message("assistant", "one"), Message("assistant", "two"), USER)  # fmt: skip
    made = prepare(ChatRequest("m", messages), model("tools"), DEFAULTS, taking_turns=True).body["messages"]
    assert [message["role"] for message in made] == ["user", "assistant", "tool", "assistant", "user"]


# ---- tools, formats, thinking -------------------------------------------------------------------


def test_tools_keep_openai_s_shape_and_always_have_an_object_schema():
    assert body(tools=(CLOCK,))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "clock",
                "description": "The time",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]


@pytest.mark.parametrize(
    ("choice", "names", "sentence"),
    [
        ("auto", ["calculate", "clock"], None),
        ("none", None, None),
        ("required", ["calculate", "clock"], "at least one"),
        ("clock", ["clock"], "clock"),
    ],
)
def test_tool_choice_is_emulated(choice, names, sentence):
    sent = body(tools=(MATH, CLOCK), tool_choice=choice)
    assert [tool["function"]["name"] for tool in sent.get("tools", [])] == (names or [])
    if sentence is None:
        assert sent["messages"][0]["role"] == "user"
    else:
        assert sentence in sent["messages"][0]["content"]


def test_tool_choice_naming_an_absent_tool_is_refused():
    with pytest.raises(InvalidRequest, match="tool_choice") as caught:
        body(tools=(MATH,), tool_choice="weather")
    assert caught.value.param == "tool_choice"


def test_tools_for_a_model_without_the_capability_are_refused_with_a_code():
    with pytest.raises(InvalidRequest) as caught:
        body(tools=(MATH,), details=model())
    assert caught.value.code == "tools_unsupported"


def test_tools_are_tried_where_capabilities_are_unknown():
    assert body(tools=(MATH,), details=model(known=False))["tools"]


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (ResponseFormat("text"), None),
        (ResponseFormat("json_object"), "json"),
        (ResponseFormat("json_schema", "a", SCHEMA), SCHEMA),
    ],
    ids=["text", "json_object", "json_schema"],
)
def test_response_format_becomes_format(form, sent):
    assert body(response_format=form).get("format") == sent


def test_schema_is_repeated_in_the_prompt_since_the_model_does_not_see_format():
    system = body(Message("system", "Be terse."), USER, response_format=ResponseFormat("json_schema", "a", SCHEMA))
    text = system["messages"][0]["content"]
    assert text.startswith("Be terse.")
    assert orjson.dumps(SCHEMA).decode() in text


def test_structured_answer_is_always_bounded():
    assert body(response_format=ResponseFormat("json_object"))["options"]["num_predict"] == 4096


def test_grammar_is_not_sent_beside_tools():
    sent = body(tools=(MATH,), response_format=ResponseFormat("json_object"))
    assert "format" not in sent
    assert "JSON" in sent["messages"][0]["content"]


@pytest.mark.parametrize(
    ("effort", "family", "capabilities", "sent"),
    [
        (None, "qwen3", ("thinking",), None),
        ("none", "qwen3", ("thinking",), False),
        ("minimal", "qwen3", ("thinking",), False),
        ("low", "qwen3", ("thinking",), True),
        ("high", "qwen3", ("thinking",), True),
        ("low", "gptoss", ("thinking",), "low"),
        ("medium", "gptoss", ("thinking",), "medium"),
        ("high", "gptoss", ("thinking",), "high"),
        ("xhigh", "gptoss", ("thinking",), "high"),
        ("none", "gptoss", ("thinking",), "low"),
        ("none", "llama", (), None),
        ("high", "llama", (), None),
    ],
)
def test_reasoning_effort_becomes_think_only_where_the_model_thinks(effort, family, capabilities, sent):
    assert body(details=model(*capabilities, family=family), reasoning_effort=effort).get("think") is sent


# ---- the window ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("characters", "trained", "at_least", "window"),
    [
        (10, 8192, 0, 4096),
        (12_000, 131_072, 0, 8192),
        (40_000, 131_072, 0, 16_384),
        (10, 131_072, 32_768, 32_768),
        (10, 2048, 0, 2048),
        (12_000, 6000, 0, 6000),
        (10, 8192, 65_536, 8192),
    ],
    ids=["smallest", "next step", "two steps", "never shrinks", "small model", "trained limit", "cap on grown"],
)
def test_window_grows_in_steps_and_stays_within_the_trained_length(characters, trained, at_least, window):
    details = model("tools", context=trained)
    sent = body(Message("user", "x" * characters), details=details, at_least=at_least)
    assert sent["options"]["num_ctx"] == window


def test_window_has_room_for_the_answer():
    sent = body(sampling=Sampling(max_tokens=5000), details=model(context=131_072))
    assert sent["options"]["num_ctx"] == 8192


@pytest.mark.parametrize(
    ("characters", "history", "limit", "window"),
    [(10, 0, 1_000_000, 32_768), (10, 400_000, None, 32_768), (120_000, 0, None, 65_536), (15_000, 0, None, 8192)],
    ids=["long answer allowed", "long history", "long question", "five thousand tokens"],
)
def test_only_the_question_itself_makes_a_window_larger_than_comfortable(characters, history, limit, window):
    past = (Message("user", "x" * history), Message("assistant", "y")) if history else ()
    question = Message("user", "x" * characters)
    sent = body(*past, question, details=model(context=131_072), sampling=Sampling(max_tokens=limit))
    assert sent["options"]["num_ctx"] == window
    assert sent["messages"][-1]["content"] == question.content


def test_window_never_exceeds_what_the_memory_sufficed_for():
    request = ChatRequest("m", (Message("user", "x" * 12_000), Message("assistant", "y" * 12_000), USER))
    sent = prepare(request, model(context=131_072), DEFAULTS, at_least=16_384, at_most=4096).body
    assert sent["options"]["num_ctx"] == 4096
    assert sent["messages"][-1]["content"] == USER.content


@pytest.mark.parametrize(
    ("form", "limit", "sent"),
    [(None, 50_000, 50_000), ("json_object", 50_000, 6000), ("json_object", 100, 100), ("json_object", None, 6000)],
    ids=["text", "json beyond the window", "json", "json without a limit"],
)
def test_answer_longer_than_the_window_is_left_to_the_caller_but_json_is_not(form, limit, sent):
    defaults = Defaults(0.7, 0.9, 40, None, num_ctx=6000)
    form = form and ResponseFormat(form)
    made = body(defaults=defaults, sampling=Sampling(max_tokens=limit), response_format=form)
    assert made["options"]["num_predict"] == sent
    assert made["messages"][-1]["content"] == USER.content


def test_thinking_that_is_not_sent_is_not_counted():
    turn = Message("assistant", "42", reasoning="x" * 40_000)
    assert body(USER, turn, USER, details=model(context=131_072))["options"]["num_ctx"] == 4096
    thinker = model("thinking", context=131_072)
    assert body(USER, turn, USER, details=thinker)["options"]["num_ctx"] == 16_384


def test_window_of_the_settings_is_fixed():
    defaults = Defaults(0.7, 0.9, 40, None, num_ctx=6000)
    assert body(defaults=defaults, at_least=32_768)["options"]["num_ctx"] == 6000
    assert "keep_alive" not in body(defaults=defaults)


def test_last_turn_that_cannot_fit_alone_is_refused():
    with pytest.raises(ContextTooLong) as caught:
        body(USER, Message("user", "x" * 40_000), details=model(context=4096))
    assert caught.value.code == "context_length_exceeded"


def test_last_turn_that_probably_fits_is_sent_whole():
    sent = body(Message("user", "x" * 13_000), details=model(context=4096))
    assert len(sent["messages"][0]["content"]) == 13_000


def test_image_counts_against_the_window():
    pictures = tuple(Image("image/png", b"x") for _ in range(6))
    sent = body(Message("user", "?", images=pictures), details=model("vision", context=131_072))
    assert sent["options"]["num_ctx"] == 8192
