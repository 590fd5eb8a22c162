"""Many at once: the loop stays free, memory comes back, stopping is orderly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import httpx

from backend.storage.json_files.conversation_lines import State, header_line
from tests.doubles.ollama_process import OllamaDouble
from tests.server import HearthServer, upload_and_wait

CHAT = "/v1/chat/completions"
MIB = 1_048_576

PROBE = """
import http.client, sys, time
host, seconds = sys.argv[1], float(sys.argv[2])
line = http.client.HTTPConnection(host)
took, late = [], []
print("ready", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    asked = time.monotonic()
    line.request("GET", "/v1/nowhere")
    line.getresponse().read()
    answered = time.monotonic()
    took.append(answered - asked)
    time.sleep(0.01)
    late.append(time.monotonic() - answered - 0.01)
took.sort()
print(len(took), took[len(took) // 2], took[int(len(took) * 0.99)], sorted(late)[int(len(late) * 0.99)])
"""
"""A process of its own, which takes the shortest way through the server, so that what it waits for is the loop; and
tells how late the machine itself wakes a sleeper, now that others use it too."""


def test_flow_2_nothing_holds_up_the_loop_under_mixed_load(offline: HearthServer) -> None:
    stop = threading.Event()

    def login(client: httpx.Client) -> None:
        client.post("/api/auth/login", json={"username": "admin", "password": offline.password})

    def upload(client: httpx.Client) -> None:
        text = f"{time.monotonic()} " + "The handbook says a lot about cats. " * 500
        document = upload_and_wait(client, "handbook.txt", text.encode())
        client.delete(f"/api/files/documents/{document['file_id']}")

    def embed(client: httpx.Client) -> None:
        client.post("/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": ["a cat on a mat " * 20] * 8})

    def calculate(client: httpx.Client) -> None:
        client.post("/api/tools/math_calc/run", json={"arguments": {"expression": "integrate(sin(x)^4, x)"}})

    def chat(client: httpx.Client) -> None:
        body = {"model": "hearth-builtin", "stream": True, "messages": [{"role": "user", "content": "what is 17*23?"}]}
        with client.stream("POST", CHAT, json=body) as answer:
            answer.read()

    def again_and_again(work: Callable[[httpx.Client], None]) -> None:
        with offline.client() as client:
            while not stop.is_set():
                work(client)

    with offline.client() as client:
        for work in (login, embed, calculate, chat, upload):
            work(client)  # what is loaded late is loaded now
        workers = [threading.Thread(target=again_and_again, args=(work,)) for work in (login, upload, embed, chat)]
        workers.append(threading.Thread(target=again_and_again, args=(calculate,)))
        for worker in workers:
            worker.start()
        # What holds up the loop does so in every round; what other processes take, they do not take in all three.
        for _ in range(3):
            number, median, p99, machine = probed(offline)
            if p99 < 0.1:
                break
        stop.set()
        for worker in workers:
            worker.join()
    told = f"median {median * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, the machine is {machine * 1000:.0f} ms late itself"
    assert number > 5, told
    # One password hashed on the loop, again and again, would take the median to hundreds of milliseconds. The p99 also
    # tells of the other processes that use this machine.
    assert median < 0.1, told
    assert p99 < 0.1 + max(0.9, 10 * machine), told


def probed(server: HearthServer) -> tuple[float, float, float, float]:
    """Number of probes in two seconds, their median and p99, and how late the machine itself is (p99), in seconds."""
    host = server.url.removeprefix("http://")
    command = [sys.executable, "-c", PROBE, host, "2"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[1:]
    number, median, p99, machine = map(float, said)
    return number, median, p99, machine


def rss(server: HearthServer) -> int:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def streams(server: HearthServer, number: int, probe: Callable[[], None]) -> None:
    """So many streams at once; `probe` is called when each has got its first chunk. All must end well."""
    body = {"model": "llama3.2:3b", "stream": True, "store": False,
            "messages": [{"role": "user", "content": "[[tokens:20]] [[delay:100]]"}]}  # fmt: skip
    begun, all_begun = 0, asyncio.Event()
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(server.url, connector=connector, headers=headers) as session:

        async def one() -> bool:
            nonlocal begun
            text = b""
            async with session.post(CHAT, json=body) as answer:
                assert answer.status == 200, await answer.text()
                async for piece in answer.content.iter_any():
                    if not text:
                        begun += 1
                        if begun == number:
                            all_begun.set()
                    text += piece
            return text.rstrip().endswith(b"[DONE]") and b'"error"' not in text

        running = [asyncio.ensure_future(one()) for _ in range(number)]
        async with asyncio.timeout(60):
            await all_begun.wait()
        await asyncio.to_thread(probe)
        assert all(await asyncio.gather(*running)), "a stream broke off"


def test_flow_3_five_hundred_open_streams_fit_and_leave_nothing_behind(
    online: HearthServer, double: OllamaDouble
) -> None:
    double.configure(num_parallel=600, max_queue=1000)
    before, peak, healthy = rss(online), 0, 99.0

    def probe() -> None:
        nonlocal peak, healthy
        with online.client() as client:
            for _ in range(5):
                asked = time.monotonic()
                assert client.get("/health").status_code == 200
                healthy = min(healthy, time.monotonic() - asked)
                peak = max(peak, rss(online))

    asyncio.run(streams(online, 500, probe))
    after_first = rss(online)
    assert peak - before < 200 * MIB, f"{(peak - before) // MIB} MiB more"
    assert healthy < 0.5
    asyncio.run(streams(online, 100, lambda: None))
    assert rss(online) < after_first * 1.1, "memory grows with every stream that ended"
    with online.client() as client:
        assert client.get("/api/auth/me").headers["x-ratelimit-reset-requests"] == "0s", "places were not given back"


def cpu_seconds(server: HearthServer) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_flow_3_ten_thousand_conversations_are_listed_quickly(tmp_path: Path) -> None:
    server = HearthServer(tmp_path, LLM_PROVIDER="builtin").start()
    with server.client() as client:
        client.post(CHAT, json={"model": "hearth-builtin", "messages": [{"role": "user", "content": "hello"}]})
        empty = rss(server)
    server.stop()
    (folder,) = (tmp_path / "data" / "conversations").iterdir()
    for number in range(10_000):
        name = f"conv-{number:032x}"
        (folder / f"{name}.jsonl").write_bytes(header_line(State(name, f"Talk {number}", 1e9 + number, 1e9 + number)))
    with server, server.client() as client:
        assert cpu_seconds(server) < 5, "the start reads conversations"
        took = []
        for page in (1, 2, 3, 100, 200):
            asked = time.monotonic()
            answer = client.get(f"/api/conversations?page={page}&limit=50")
            took.append(time.monotonic() - asked)
            assert len(answer.json()["conversations"]) == 50 and answer.json()["total"] >= 10_000
        assert min(took) < 0.2, took
        assert rss(server) - empty < 200 * MIB


def refuses(server: HearthServer) -> bool:
    """Whether new requests are turned away."""
    try:
        with server.client() as client:
            return client.get("/health/ready").status_code == 503
    except httpx.TransportError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(server: HearthServer) -> int:
    """Wait for the end that was asked for; the exit code."""
    wait_until(lambda: server._process is None or server._process.poll() is not None)
    return server.stop()


def said(folder: Path) -> list[str]:
    """The roles in the oldest conversation on the disk, each of its lines being whole."""
    files = sorted((folder / "data" / "conversations").rglob("*.jsonl"), key=lambda path: path.stat().st_ctime)
    lines = [json.loads(line) for line in files[0].read_bytes().splitlines()]
    return [line["role"] for line in lines if "role" in line]


def story(delay_ms: int, tokens: int) -> dict[str, object]:
    text = f"[[tokens:{tokens}]] [[delay:{delay_ms}]]"
    return {"model": "llama3.2:3b", "stream": True, "messages": [{"role": "user", "content": text}]}


def test_flow_4_sigterm_lets_streams_finish_and_ends_with_0(tmp_path: Path, double: OllamaDouble) -> None:
    server = HearthServer(tmp_path, double.url, OLLAMA_MODEL="llama3.2:3b").start()
    with server.client() as client, client.stream("POST", CHAT, json=story(40, 25)) as answer:
        lines = answer.iter_lines()
        next(lines)
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: refuses(server))
        rest = list(lines)
    assert [line for line in rest if line][-1] == "data: [DONE]" and not any('"error"' in line for line in rest)
    assert ended(server) == 0
    assert said(tmp_path) == ["user", "assistant"], "the answer was kept"


def test_flow_4_second_signal_ends_at_once_and_loses_nothing(tmp_path: Path, double: OllamaDouble) -> None:
    server = HearthServer(tmp_path, double.url, OLLAMA_MODEL="llama3.2:3b").start()
    with server.client() as client:
        kept = client.post(CHAT, json={"model": "llama3.2:3b", "messages": [{"role": "user", "content": "hi"}]})
        assert kept.status_code == 200
        with suppress(httpx.TransportError), client.stream("POST", CHAT, json=story(100, 300)) as answer:
            lines = answer.iter_lines()
            next(lines)
            os.kill(server.pid, signal.SIGTERM)
            wait_until(lambda: refuses(server))
            signalled = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            for _ in lines:
                pass
    ended(server)
    assert time.monotonic() - signalled < 10, "the stream would have taken thirty seconds"
    assert said(tmp_path)[:2] == ["user", "assistant"]
