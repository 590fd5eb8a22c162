"""What enforcement says to a model, and to the caller when a model cannot be brought to obey."""

from __future__ import annotations

CHOOSE = """\
These tools can be called:
{tools}

Decide what is to be done next: name the tool to call{or_answer}."""
OR_ANSWER = ", or {words} to answer in words when no tool is needed"

FILL = """\
The tool {name} is to be called now.
What it does: {description}
Fill in its arguments from the conversation. Do not invent values that the conversation does not give."""
FILL_SCHEMA = "Its arguments are a JSON object that fits this schema:\n{schema}"

FORMAT_WITH_TOOLS = "When you answer without calling a tool, answer with {form}, and with nothing else."
ONE_OBJECT = "one JSON object"
FITTING = "JSON that fits this schema:\n{schema}\nThat means no words before or after it, and no code fence"

REPAIR = """\
That was not what was asked for: {problem}
Answer again with the corrected JSON and nothing else: no words, no code fence."""
COMPACT = "Write the JSON compactly, on one line, and stop at its end."

CALL_AS_TEXT = "I called the tool {name} with {arguments}."
RESULT_AS_TEXT = "Result of the tool {name}:\n{content}"

NO_CALL = (
    "The model did not call {tools} as tool_choice demands, although it was asked in two ways: "
    "reword the message, or use a model that is better at calling tools."
)
BAD_ARGUMENTS = (
    "The model's arguments for the tool {name} cannot be used, also not after one repair ({problem}): "
    "reword the message, simplify the tool's schema, or use another model."
)
BAD_ANSWER = (
    "The model's answer does not fit response_format, also not after one repair ({problem}): "
    "simplify the schema, or use another model."
)
BAD_END = (
    "The model's answer left response_format after its beginning had been sent ({problem}): "
    "ask again without streaming, which allows a repair, or use another model."
)
ENDLESS = "The model's answer came to no end, also when it was asked again: simplify the schema, or use another model."
ONLY_CALLS = "The model called a tool although tool_choice is none, and said nothing else: reword the message."
LENGTH_IN_CALL = "The answer reached its token limit inside the call of the tool {name}."

NOT_JSON = "it is not valid JSON"
NOT_OBJECT = "it is not one JSON object"
