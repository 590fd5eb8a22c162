"""Conversations and isolation, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server import HearthServer, upload_and_wait

CHAT = "/v1/chat/completions"


@pytest.fixture
def client(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as signed_in:
        yield signed_in


def say(client: httpx.Client, messages: list[dict[str, str]], **extra: Any) -> httpx.Response:
    answer = client.post(CHAT, json={"model": "hearth-chat", "messages": messages, **extra})
    assert answer.status_code == 200, answer.text
    return answer


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_session_id_continues_a_conversation(client: httpx.Client) -> None:
    first = say(client, [user("my name is Ottilie")])
    session = first.headers["x-session-id"]
    assert first.json()["session_id"] == session
    second = say(client, [user("what is my name")], session_id=session)
    assert second.headers["x-session-id"] == session
    stored = client.get(f"/api/conversations/{session}").json()
    assert [m["role"] for m in stored["messages"]] == ["user", "assistant", "user", "assistant"]
    assert stored["title"] == "my name is Ottilie"


def test_continued_session_gives_the_model_its_history(client: httpx.Client, double: Any) -> None:
    session = say(client, [user("first words")]).headers["x-session-id"]
    say(client, [user("second words")], session_id=session)
    sent = [e for e in double.log() if e["path"] == "/api/chat"][-1]["body"]["messages"]
    assert [m["content"] for m in sent if m["role"] == "user"] == ["first words", "second words"]


def test_stateless_history_is_recognised(client: httpx.Client) -> None:
    first = say(client, [user("a stateless hello")])
    session = first.headers["x-session-id"]
    reply = first.json()["choices"][0]["message"]["content"]
    history = [user("a stateless hello"), {"role": "assistant", "content": reply}, user("and again")]
    second = say(client, history)
    assert second.headers["x-session-id"] == session
    assert client.get(f"/api/conversations/{session}").json()["messages"][-2]["content"] == "and again"
    edited = [user("a stateless hello"), {"role": "assistant", "content": reply + "!"}, user("and again")]
    assert say(client, edited).headers["x-session-id"] != session


def test_streamed_answers_are_stored_whole(client: httpx.Client) -> None:
    with client.stream(
        "POST", CHAT, json={"model": "hearth-chat", "messages": [user("stream me")], "stream": True}
    ) as s:
        session = s.headers["x-session-id"]
        text = "".join(
            json.loads(line[6:])["choices"][0]["delta"].get("content", "")
            for line in s.iter_lines() if line.startswith("data: {")
        )  # fmt: skip
    assert client.get(f"/api/conversations/{session}").json()["messages"][-1]["content"] == text


def test_store_false_stores_nothing(client: httpx.Client) -> None:
    before = client.get("/api/conversations").json()["total"]
    answer = say(client, [user("off the record")], store=False)
    assert "x-session-id" not in answer.headers
    assert client.get("/api/conversations").json()["total"] == before


def test_store_false_reads_a_session_without_adding_to_it(client: httpx.Client, double: Any) -> None:
    session = say(client, [user("remember the number nine")]).headers["x-session-id"]
    say(client, [user("off the record")], session_id=session, store=False)
    sent = [e for e in double.log() if e["path"] == "/api/chat"][-1]["body"]["messages"]
    assert "remember the number nine" in [m["content"] for m in sent]
    assert client.get(f"/api/conversations/{session}").json()["messages"][-1]["content"] != "off the record"
    assert len(client.get(f"/api/conversations/{session}").json()["messages"]) == 2


def test_deleting_a_conversation_removes_its_traces(offline: HearthServer) -> None:
    with offline.client() as client:
        answer = say(client, [user("What is 31 * 37?")], model="hearth")
        run = answer.json()["run_id"]
        assert client.get(f"/api/runs/{run}").json()["answer"]
        assert client.delete(f"/api/conversations/{answer.json()['session_id']}").status_code == 204
        assert client.get(f"/api/runs/{run}").status_code == 404


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_what_is_said_while_its_conversation_is_deleted_is_kept_nowhere(
    client: httpx.Client, double: Any, online: HearthServer, path: str
) -> None:
    text = f"a passing remark for {path} [[tokens:60]] [[delay:10]]"
    body: dict[str, Any] = {"model": "llama3.2:3b", "stream": True, "store": True}
    body |= {"input": text} if path == "responses" else {"messages": [user(text)]}
    deleted = 0
    with client.stream("POST", f"/v1/{path}", json=body) as answer:
        for line in answer.iter_lines():
            if "delta" in line and deleted != 204:
                with online.client() as other:
                    deleted = other.delete(f"/api/conversations/{answer.headers['x-session-id']}").status_code
    assert deleted == 204
    data = online.folder / "data"
    kept = [*(data / "responses").rglob("*.json"), *(data / "completions").rglob("*.json")]
    assert not [file.name for file in kept if f"remark for {path}" in file.read_text()]


def test_list_search_rename_export_delete(client: httpx.Client) -> None:
    session = say(client, [user("the quick brown wombat")]).headers["x-session-id"]
    path = f"/api/conversations/{session}"
    found = client.get("/api/conversations", params={"q": "WOMBAT"}).json()
    assert session in [c["session_id"] for c in found["conversations"]]
    assert client.patch(path, json={"title": "Marsupials"}).json()["title"] == "Marsupials"
    assert client.get(path).json()["title"] == "Marsupials"
    exported = client.get(f"{path}/export", params={"format": "markdown"})
    assert exported.headers["content-disposition"].startswith("attachment") and "# Marsupials" in exported.text
    assert client.get(f"{path}/export").json()["messages"]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    gone = client.post(CHAT, json={"model": "hearth-chat", "messages": [user("hi")], "session_id": session})
    assert gone.status_code == 404


def test_iso_2_strangers_and_missing_ids_look_the_same(offline: HearthServer) -> None:
    keys = [offline.add_user(name) for name in ("alice-iso", "bob-iso")]
    with offline.client(keys[0]) as alice, offline.client(keys[1]) as bob:
        _compare(alice, bob)


def _compare(alice: httpx.Client, bob: httpx.Client) -> None:
    document = upload_and_wait(alice, "private.txt", b"The vault code of Alice is 8812.")
    session = say(alice, [user("my vault")]).headers["x-session-id"]
    run = say(alice, [user("What is 3*4?")], model="hearth").json()["run_id"]
    for path in (
        "/api/files/documents/{}", "/api/files/documents/{}/content", "/api/files/documents/{}/view",
        "/api/files/documents/{}/pages/1", "/api/files/documents/{}/events",
    ):  # fmt: skip
        _same_404(bob, "GET", path, document["file_id"])
        assert alice.get(path.format(document["file_id"])).status_code == 200
    _same_404(bob, "DELETE", "/api/files/documents/{}", document["file_id"])
    for path in ("/api/conversations/{}", "/api/conversations/{}/export"):
        _same_404(bob, "GET", path, session)
    _same_404(bob, "DELETE", "/api/conversations/{}", session)
    _same_404(bob, "PATCH", "/api/conversations/{}", session, json={"title": "mine"})
    _same_404(bob, "GET", "/api/runs/{}", run)
    body = {"model": "hearth", "messages": [user("hi")]}
    foreign = bob.post(CHAT, json={**body, "session_id": session})
    missing = bob.post(CHAT, json={**body, "session_id": "0" * 32})
    assert foreign.status_code == missing.status_code == 404 and foreign.json() == missing.json()
    found = bob.post("/api/tools/rag_retrieval/run", json={"arguments": {"query": "vault code of Alice"}})
    assert "8812" not in found.text
    asked = bob.post(CHAT, json={"model": "hearth", "messages": [user("What is the vault code in private.txt?")]})
    assert "8812" not in asked.text
    assert bob.get("/api/files/documents").json()["total"] == 0
    assert alice.get(f"/api/conversations/{session}").status_code == 200


def _same_404(client: httpx.Client, method: str, path: str, real: str, **extra: Any) -> None:
    foreign = client.request(method, path.format(real), **extra)
    missing = client.request(method, path.format("0" * len(real)), **extra)
    assert foreign.status_code == missing.status_code == 404, (path, foreign.status_code, missing.status_code)
    assert foreign.json() == missing.json()


@pytest.mark.parametrize("bad", ["../../users/users", "..%2f..%2fusers", "a/b", "x" * 300, "%00"])
def test_fs_1_ids_are_never_paths(offline: HearthServer, bad: str) -> None:
    with offline.client() as client:
        for path in ("/api/conversations/", "/api/files/documents/", "/api/runs/"):
            assert client.get(path + bad).status_code in (400, 404)
