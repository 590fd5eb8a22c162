"""What agents cost beside their model and their tools, and how quickly they stop when nobody listens.

`python -m benchmarks.agents`. The first two tables run inside this process with scripted
models; the third asks a real server that talks to a fast upstream over the network, the agent's answers and the plain
path taking turns; the fourth times how long the upstream's connection outlives a client that has left.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import httpx

from benchmarks import agents_plan, agents_react
from benchmarks.streaming import cpu_seconds, free_port, one, process
from tests.doubles.ollama_process import OllamaDouble, fault
from tests.server import HearthServer

STREAMS, TOKENS, DELAY_MS, REPEAT = 20, 200, 5.0, 5


def server_tokens() -> dict[str, float]:
    """CPU microseconds per token of a real server: the plain path, a ReAct answer, a plan's answer; medians."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.fast_upstream", str(port), str(TOKENS), str(DELAY_MS)]
    found: dict[str, list[float]] = {"chat": [], "react": []}
    with tempfile.TemporaryDirectory() as folder, process(command, "READY"):
        settings = {"DATA_DIR": f"{folder}/data", "OLLAMA_HOST": f"http://127.0.0.1:{port}"}
        serve = [sys.executable, "run_backend.py"]
        with process(serve, "Stop with Ctrl+C", SERVER_PORT=str(free_port()), **settings) as (server, lines):
            text = "".join(lines)
            key, url = text.split("API key:")[1].split()[0], text.split("base_url:")[1].split()[0]
            for _ in range(REPEAT):
                for agent in found:
                    found[agent].append(asyncio.run(_load(f"{url}/chat/completions", key, agent, server.pid)))
    return {agent: statistics.median(values) for agent, values in found.items()}


async def _load(url: str, key: str, agent: str, pid: int) -> float:
    body: dict[str, object] = {
        "model": "fake:latest",
        "stream": True,
        "agent": agent,
        "store": False,
        "messages": [{"role": "user", "content": "tell me a story"}],
    }
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"authorization": f"Bearer {key}"}) as session:
        await one(session, url, body)
        before = cpu_seconds(pid)
        results = await asyncio.gather(*(one(session, url, body) for _ in range(STREAMS)))
        spent = cpu_seconds(pid) - before
    assert all(seen == TOKENS for _, seen in results), "tokens were lost"
    return spent / (STREAMS * TOKENS) * 1e6


def seconds_to_stop(agent: str, times: int = 3) -> float:
    """Seconds between a client's leaving in the middle of a run and the end of the upstream's connection; the worst."""
    worst = 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        OllamaDouble() as double,
        HearthServer(Path(folder), double.url) as server,
    ):
        for _ in range(times):
            double.reset()
            double.script(fault("stall", after_chunks=3, match={"path": "/api/chat"}))
            worst = max(worst, _once_gone(server, double, agent))
    return worst


def _once_gone(server: HearthServer, double: OllamaDouble, agent: str) -> float:
    body = {
        "model": "llama3.2:3b",
        "agent": agent,
        "stream": True,
        "messages": [{"role": "user", "content": "one two three four five"}],
    }
    asked = "/api/chat"
    with server.client() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        # The headers come with the model's first word; a plan that stalls sends none.
        request = client.build_request("POST", "/v1/chat/completions", json=body, timeout=4.0)
        answer = pool.submit(_read_a_while, client, request)
        double.wait_for_log(lambda log: any(each["path"] == asked for each in log), 10)
        answer.result()
        left = time.time()
    log = double.wait_for_log(lambda log: any(each["path"] == asked and each["disconnected_at"] for each in log), 10)
    return max(each["disconnected_at"] or 0.0 for each in log if each["path"] == asked) - left


def _read_a_while(client: httpx.Client, request: httpx.Request) -> None:
    """Send, read until nothing comes for four seconds, and hang up."""
    with contextlib.suppress(httpx.ReadTimeout), contextlib.closing(client.send(request, stream=True)) as answer:
        for _ in answer.iter_bytes():
            pass


def main() -> None:
    print("ReAct, in process")
    agents_react.main()
    print("\nplan-and-execute, in process")
    asyncio.run(agents_plan.main())
    tokens = server_tokens()
    print(f"\na token of the answer on a real server, {STREAMS} streams of {TOKENS}, us of CPU")
    print(f"plain path {tokens['chat']:.1f}, ReAct {tokens['react']:.1f}: {tokens['react'] / tokens['chat']:.2f} x")
    print("\nclient gone -> upstream closed, worst of 3")
    for agent in ("react", "plan_execute"):
        print(f"{agent}: {seconds_to_stop(agent) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
