"""Records one streamed agent run through the official SDK into docs/session.md: `python -m scripts.record_session`.

The server is a real process; the model is played by the Ollama double with a written part, so that the recording comes
out the same on every machine. Tools, documents, citations and times are real.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from tests.doubles.ollama_process import OllamaDouble, reply
from tests.server import HearthServer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "session.md"
HANDBOOK = """Employee handbook

Annual leave. Every employee has 28 days of annual leave a year. Unused days expire at the end of March.

Remote work. Up to three days a week may be worked from home.
"""
SALES = "region,amount\nnorth,120\nsouth,340\nnorth,80\nwest,60\n"
QUESTION = (
    "How many days of annual leave does the handbook give, what is 28 / 260 as a percentage, "
    "and what is the average amount in sales.csv?"
)
PLAN = {
    "steps": [
        {
            "id": "s1",
            "purpose": "days of leave",
            "tool": "rag_retrieval",
            "input": {"query": "days of annual leave", "files": ["handbook.txt"]},
            "depends_on": [],
        },
        {
            "id": "s2",
            "purpose": "share of the year",
            "tool": "math_calc",
            "input": {"expression": "28/260*100"},
            "depends_on": [],
        },
        {
            "id": "s3",
            "purpose": "average amount",
            "tool": "data_analysis",
            "input": {"file": "sales.csv", "question": "average amount"},
            "depends_on": [],
        },
    ]
}
ANSWER = (
    "The handbook gives 28 days of annual leave [1]. That is about 10.77 % of 260 working days. "
    "The average amount in sales.csv is 150."
)


def session(base_url: str, api_key: str, print: Callable[..., None]) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key=api_key)
    stream = client.chat.completions.create(
        model="hearth",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        extra_body={"agent": "plan_execute"},
    )
    for chunk in stream:
        event = (chunk.model_extra or {}).get("hearth_event")
        delta = chunk.choices[0].delta
        if event and event["type"] == "route":
            print(f"-> {event['task']}, {event['agent']}: {event['reason']}")
        elif event and event["type"] == "step_planned":
            print(f"   planned  {event['id']} {event['name']}: {event['purpose']}")
        elif event and event["type"] == "tool_started":
            print(f"   started  {event['id']} {event['name']} {event['arguments']}")
        elif event and event["type"] == "tool_finished":
            print(f"   finished {event['id']} {event['status']} in {event['duration_ms']} ms")
        elif delta.content:
            print(delta.content, end="", flush=True)
        hearth = (delta.model_extra or {}).get("hearth")
        if hearth:
            print(f"\n{len(hearth['steps'])} steps, finish_reason {chunk.choices[0].finish_reason}")
            for cited in hearth["citations"]:
                print(f"[{cited['index']}] {cited['title']}: {cited['quote'][:70]!r}")


def record() -> str:
    """What the session prints."""
    lines: list[str] = []

    def keep(*values: Any, end: str = "\n", flush: bool = False) -> None:
        lines.append(" ".join(str(value) for value in values) + end)

    with (
        tempfile.TemporaryDirectory() as folder,
        OllamaDouble() as double,
        HearthServer(Path(folder), double.url) as server,
    ):
        double.script(
            reply(orjson.dumps(PLAN).decode(), match={"format_property": "steps"}),
            reply(ANSWER, match={"has_tool_result": True, "has_format": False}),
        )
        _upload(server, "handbook.txt", HANDBOOK)
        _upload(server, "sales.csv", SALES)
        with server.client() as client:
            # The first calculation after a start also loads the mathematics library.
            client.post("/api/tools/math_calc/run", json={"arguments": {"expression": "1+1"}}).raise_for_status()
        session(f"{server.url}/v1", server.key, keep)
    return "".join(lines)


def _upload(server: HearthServer, name: str, text: str) -> None:
    with server.client() as client:
        sent = client.post("/api/files/upload", files={"file": (name, text.encode())})
        sent.raise_for_status()
        url = f"/api/files/documents/{sent.json()['file_id']}/events"
        with client.stream("GET", url) as events:
            assert '"ready"' in "".join(events.iter_text())


def page(printed: str) -> str:
    """The whole document."""
    code = textwrap.dedent(inspect.getsource(session))
    return f"""# One request, recorded

One `chat.completions.create` of the official SDK that plans, runs three tools side by side, verifies what they found,
and answers with steps and citations. Made by `python -m scripts.record_session`: server, tools, documents, citations
and times are real; the language model is played by a double with a written part, so the words are always the same.

```python
QUESTION = "{QUESTION}"


{code}```

It prints:

```text
{printed}```
"""


def steady(printed: str) -> str:
    """The recording without what differs from run to run: times, and the order in which side by side tools end."""
    lines = re.sub(r"in [0-9.]+ ms", "in … ms", printed).splitlines()
    tools = sorted(line for line in lines if line.startswith(("   started", "   finished")))
    return "\n".join([line for line in lines if not line.startswith(("   started", "   finished"))] + tools)


if __name__ == "__main__":
    PAGE.write_text(page(record()))
    sys.stdout.write(f"wrote {PAGE.name}\n")
