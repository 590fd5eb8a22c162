"""What every client's script shares: where the servers are, and how an outcome is written down.

Needs nothing but Python: the script runs in the client's environment, not in Hearth's.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

CAPABILITIES = {
    "models": "Models",
    "chat": "Chat",
    "stream": "Stream",
    "tools": "Tools",
    "structured": "Structured",
    "images": "Images",
    "embeddings": "Embed",
    "files": "Files",
    "vector_stores": "Stores",
    "responses": "Responses",
    "completions": "Legacy",
    "agent": "Agent",
    "builtin": "No Ollama",
    "errors": "Errors",
}
"""Every capability, in the order of the table, and its heading."""

CHAT_MODEL = "llama3.2:3b"
VISION_MODEL = "llava:7b"
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
EMBEDDING_SIZE = 384
AGENT_MODEL = "hearth"

GREETING = "Good morning, Grüße 👋 to everyone here"
SLOW_GREETING = f"{GREETING} [[delay:10]]"
"""Answered with a pause before each word, so that the words arrive one by one."""
WEATHER_QUESTION = "What is the weather in Paris?"
WEATHER_REPORT = "18 degrees and sunny in Paris"
PERSON_QUESTION = "Who was Ada Lovelace? Give her name and age."
PRODUCT_QUESTION = "What is 1234 * 5678?"
PRODUCT = "7006652"
BROKEN_QUESTION = "Please break in the middle of the answer."
# Its own for each process: one content is one file to the server, and the scripts run side by side.
DOCUMENT = f"The office cat is called Biscuit.\n\nThe server room is kept at nineteen degrees. Note {os.getpid()}.\n"
OTHER_DOCUMENT = f"The office dog is called Crumpet. Note {os.getpid()}.\n"
DOCUMENT_QUESTION = "What is the office cat called?"
DOCUMENT_FACT = "Biscuit"
RED_DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4"
    "//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)

URL = os.environ.get("HEARTH_URL", "")
"""The server in front of the Ollama double, without `/v1`."""
KEY = os.environ.get("HEARTH_KEY", "")
OFFLINE_URL = os.environ.get("HEARTH_OFFLINE_URL", "")
"""A server with no Ollama anywhere: its built-in model answers."""
OFFLINE_KEY = os.environ.get("HEARTH_OFFLINE_KEY", "")
BASE_URL = f"{URL}/v1"
OFFLINE_BASE_URL = f"{OFFLINE_URL}/v1"
WRONG_KEY = "sk-wrong"
NO_MODEL = "nope:1b"
PAGE = "http://localhost:3000"
"""Where a page lives that calls from a browser."""

Check = Callable[[], Any]


def plain(number: object) -> str:
    """A text without the separators of thousands."""
    return str(number).replace(",", "").replace(" ", "").replace("\u202f", "")


@dataclass
class Client:
    """One row of the table. `package` names the installed distribution whose version is shown."""

    id: str
    name: str
    package: str = ""
    release: str = ""
    checks: dict[str, Check] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def check(self, capability: str) -> Callable[[Check], Check]:
        """Register a function, plain or async, that raises when the capability does not work."""
        assert capability in CAPABILITIES, capability

        def register(function: Check) -> Check:
            self.checks[capability] = function
            return function

        return register

    def lacks(self, *capabilities: str, why: str = "") -> None:
        """What the client itself does not offer."""
        for capability in capabilities:
            assert capability in CAPABILITIES, capability
            self.absent[capability] = why

    def run(self) -> None:
        """Run every check and append one JSON line for each capability to the file named HEARTH_RESULTS."""
        shown = self.release or version(self.package or self.id)
        only = sys.argv[1:]
        # One loop for all: several libraries keep one asynchronous client for the life of the process.
        with asyncio.Runner() as runner:
            self._run_all(shown, only, runner)

    def _run_all(self, shown: str, only: list[str], runner: asyncio.Runner) -> None:
        for capability in CAPABILITIES:
            if only and capability not in only:
                continue
            outcome, note, began = "missing", "", time.monotonic()
            if capability in self.absent:
                outcome, note = "absent", self.absent[capability]
            elif capability in self.checks:
                outcome, note = _outcome(self.checks[capability], runner)
            _write(
                {
                    "client": self.id,
                    "name": self.name,
                    "version": shown,
                    "capability": capability,
                    "outcome": outcome,
                    "seconds": round(time.monotonic() - began, 3),
                    "note": note,
                }
            )


def _outcome(check: Check, runner: asyncio.Runner) -> tuple[str, str]:
    try:
        if inspect.iscoroutinefunction(check):
            runner.run(check())
        else:
            check()
    except Exception as error:
        if os.environ.get("HEARTH_TRACE"):
            traceback.print_exc()
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:400] or f"{at.line} (line {at.lineno} of {Path(at.filename).name})"
        return "fail", f"{type(error).__name__}: {said}"
    return "pass", ""


def _write(result: dict[str, Any]) -> None:
    line = json.dumps(result, ensure_ascii=False)
    path = os.environ.get("HEARTH_RESULTS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        print(line)


def joined(pieces: Iterable[str | None]) -> str:
    """A streamed text. AssertionError when it came in one lump: then nothing was streamed."""
    arrived = [piece for piece in pieces if piece]
    assert len(arrived) > 3, f"in {len(arrived)} pieces: {arrived}"
    return "".join(arrived)


def raises(kind: type[BaseException] | tuple[type[BaseException], ...], call: Callable[[], Any]) -> Any:
    """The exception of this kind that the call raises; AssertionError when it raises none."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind}, and nothing was raised")
