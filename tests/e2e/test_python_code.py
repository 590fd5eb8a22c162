"""`python_code` through the front door: by hand, by both agents over the double, and by the built-in model."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.server import HearthServer

RUN = "/api/tools/python_code/run"
CHAT = "/v1/chat/completions"
PICTURE = """
import struct, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
rows = b''.join(b'\\0' + bytes([200, 30, 30]) * 8 for _ in range(8))
png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 8, 8, 2, 0, 0, 0))
open('red.png', 'wb').write(png + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
print('drawn')
"""


@pytest.fixture
def client(offline: HearthServer) -> Iterator[httpx.Client]:
    with offline.client() as signed_in:
        yield signed_in


def run(client: httpx.Client, code: str, **more: Any) -> dict[str, Any]:
    answer = client.post(RUN, json={"arguments": {"code": code, **more}})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_code_runs_by_hand_and_its_picture_is_the_owners_alone(offline: HearthServer, client: httpx.Client) -> None:
    listed = {tool["name"]: tool for tool in client.get("/api/tools").json()["tools"]}
    assert listed["python_code"]["available"] is True
    made = run(client, PICTURE + "6 * 7")
    assert (made["error"], made["data"]["value"], made["data"]["stdout"]) == (None, "42", "drawn\n")
    link = made["files"][0]
    assert (link["name"], link["content_type"]) == ("red.png", "image/png")
    picture = client.get(link["url"])
    assert picture.content.startswith(b"\x89PNG") and picture.headers["content-type"] == "image/png"
    with offline.client(offline.add_user("eve-python")) as eve:
        assert eve.get(link["url"]).status_code == 404


def test_uploaded_file_is_given_to_code_and_another_users_is_not(offline: HearthServer, client: httpx.Client) -> None:
    client.post("/api/files/upload", files={"file": ("sales.csv", b"city,n\nParis,3\nLyon,4\n")})
    code = "import csv; sum(int(row['n']) for row in csv.DictReader(open('sales.csv')))"
    assert run(client, code, files=["sales.csv"])["data"]["value"] == "7"
    with offline.client(offline.add_user("mallory-python")) as mallory:
        refused = run(mallory, code, files=["sales.csv"])
        assert refused["error"] is not None and "no file named 'sales.csv'" in refused["error"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("open('/etc/passwd').read()", "Error", id="file"),
        pytest.param("import socket; socket.create_connection(('127.0.0.1', 80))", "PermissionError", id="network"),
        pytest.param("import os; os.fork()", "PermissionError", id="process"),
        pytest.param("x = bytearray(1 << 30)", "MemoryError", id="memory"),
    ],
)
def test_sb_1_forbidden_things_are_refused_through_the_front_door(
    client: httpx.Client, code: str, expected: str
) -> None:
    made = run(client, code)
    assert made["data"]["error"] is not None and expected in made["data"]["error"]
    assert "root:" not in json.dumps(made)


def test_sb_4_server_secrets_are_not_seen(client: httpx.Client, offline: HearthServer) -> None:
    made = run(client, f"import os; print(dict(os.environ)); os.listdir({str(offline.folder / 'data')!r})")
    assert "DATA_DIR" not in made["data"]["stdout"] and made["data"]["error"] is not None


def test_code_ends_when_its_caller_leaves(offline: HearthServer, client: httpx.Client) -> None:
    """The place among the running requests is free long before the code would have ended by itself."""

    def running() -> int:
        headers = client.get("/v1/models").headers
        return int(headers["x-ratelimit-limit-requests"]) - int(headers["x-ratelimit-remaining-requests"])

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 6
        while running() != count:
            assert time.monotonic() < deadline, "the code goes on"
            time.sleep(0.02)

    before = running()
    body = json.dumps({"arguments": {"code": "import time\ntime.sleep(9)"}}).encode()
    address = urlsplit(offline.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        head = f"POST {RUN} HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {offline.key}\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        wait_for(before + 1)
    wait_for(before)


def test_nobody_runs_code_without_signing_in(offline: HearthServer) -> None:
    with offline.client("") as stranger:
        assert stranger.post(RUN, json={"arguments": {"code": "1"}}).status_code == 401


def test_builtin_model_runs_code_when_asked_to(client: httpx.Client) -> None:
    question = "Run this Python code:\n```python\nprint(sum(n * n for n in range(11)))\n```"
    done = client.post(CHAT, json={"model": "hearth", "messages": [{"role": "user", "content": question}]}).json()
    assert "385" in done["choices"][0]["message"]["content"]


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
def test_agent_over_the_double_uses_it_and_the_trace_has_the_file(
    online: HearthServer, double: OllamaDouble, agent: str
) -> None:
    arguments = json.dumps({"code": "open('squares.csv', 'w').write('1,4,9')\nprint(sum([1, 4, 9]))"})
    body = {
        "model": "hearth", "agent": agent,
        "messages": [{"role": "user", "content": f"Compute [[tool:python_code:{arguments}]]"}],
    }  # fmt: skip
    with online.client() as client:
        done = client.post(CHAT, json=body).json()
        assert "14" in done["choices"][0]["message"]["content"]
        step = next(
            step for step in client.get(f"/api/runs/{done['run_id']}").json()["steps"] if step["name"] == "python_code"
        )
        assert step["status"] == "completed" and "14" in step["output"]
        assert client.get(step["files"][0]["url"]).content == b"1,4,9"


def test_variables_live_on_within_one_run_and_not_into_the_next(online: HearthServer, double: OllamaDouble) -> None:
    calls = [json.dumps({"code": code}) for code in ("secret_number = 41", "print(secret_number + 1)")]
    text = "Compute " + " then ".join(f"[[tool:python_code:{call}]]" for call in calls)
    with online.client() as client:

        def outputs(content: str) -> str:
            question = {"model": "hearth-react", "messages": [{"role": "user", "content": content}]}
            done = client.post(CHAT, json=question).json()
            steps = client.get(f"/api/runs/{done['run_id']}").json()["steps"]
            return " ".join(step["output"] for step in steps if step["name"] == "python_code")

        assert "42" in outputs(text)
        again = outputs(f"Compute [[tool:python_code:{json.dumps({'code': 'print(secret_number)'})}]]")
        assert "NameError" in again


def test_sb_1_switched_off_the_tool_is_listed_with_the_reason(tmp_path_factory: pytest.TempPathFactory) -> None:
    with HearthServer(tmp_path_factory.mktemp("off"), SANDBOX="off") as server, server.client() as client:
        listed = {tool["name"]: tool for tool in client.get("/api/tools").json()["tools"]}
        assert listed["python_code"]["available"] is False and "SANDBOX=off" in listed["python_code"]["reason"]
        answer = client.post(RUN, json={"arguments": {"code": "1"}})
        assert answer.status_code == 503 and "SANDBOX=off" in answer.json()["error"]["message"]
