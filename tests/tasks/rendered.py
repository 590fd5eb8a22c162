"""A renderer of few words, for tests of what happens around one."""

from __future__ import annotations

import json
from typing import Any

from backend.models.messages import Event, Finished, TextDelta, ToolCallMade
from backend.models.run import RunContext
from tests.storage.samples import ALICE


def context() -> RunContext:
    return RunContext(ALICE, "run_1", None, "req_1")


class FakeRenderer:
    """Renders text and calls; every frame has its number. `background` responses begin as queued."""

    def __init__(self, response_id: str, *, background: bool = False) -> None:
        self.id = response_id
        self.status = "queued" if background else "in_progress"
        self.error: dict[str, Any] | None = None
        self.text = ""
        self.calls: list[dict[str, Any]] = []
        self._next = 0

    @property
    def response(self) -> dict[str, Any]:
        output: list[dict[str, Any]] = list(self.calls)
        if self.text:
            said = {"id": f"msg_{self.id}", "type": "message", "role": "assistant", "status": "completed"}
            content = [{"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}]
            output.insert(0, {**said, "text": self.text, "content": content})
        return {"id": self.id, "object": "response", "status": self.status, "error": self.error, "output": output}

    def opening(self) -> bytes:
        self.status = "in_progress"
        return self._frame("response.created") + self._frame("response.in_progress")

    def encode(self, event: Event) -> bytes:
        if isinstance(event, TextDelta):
            self.text += event.text
            return self._frame("response.output_text.delta", delta=event.text)
        if isinstance(event, ToolCallMade):
            call = event.call
            self.calls.append(
                {"id": f"fc_{call.id}", "type": "function_call", "call_id": call.id, "name": call.name,
                 "arguments": call.arguments, "status": "completed"}
            )  # fmt: skip
            return self._frame("response.output_item.done")
        if isinstance(event, Finished):
            self.status = "cancelled" if event.extra.get("cancelled") else "completed"
            last = "response.completed" if self.status == "completed" else "response.incomplete"
            return self._frame(last, response=self.response)
        return b""

    def failed(self, error: dict[str, Any]) -> bytes:
        self.status, self.error = "failed", {"code": "server_error", "message": error["error"]["message"]}
        return self._frame("error") + self._frame("response.failed", response=self.response)

    def _frame(self, kind: str, **fields: Any) -> bytes:
        number, self._next = self._next, self._next + 1
        data = json.dumps({"type": kind, "sequence_number": number, **fields})
        return f"event: {kind}\ndata: {data}\n\n".encode()


def parsed(frames: bytes) -> list[dict[str, Any]]:
    """The events of a stream."""
    return [json.loads(frame.split(b"data: ", 1)[1]) for frame in frames.split(b"\n\n") if b"data: " in frame]
