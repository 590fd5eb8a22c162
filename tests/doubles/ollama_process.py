"""The Ollama double as a process of its own, and the words to script it with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_STOP_TIMEOUT_S = 5.0

Entry = dict[str, Any]


class OllamaDouble:
    """Starts `python -m tests.doubles.ollama` and talks to its control door; blocking, callable from anywhere."""

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        # Never through a proxy: the double is on loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.url = ""

    def start(self) -> OllamaDouble:
        """Start and wait until it listens. Raises RuntimeError when it does not."""
        command = [sys.executable, "-m", "tests.doubles.ollama", "--port", str(self._port), "--exit-with-parent"]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first.startswith("READY "):
            self.stop()
            raise RuntimeError(f"the Ollama double did not start; it said {first!r}")
        self.url = first.split()[1]
        return self

    def stop(self) -> None:
        """Stop the process; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def kill(self) -> None:
        """End it as a crash would: every open connection is reset."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def __enter__(self) -> OllamaDouble:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def script(self, *entries: Entry) -> None:
        """Add entries; the first that matches a request and is not used up answers it."""
        self._control("script", list(entries))

    def models(self, models: Iterable[str | dict[str, Any]]) -> None:
        """Install exactly these: names, or objects with the fields of a model record."""
        self._control("models", list(models))

    def configure(self, **values: Any) -> None:
        """Version, limits and speeds; see the README for the keys."""
        self._control("config", values)

    def log(self, path: str | None = None) -> list[dict[str, Any]]:
        """Every request so far in order of arrival, or those to one path."""
        entries = self._control("log")
        return [entry for entry in entries if path is None or entry["path"] == path]

    def stats(self) -> dict[str, Any]:
        """Loads and reloads by model, open connections, running and waiting requests."""
        return dict(self._control("stats"))

    def reset(self) -> None:
        """Default models, version and limits; no script, no log, nothing loaded."""
        self._control("reset", {})

    def unload_all(self) -> None:
        self._control("unload", {})

    def wait_for_log(
        self, holds: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 5.0
    ) -> list[dict[str, Any]]:
        """The log once `holds` is true of it; raises AssertionError after the timeout."""
        deadline = time.monotonic() + timeout_s
        while True:
            entries = self.log()
            if holds(entries):
                return entries
            if time.monotonic() > deadline:
                raise AssertionError(f"the log did not become as expected: {json.dumps(entries, indent=1)[-4000:]}")
            time.sleep(0.02)

    def _control(self, action: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__control/{action}", data=data)
        try:
            with self._opener.open(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from error


def reply(
    text: str | None = None,
    *tool_calls: dict[str, Any],
    match: dict[str, Any] | None = None,
    times: int | None = None,
    faults: Entry | list[Entry] | None = None,
    **fields: Any,
) -> Entry:
    """An entry that answers with text and tool calls; `fields` are the other reply keys (thinking, done_reason, …)."""
    spoken: dict[str, Any] = dict(fields)
    if text is not None:
        spoken["content"] = text
    if tool_calls:
        spoken["tool_calls"] = list(tool_calls)
    return _entry({"reply": spoken, "fault": _plain(faults)}, match, times)


def tool_call(name: str, arguments: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A tool call for `reply`; `id` and `index` may be given."""
    return {"name": name, "arguments": arguments or {}, **fields}


def fault(
    kind: str,
    *,
    match: dict[str, Any] | None = None,
    times: int | None = None,
    rate: float | None = None,
    **fields: Any,
) -> Entry:
    """An entry that spoils whatever the built-in behaviour answers, also usable in `reply(faults=…)`."""
    return _entry({"fault": [{"kind": kind, **fields}], "rate": rate}, match, times)


def sequence(*replies: Entry, match: dict[str, Any] | None = None) -> Entry:
    """Entries answering one after another, counted for each conversation on its own; afterwards the built-in ones."""
    steps = [{key: item[key] for key in ("reply", "fault") if item.get(key)} for item in replies]
    return _entry({"sequence": steps}, match, None)


def _entry(fields: Entry, match: dict[str, Any] | None, times: int | None) -> Entry:
    entry = {key: value for key, value in fields.items() if value not in (None, [])}
    if match:
        entry["match"] = match
    if times is not None:
        entry["times"] = times
    return entry


def _plain(faults: Entry | list[Entry] | None) -> list[Entry]:
    """Fault objects, whether they came bare or as entries made by `fault`."""
    if faults is None:
        return []
    items = faults if isinstance(faults, list) else [faults]
    return [plain for item in items for plain in item.get("fault", [item])]
