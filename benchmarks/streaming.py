"""CPU per streamed token and time to the first one, against a plain FastAPI + httpx passthrough in the same run.

`make bench`, or `python -m benchmarks.streaming [--streams 100] [--tokens 100] [--delay-ms 20] [--repeat 3]`.
CPU is the kernel's count for the server process; figures are medians over the repeats, which take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """`cpu_us_per_token`: microseconds of the server's CPU; `ttft_ms`: one client at a time, median."""

    cpu_us_per_token: float
    cpu_us_per_request: float
    ttft_ms: float
    rss_mb: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(command: list[str], ready: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A child that printed `ready`, with the lines it printed until then."""
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    lines = []
    try:
        for text in running.stdout:
            lines.append(text)
            if ready in text:
                break
        yield running, lines
    finally:
        running.terminate()
        running.wait(20)
        running.stdout.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def one(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> tuple[float, int]:
    """Seconds to the first token, and the number of tokens that came."""
    started = time.perf_counter()
    first, seen, text = 0.0, 0, b""
    async with session.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for piece in answer.content.iter_any():
            if not first and b"word" in piece:
                first = time.perf_counter() - started
            text += piece
    seen = text.count(b"word ")
    return first, seen


async def load(url: str, key: str, streams: int, tokens: int, pid: int) -> Measured:
    body: dict[str, object] = {
        "model": "fake:latest",
        "stream": True,
        "messages": [{"role": "user", "content": "tell me a story"}],
    }
    headers = {"authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        await one(session, url, body)
        before = cpu_seconds(pid)
        results = await asyncio.gather(*(one(session, url, body) for _ in range(streams)))
        spent = cpu_seconds(pid) - before
        assert all(seen == tokens for _, seen in results), "tokens were lost"
        before = cpu_seconds(pid)
        singles = [(await one(session, url, {**body, "max_tokens": 1}))[0] for _ in range(5)]
    return Measured(
        spent / (streams * tokens) * 1e6, spent / streams * 1e6, statistics.median(singles) * 1000, rss_mb(pid)
    )


def measure_passthrough(upstream: str, streams: int, tokens: int) -> Measured:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.passthrough:app", "--port", str(port), "--no-access-log"]
    with process(command, "Uvicorn running", UPSTREAM=upstream) as (server, _):
        return asyncio.run(load(f"http://127.0.0.1:{port}/v1/chat/completions", "none", streams, tokens, server.pid))


def measure_hearth(upstream: str, streams: int, tokens: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "run_backend.py"]
        settings = {"DATA_DIR": f"{folder}/data", "OLLAMA_HOST": upstream, "SERVER_PORT": str(free_port())}
        with process(command, "Stop with Ctrl+C", **settings) as (server, lines):
            text = "".join(lines)
            key = text.split("API key:")[1].split()[0]
            url = text.split("base_url:")[1].split()[0]
            return asyncio.run(load(f"{url}/chat/completions", key, streams, tokens, server.pid))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=100)
    options.add_argument("--tokens", type=int, default=100)
    options.add_argument("--delay-ms", type=float, default=20.0)
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.fast_upstream", str(port), str(given.tokens), str(given.delay_ms)]
    figures: dict[str, list[Measured]] = {"passthrough": [], "hearth": []}
    with process(command, "READY"):
        for _ in range(given.repeat):
            figures["passthrough"].append(measure_passthrough(upstream, given.streams, given.tokens))
            figures["hearth"].append(measure_hearth(upstream, given.streams, given.tokens))
    report(figures, given)


def report(figures: dict[str, list[Measured]], given: argparse.Namespace) -> None:
    def median(name: str, field: str) -> float:
        return statistics.median(getattr(each, field) for each in figures[name])

    print(f"{given.streams} streams of {given.tokens} tokens, {given.delay_ms:g} ms apart, median of {given.repeat}")
    print("| figure | FastAPI + httpx passthrough | Hearth (signed in, stored) | ratio |")
    print("|---|---|---|---|")
    for field, name in (
        ("cpu_us_per_token", "CPU per token, us"),
        ("cpu_us_per_request", "CPU per request, us"),
        ("ttft_ms", "first token, one client, ms"),
        ("rss_mb", "memory under load, MB"),
    ):
        plain, ours = median("passthrough", field), median("hearth", field)
        print(f"| {name} | {plain:.1f} | {ours:.1f} | {ours / plain:.2f} |")


if __name__ == "__main__":
    main()
