"""The tests' own door, under /__control: script, models, configuration, log, statistics, reset."""

from __future__ import annotations

import json
from typing import Any

from tests.doubles.ollama import wire
from tests.doubles.ollama.answer import from_reply
from tests.doubles.ollama.faults import Faults
from tests.doubles.ollama.http1 import Exchange, Request
from tests.doubles.ollama.state import Double

PREFIX = "/__control/"


async def handle(double: Double, request: Request, exchange: Exchange) -> None:
    """Answer 200 with a JSON value, or 400 with `{"error": …}` for a mistake in the test."""
    if request.path == PREFIX + "reset":
        # Leftovers of an earlier test must not hold a slot or the load lock of the next one.
        for connection in list(double.connections):
            if connection.is_busy and connection is not exchange.connection:
                connection.transport.abort()
    try:
        body = json.loads(request.body) if request.body else None
        value = _answer(double, request.method, request.path.removeprefix(PREFIX), body)
    except (ValueError, KeyError, TypeError) as error:
        await exchange.send(400, wire.dumps({"error": f"{type(error).__name__}: {error}"}), wire.JSON)
        return
    await exchange.send(200, wire.dumps(value), wire.JSON)


def _answer(double: Double, method: str, action: str, body: Any) -> Any:
    if (method, action) == ("GET", "log"):
        return [entry.as_json() for entry in double.log]
    if (method, action) == ("GET", "stats"):
        return double.stats()
    if method != "POST":
        raise ValueError(f"no control action {method} {action}")
    if action == "script":
        _check_script(body)
        double.script.extend(body)
    elif action == "models":
        double.set_models(body)
    elif action == "config":
        double.configure(body)
    elif action == "reset":
        double.reset()
    elif action == "unload":
        for entry in list(double.scheduler.loaded.values()):
            double.scheduler.unload(entry.record)
    else:
        raise ValueError(f"no control action {method} {action}")
    return {"ok": True}


def _check_script(entries: list[dict[str, Any]]) -> None:
    """Refuse at once what would otherwise only fail when a request meets it."""
    for entry in entries:
        items = [entry, *(entry.get("sequence") or ())]
        for item in items:
            if item.get("fault"):
                Faults.check(item["fault"])
            if item.get("reply"):
                from_reply(item["reply"])
        for item in entry.get("sequence") or ():
            if "reply" not in item and "fault" not in item:
                from_reply(item)
