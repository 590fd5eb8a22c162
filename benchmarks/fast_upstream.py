"""An Ollama that costs almost nothing: `/api/chat` streams N one-word chunks at a set pace, from fixed bytes.

`python -m benchmarks.fast_upstream PORT TOKENS DELAY_MS`
"""

from __future__ import annotations

import asyncio
import json
import sys

MODEL = "fake:latest"
TAGS = {"models": [{"name": MODEL, "model": MODEL, "size": 1, "digest": "0" * 64, "details": {"family": "llama"}}]}
SHOW = {
    "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
    "capabilities": ["completion", "tools"],
    "details": {"family": "llama"},
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


def line(text: str, done: bool = False) -> bytes:
    body = {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text}}
    extra = {"done_reason": "stop", "prompt_eval_count": 10, "eval_count": 10} if done else {}
    raw = json.dumps({**body, "done": done, **extra}).encode() + b"\n"
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


TOKEN, END = line("word "), line("", True) + b"0\r\n\r\n"


async def serve(port: int, tokens: int, delay_s: float) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                path = head.split(b" ")[1]
                if path == b"/api/chat":
                    await stream(writer)
                else:
                    answers = {b"/api/tags": TAGS, b"/api/show": SHOW, b"/api/ps": {"models": []}}
                    body = json.dumps(answers.get(path, {"version": "0.33.0"})).encode()
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                        % (len(body), body)
                    )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _ in range(tokens):
            writer.write(TOKEN)
            await writer.drain()
            await asyncio.sleep(delay_s)
        writer.write(END)

    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=1024)
    print("READY", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
