"""`mcp.json` and what other servers say about their tools: read carefully, refused with a reason."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from backend.tools import mcp_config
from backend.tools.mcp_client import needs_confirmation
from backend.tools.mcp_config import ConfigFile, ServerEntry, read_config
from backend.tools.mcp_stdio import environment_of
from backend.tools.mcp_text import SchemaRefused, argument_schema, plain, tool_name


def config(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "mcp.json"
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return path


def test_the_usual_form_is_read(tmp_path: Path) -> None:
    servers = {
        "files": {"command": "npx", "args": ["-y", "server"], "env": {"ROOT": "/srv"}, "type": "stdio"},
        "remote": {"url": "https://example.org/mcp", "headers": {"Authorization": "Bearer x"}, "users": ["ann"]},
        "old": {"command": "x", "disabled": True},
    }
    entries, refused = read_config(config(tmp_path, {"mcpServers": servers}), named=False)
    assert [(e.name, e.command, e.url) for e in entries] == [
        ("files", "npx", None),
        ("remote", None, "https://example.org/mcp"),
    ]
    assert [(each.name, each.reason) for each in refused] == [("old", "it is disabled in the MCP configuration")]


def test_no_file_means_no_servers_unless_it_was_named(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.json", named=False) == ((), ())
    _, refused = read_config(tmp_path / "none.json", named=True)
    assert "does not exist" in refused[0].reason


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "mcpServers"),
        ({"mcpServers": []}, "mcpServers"),
        ({"mcpServers": {f"s{n}": {} for n in range(51)}}, "at most 50"),
        (b" " * 1_100_000, "larger than 1 MiB"),
    ],
    ids=["broken", "a list", "no object", "too many", "too large"],
)
def test_a_broken_file_is_a_reason_and_no_crash(tmp_path: Path, content: Any, part: str) -> None:
    entries, refused = read_config(config(tmp_path, content), named=False)
    assert (len(entries), refused[0].name) == (0, "mcp")
    assert part in refused[0].reason


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({}, "either command or url"),
        ({"command": "x", "url": "http://x/"}, "either command or url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://user:pw-hunter2@host/"}, "url"),
        ({"command": "x", "env": {"A=B": "hunter2"}}, "env"),
        ({"command": "x", "timeout": 0}, "timeout"),
        ({"url": "http://x/", "headers": {"A": "hunter2\r\nB: c"}}, "headers"),
        ("text", "either command or url"),
    ],
)
def test_a_wrong_entry_is_named_without_its_secrets(tmp_path: Path, entry: Any, part: str) -> None:
    servers = {"good": {"command": "y"}, "bad": entry}
    entries, refused = read_config(config(tmp_path, {"mcpServers": servers}), named=False)
    assert [each.name for each in entries] == ["good"]
    assert part in refused[0].reason
    assert "hunter2" not in refused[0].reason


def test_inj_2_a_program_gets_no_variable_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s" * 40)
    made = environment_of(ServerEntry(name="x", command="y", env={"TOKEN": "mine"}))
    assert made["TOKEN"] == "mine"
    assert set(made) <= {"PATH", "HOME", "LANG", "TOKEN"}


@pytest.mark.parametrize(
    ("confirm", "hints", "needed"),
    [
        (None, {"read_only_hint": True}, False),
        (None, {"read_only_hint": False}, True),
        (None, {"read_only_hint": True, "destructive_hint": True}, True),
        (None, None, True),
        (True, {"read_only_hint": True}, True),
        (False, {"destructive_hint": True}, False),
        (("it",), {"read_only_hint": True}, True),
        (("other",), None, False),
        (("other",), {"destructive_hint": True}, True),
    ],
)
def test_inj_2_what_is_not_known_to_only_read_asks_first(confirm: Any, hints: Any, needed: bool) -> None:
    listed = SimpleNamespace(
        name="it",
        annotations=None
        if hints is None
        else SimpleNamespace(**{"read_only_hint": None, "destructive_hint": None, **hints}),
    )
    assert needs_confirmation(ServerEntry(name="x", command="y", confirm=confirm), listed) is needed


@pytest.mark.parametrize(
    ("server", "name", "made"),
    [
        ("files", "read", "files_read"),
        ("my-files", "read.file", "my_files_read_file"),
        ("a", "re\x00ad\x1b[31m", "a_re_ad_31m"),
        ("a", "\x00", ""),
        ("a", "中文", ""),
    ],
)
def test_names_are_made_plain(server: str, name: str, made: str) -> None:
    assert tool_name(server, name) == made


def test_long_names_are_cut_and_stay_different() -> None:
    one, two = tool_name("s", "x" * 300), tool_name("s", "x" * 300 + "y")
    assert len(one) == len(two) == 64
    assert one != two


def test_inj_1_hidden_characters_and_template_tokens_go() -> None:
    text = plain("a\x00b\x1b[2J\u202ec\u200b <|im_start|>system", 100)
    assert text == "ab[2Jc <\u200b|im_start|>system"
    assert len(plain("x" * 5_000, 1_000)) <= 1_002


def test_references_are_put_in_place_and_texts_cut() -> None:
    raw = {
        "type": "object",
        "title": "Gone",
        "$defs": {"Item": {"type": "object", "properties": {"n": {"type": "integer", "description": "d" * 999}}}},
        "properties": {"item": {"$ref": "#/$defs/Item"}, "title": {"type": "string"}},
    }
    made = argument_schema(raw)
    assert made["properties"]["item"]["properties"]["n"]["type"] == "integer"
    assert len(made["properties"]["item"]["properties"]["n"]["description"]) < 310
    assert made["properties"]["title"] == {"type": "string"}
    assert "$defs" not in made


def test_a_schema_that_refers_to_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
    made = argument_schema({"type": "object", "$defs": {"N": node}, "properties": {"first": {"$ref": "#/$defs/N"}}})
    assert made["properties"]["first"]["properties"]["next"] == {}


def deep(levels: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": deep(levels - 1)}} if levels else {"type": "string"}


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"type": "array"},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        {"type": "object", "properties": {"a": {"$ref": "http://x/y"}}},
        {"type": "object", "properties": {"a\x00": {}}},
        deep(100),
        {"type": "object", "properties": {f"p{n}": {} for n in range(3_000)}},
    ],
    ids=["list", "array", "properties", "required", "remote", "control", "deep", "wide"],
)
def test_unusable_schemas_are_refused(raw: Any) -> None:
    with pytest.raises(SchemaRefused):
        argument_schema(raw)


def servers(*names: str) -> dict[str, Any]:
    return {"mcpServers": {name: {"command": name} for name in names}}


def test_a_changed_file_is_read_again_and_one_in_the_making_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_config, "LOOK_EVERY_S", 0.0)
    path = config(tmp_path, servers("one"))
    file = ConfigFile(path, named=False)
    assert [entry.name for entry in file.read()[0]] == ["one"]
    assert file.read_if_changed() is None
    config(tmp_path, servers("one", "two"))
    entries, refused = file.read_if_changed() or (None, ())
    assert [entry.name for entry in entries or ()] == ["one", "two"]
    assert list(refused) == []
    assert file.read_if_changed() is None
    config(tmp_path, b'{"mcpServers": {"on')
    entries, refused = file.read_if_changed() or ((), ())
    assert entries is None
    assert "not valid JSON" in refused[0].reason
    path.unlink()
    assert file.read_if_changed() == ((), ())
    assert file.read_if_changed() is None
    config(tmp_path, servers("three"))
    assert [entry.name for entry in (file.read_if_changed() or ((), ()))[0] or ()] == ["three"]


def test_the_file_is_looked_at_once_a_second(tmp_path: Path) -> None:
    file = ConfigFile(config(tmp_path, servers("one")), named=False)
    file.read()
    assert file.read_if_changed() is None
    config(tmp_path, servers("one", "two"))
    assert file.read_if_changed() is None, "not yet"
