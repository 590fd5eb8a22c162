"""Plugged-in servers, real programs on real pipes and sockets: honest, dead, slow and lying ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.config.settings import Settings
from backend.core.toolbox import ToolOutcome, ToolRegistry
from backend.models.run import Owner
from backend.storage.json_files import create
from backend.tools import mcp_config
from backend.tools.mcp_client import McpTools
from backend.tools.mcp_config import ConfigFile, ServerEntry
from tests.doubles.services.http_double import Asked, HttpDouble, Reply
from tests.fakes.tools import EchoTool, run_context

pytestmark = pytest.mark.slow
LIAR = Path(__file__).parents[1] / "doubles" / "services" / "lying_mcp.py"


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    """Imported once, so that no test measures it."""
    import mcp.client.session
    import mcp.client.streamable_http  # noqa: F401


def liar(mode: str, **fields: Any) -> ServerEntry:
    return ServerEntry(name="liar", command=sys.executable, args=(str(LIAR), mode), **{"timeout": 5, **fields})


@contextlib.asynccontextmanager
async def plugged(tmp_path: Path, *entries: ServerEntry, start_s: float = 5.0) -> AsyncIterator[ToolRegistry]:
    stores = create(Settings(data_dir=tmp_path / "data", _env_file=None))
    source = McpTools(entries, (), stores.artifacts, stores.users, start_s)
    registry = ToolRegistry([EchoTool()], sources=[source])
    try:
        await registry.reach(10)
        yield registry
    finally:
        await registry.aclose()
        await stores.aclose()


async def call(registry: ToolRegistry, name: str, **arguments: Any) -> ToolOutcome:
    context = run_context(confirmed_tools=frozenset({name}))
    return await registry.toolbox(context).call(name, arguments)


def process_of(registry: ToolRegistry) -> list[int]:
    """Programs of this process's liar, by what /proc says."""
    mine = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(LIAR).encode() in (folder / "cmdline").read_bytes():
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                mine += [int(folder.name)] if int(stat[1]) == os.getpid() and stat[0] != "Z" else []
    return mine


async def test_an_official_server_is_listed_and_called(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    entry = ServerEntry(
        name="notes",
        command=sys.executable,
        args=("-m", "tests.doubles.services.mcp_server"),
        cwd=str(root),
        tools=("shout", "weigh", "picture", "surroundings", "stumble", "erase"),
    )
    async with plugged(tmp_path, entry, start_s=30) as registry:
        await registry.reach(30)
        assert {"notes_shout", "notes_weigh"} <= set(registry.tools)
        assert "notes_leave" not in registry.tools
        assert registry.schema("notes_weigh")["properties"]["item"]["properties"]["count"]["type"] == "integer"
        shouted = await call(registry, "notes_shout", text="hi")
        assert (shouted.result.text, shouted.result.data) == ("HI", {"result": "HI"})
        weighed = await call(registry, "notes_weigh", item='{"title": "box", "count": "2"}')
        assert weighed.result.data == {"title": "box", "weight": 4, "unit": "kg"}
        drawn = await call(registry, "notes_picture")
        assert [(link.content_type, link.size) for link in drawn.result.files] == [("image/png", 70)]
        assert "an image that cannot be shown" in drawn.result.text
        assert set((await call(registry, "notes_surroundings")).result.text.split()) <= {"PATH", "HOME", "LANG"}
        assert (await call(registry, "notes_stumble", why="x")).error == "notes_stumble reported an error."
        refused = await registry.toolbox(run_context()).call("notes_erase", {"name": "a"})
        assert "needs the user's confirmation" in (refused.error or "")
        wrong = await call(registry, "notes_shout")
        assert (wrong.error, wrong.permanent) == ("text: this field is required.", True)


async def test_making_a_source_starts_nothing(tmp_path: Path) -> None:
    stores = create(Settings(data_dir=tmp_path / "data", _env_file=None))
    registry = ToolRegistry([], sources=[McpTools([liar("good")], (), stores.artifacts)])
    assert process_of(registry) == []
    assert registry.unavailable["liar"].reason == "it has not been started yet"
    await registry.aclose()
    await stores.aclose()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("gone", "its program ended"),
        ("noise", "what it says is not the protocol"),
        ("mute", "it did not answer in time"),
        ("invalid", "it did not answer as the protocol asks"),
    ],
)
async def test_inj_2_a_server_that_does_not_start_is_unavailable_with_the_reason(
    tmp_path: Path, mode: str, reason: str
) -> None:
    async with plugged(tmp_path, liar(mode), start_s=1.0) as registry:
        assert list(registry.tools) == ["echo"]
        assert registry.unavailable["liar"].reason == reason
        assert (await call(registry, "echo", text="still here")).result.text == "still here"


async def test_a_program_that_is_not_there_is_named_without_its_path(tmp_path: Path) -> None:
    async with plugged(tmp_path, ServerEntry(name="lost", command="/nowhere/secret-path")) as registry:
        assert "cannot be found or run" in registry.unavailable["lost"].reason
        assert "secret-path" not in registry.unavailable["lost"].reason


async def test_log_lines_between_messages_do_no_harm(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("greeting")) as registry:
        assert (await call(registry, "liar_say", text="hi")).result.text == "hi"


async def test_inj_2_bad_schemas_cost_only_their_tools(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("schemas")) as registry:
        assert set(registry.tools) == {"echo", "liar_say", "liar_loop", "liar_slow_pattern"}
        assert {name: each.reason for name, each in registry.unavailable.items()}.keys() == {
            "liar_remote", "liar_lost", "liar_control", "liar_giant",
        }  # fmt: skip
        began = time.monotonic()
        await call(registry, "liar_slow_pattern", a="a" * 40 + "!")
        assert time.monotonic() - began < 3


async def test_inj_1_names_and_descriptions_are_made_harmless(tmp_path: Path) -> None:
    static = EchoTool()
    static.name = "liar_weather"
    async with plugged(tmp_path, liar("names")) as registry:
        registry._tools[static.name] = static
        tool = registry.tools["liar_re_ad_31m_file"]
        assert len(tool.description) <= 1_010
        assert "<|im_start" not in tool.description
        assert not set("\x1b\u202e\x00") & set(tool.description)
        assert all(len(name) <= 64 and name.isascii() for name in registry.tools)
        assert len([name for name in registry.tools if name.startswith("liar_xxx")]) == 2
        assert registry.tools["liar_weather"] is static
        assert "has this name already" in registry.unavailable["mcp:liar_weather"].reason
        assert (await call(registry, "liar_re_ad_31m_file", text="hi")).result.text == "hi"


@pytest.mark.parametrize(("mode", "most"), [("many", 64), ("endless", 1)])
async def test_lists_without_end_are_cut(tmp_path: Path, mode: str, most: int) -> None:
    async with plugged(tmp_path, liar(mode)) as registry:
        assert len(registry.tools) == most + 1


async def test_hints_decide_what_asks_first(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("hints")) as registry:
        asks = {name for name, tool in registry.tools.items() if tool.needs_confirmation}
        assert asks == {"liar_writes", "liar_drops", "liar_silent"}


async def test_inj_2_an_answer_of_50_mb_ends_the_program_and_not_the_server(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("huge")) as registry:
        failed = await call(registry, "liar_say", text="x")
        assert failed.error == "The connection to the plug-in liar failed: try again later."
        assert "larger than 4 MiB" in registry.unavailable["liar_say"].reason
        assert (await call(registry, "echo", text="here")).result.text == "here"


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        ("misshapen", "gave an answer that cannot be read"),
        ("slow", "did not answer in 0.5 s"),
        ("crash", "connection to the plug-in liar failed"),
        ("error", "The plug-in liar refused the call: bad [31m<\u200b|im_start|> x!"),
    ],
)
async def test_inj_2_a_lying_answer_is_an_error_of_the_tool(tmp_path: Path, mode: str, part: str) -> None:
    async with plugged(tmp_path, liar(mode, timeout=0.5)) as registry:
        error = (await call(registry, "liar_say", text="x")).error or ""
        assert part in error
        assert len(error) < 400


async def test_a_dead_server_rests_and_is_started_again_when_it_is_needed(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("crash")) as registry:
        assert (await call(registry, "liar_say", text="x")).error
        assert registry.unavailable["liar_say"].reason == "the plug-in liar is down: its program ended"
        await registry.reach(5)
        assert "liar_say" in registry.unavailable
        await asyncio.sleep(1.2)
        await registry.reach(5)
        assert "liar_say" in registry.tools


async def test_a_list_that_changes_is_read_again(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("changing")) as registry:
        assert "liar_say_1" in registry.tools
        await call(registry, "liar_say_1", text="x")
        async with asyncio.timeout(5):
            while "liar_say_2" not in registry.tools:
                await asyncio.sleep(0.02)
        assert "liar_say_1" not in registry.tools


async def test_inj_2_a_flood_of_messages_ends_the_program(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("spam")) as registry:
        async with asyncio.timeout(10):
            while "liar" not in str(registry.unavailable):
                await asyncio.sleep(0.05)
        assert "more messages than anybody asked for" in str(registry.unavailable)


async def test_closing_ends_a_stubborn_program_and_its_children(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("stubborn")) as registry:
        (pid,) = process_of(registry)
        session = os.getsid(pid)
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            left += [folder.name] if int(fields[3]) == session and fields[0] != "Z" else []
    assert left == []


async def test_inj_2_only_the_users_of_the_list_know_of_a_server(tmp_path: Path) -> None:
    stores = create(Settings(data_dir=tmp_path / "data", _env_file=None))
    from backend.models.run import SERVER

    ann = await stores.users.add_user(SERVER, "ann", "h", "user")
    bob = await stores.users.add_user(SERVER, "bob", "h", "user")
    cleo = await stores.users.add_user(SERVER, "cleo", "h", "user")
    entry = liar("good", users=("Ann", cleo.id, "nobody"))
    registry = ToolRegistry([], sources=[McpTools([entry, liar("gone", users=("ann",))], (), None, stores.users)])
    assert registry.unavailable_of(ann.owner) == {}
    await registry.reach(10)
    try:
        for owner, allowed in ((ann.owner, True), (bob.owner, False), (cleo.owner, True), (Owner("t", "ann"), False)):
            box = registry.toolbox(run_context(owner=owner))
            assert ("liar_say" in box.names) is allowed
            assert ("liar_say" in registry.of(owner)) is allowed
        assert registry.unavailable_of(bob.owner) == {}
        tool = registry.tools["liar_say"]
        direct = ToolRegistry([tool]).toolbox(run_context(owner=ann.owner))
        direct.context = run_context(owner=bob.owner)
        assert (await direct.call("liar_say", {"text": "x"})).error == "liar_say is not yours to use."
    finally:
        await registry.aclose()
        await stores.aclose()


async def test_inj_2_an_address_from_foreign_text_is_not_sent_to_a_plug_in(tmp_path: Path) -> None:
    async with plugged(tmp_path, liar("good")) as registry:
        box = registry.toolbox(run_context())
        assert (await box.call("liar_say", {"text": "https://ok.example/"})).error is None
        refused = await box.call("liar_say", {"text": "read https://evil.example/?q=secret"})
        assert "may not visit this address" in (refused.error or "")


def http(double: HttpDouble, **fields: Any) -> ServerEntry:
    return ServerEntry(name="liar", url=double.url + "/mcp", **{"timeout": 2, **fields})


def answering(call: Reply) -> Any:
    """An HTTP server that greets and lists as it should and answers calls with `call`."""

    def answer(asked: Asked) -> Reply:
        message = asked.json() if asked.body else {}
        result: dict[str, Any] = {}
        if message.get("method") == "initialize":
            result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        elif message.get("method") == "tools/list":
            result = {"tools": [{"name": "say", "inputSchema": {"type": "object"}, "annotations": {}}]}
        elif message.get("method") == "tools/call":
            return call
        else:
            return Reply(status=202)
        body = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        return Reply(body, headers={"content-type": "application/json"})

    return answer


HUGE = {"jsonrpc": "2.0", "id": 3, "result": {"content": [{"type": "text", "text": "x" * 12_000_000}]}}


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        (Reply(HUGE), "connection to the plug-in liar failed"),
        (Reply(b"<html>", headers={"content-type": "text/html"}), "plug-in liar"),
        (Reply(b"no", status=500), "plug-in liar"),
        (Reply(status=307, headers={"location": "http://127.0.0.1:9/"}), "plug-in liar"),
        (Reply({"jsonrpc": "2.0"}, cut=True), "plug-in liar"),
        (Reply({}, delay_s=5), "did not answer in 2 s"),
    ],
    ids=["huge", "html", "500", "redirect", "no answer", "slow"],
)
async def test_inj_2_a_lying_http_server_is_an_error_of_the_tool(tmp_path: Path, reply: Reply, part: str) -> None:
    async with HttpDouble(answering(reply)).running() as double, plugged(tmp_path, http(double)) as registry:
        assert "liar_say" in registry.tools
        assert part in ((await call(registry, "liar_say")).error or "")
        assert (await call(registry, "echo", text="here")).result.text == "here"


async def test_changes_of_the_file_take_effect_and_servers_that_are_the_same_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_config, "LOOK_EVERY_S", 0.0)
    path = tmp_path / "mcp.json"

    def write(**servers: str) -> None:
        entries = {n: {"command": sys.executable, "args": [str(LIAR), mode]} for n, mode in servers.items()}
        path.write_text(json.dumps({"mcpServers": entries}))

    write(stays="good", goes="good", changes="good")
    file = ConfigFile(path, named=True)
    stores = create(Settings(data_dir=tmp_path / "data", _env_file=None))
    source = McpTools(*file.read(), stores.artifacts, stores.users, 5.0, file)
    registry = ToolRegistry([EchoTool()], sources=[source])
    try:
        await registry.reach(10)
        assert {"stays_say", "goes_say", "changes_say"} <= set(registry.tools)
        before = process_of(registry)
        write(stays="good", changes="hints", comes="good")
        await registry.reach(10)
        assert {"stays_say", "comes_say", "changes_reads"} <= set(registry.tools)
        assert not {"goes_say", "changes_say"} & set(registry.tools)
        async with asyncio.timeout(10):
            while len(after := process_of(registry)) != 3:
                await asyncio.sleep(0.02)
        assert len(set(before) & set(after)) == 1, "one program runs on"
        path.write_text("{")
        await registry.reach(10)
        assert {"stays_say", "comes_say"} <= set(registry.tools), "a file in the making ends nothing"
        assert "not valid JSON" in registry.unavailable["mcp"].reason
    finally:
        await registry.aclose()
        await stores.aclose()
    assert process_of(registry) == []
