"""A real server process on loopback, for tests through the front door."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from backend.config.settings import load_settings
from backend.storage import json_files
from backend.tasks.sign_in import SignIn

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens on the discard port: the address of an Ollama that is not there."""


class HearthServer:
    """`python -m backend serve` in a data folder of its own, as a stranger would start it."""

    def __init__(self, folder: Path, ollama: str = NOWHERE, code: Path = ROOT, **settings: str) -> None:
        """`code` is where the `backend` package lies."""
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(code),
            "PYTHONWARNINGS": "ignore",
            "DATA_DIR": str(folder / "data"),
            "OLLAMA_HOST": ollama,
            "SERVER_PORT": "0",
            **settings,
        }
        self.output = ""
        self.url = self.password = self.key = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> HearthServer:
        """Start and wait for the start-up text."""
        log = (self.folder / "stderr.txt").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        lines: list[str] = []
        while "Stop with Ctrl+C" not in (lines[-1] if lines else ""):
            line = self._process.stdout.readline()
            if not line:
                raise AssertionError(f"the server ended at once:\n{''.join(lines)}\n{self.errors()}")
            lines.append(line)
            assert time.monotonic() < deadline, "the server did not start in time"
        self.output = "".join(lines)
        self.url = _found(r"Hearth is running:\s+(\S+)", self.output)
        self.password = _found(r"password:\s+(\S+)", self.output) or self.password
        self.key = _found(r"API key:\s+(\S+)", self.output) or self.key
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def errors(self) -> str:
        return (self.folder / "stderr.txt").read_text()

    def log(self) -> str:
        path = self.folder / "data" / "logs" / "app.log"
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        self._process = None
        process.send_signal(how)
        code = process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`python -m backend ARGUMENTS` on the same data folder."""
        return subprocess.run(
            [sys.executable, "-m", "backend", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def add_user(self, name: str, *, admin: bool = False) -> str:
        """A user with a key; returns the key. Made beside the server as the commands do it, without their start."""

        async def make() -> str:
            stores = json_files.create(load_settings(data_dir=self.folder / "data", _env_file=None))
            try:
                sign_in = SignIn(stores, b"of no use here", 1)
                user = await sign_in.create_user(name, PASSWORD, "admin" if admin else "user")
                return (await sign_in.create_key(user.owner, "tests"))[1]
            finally:
                await stores.aclose()

        # In a thread: the test may be inside a loop of its own.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(make())).result()

    def client(self, key: str | None = None, **kwargs: Any) -> httpx.Client:
        """A plain HTTP client, signed in with the first key unless another (or "") is given."""
        token = self.key if key is None else key
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **kwargs)

    def __enter__(self) -> HearthServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


PASSWORD = "correct horse battery"


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def upload_and_wait(client: httpx.Client, name: str, content: bytes, seconds: float = 60.0) -> dict[str, Any]:
    """Upload one file and wait until it is ready or failed; the document's last state."""
    answer = client.post("/api/files/upload", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return wait_for_document(client, answer.json()["file_id"], seconds)


def wait_for_document(client: httpx.Client, file_id: str, seconds: float = 60.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        document: dict[str, Any] = client.get(f"/api/files/documents/{file_id}").json()
        if document["status"] in ("ready", "failed"):
            return document
        assert time.monotonic() < deadline, f"still {document}"
        time.sleep(0.05)
