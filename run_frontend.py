"""Serve the chat page alone, on a port of its own, pointing at a backend elsewhere.

Settings come from the environment: FRONTEND_HOST (127.0.0.1), FRONTEND_PORT (3000) and BACKEND_URL
(http://127.0.0.1:8000). The backend must allow the page's address in CORS_ORIGINS.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

FRONTEND = Path(__file__).resolve().parent / "frontend"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
VIEWER = re.compile(r"/files/[^/]+/view/?")
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


class BadSetting(ValueError):
    """A setting is wrong; the message is the one line printed before the process ends."""


@dataclass(frozen=True, slots=True)
class FrontendSettings:
    """`backend` is an origin: scheme, host and port, nothing more. Port 0 lets the system choose."""

    host: str = "127.0.0.1"
    port: int = 3000
    backend: str = "http://127.0.0.1:8000"


def read_settings(environment: Mapping[str, str]) -> FrontendSettings:
    """Raises BadSetting, naming the setting, its value and what is allowed."""
    host = environment.get("FRONTEND_HOST", "127.0.0.1").strip() or "127.0.0.1"
    text = environment.get("FRONTEND_PORT", "3000").strip()
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise BadSetting(f"FRONTEND_PORT is {text!r}: use a number from 0 to 65535")
    backend = environment.get("BACKEND_URL", "http://127.0.0.1:8000").strip().rstrip("/")
    if not ORIGIN.fullmatch(backend):
        raise BadSetting(f"BACKEND_URL is {backend!r}: use an address such as http://127.0.0.1:8000, without a path")
    return FrontendSettings(host, int(text), backend)


def security_headers(backend: str) -> dict[str, str]:
    """The headers the backend sends with the page too; only `backend` may be talked to besides."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self' {backend}; font-src 'self'; frame-src blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }


def page_files(folder: Path) -> dict[str, Path]:
    """Request path to file, for everything the page may load; nothing else exists for a browser."""
    files = {
        f"/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix in TYPES
    }
    files["/"] = files["/index.html"]
    return files


class PageHandler(BaseHTTPRequestHandler):
    """GET and HEAD of the listed files, of `/config.json`, and of the page itself at a document's address."""

    server_version = "Hearth"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, *args: object, files: Mapping[str, Path], settings: FrontendSettings) -> None:
        self.files = files
        self.settings = settings
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/config.json":
            return self._answer(
                HTTPStatus.OK, "application/json", json.dumps({"backend": self.settings.backend}).encode()
            )
        file = self.files.get("/" if VIEWER.fullmatch(path) else path)
        if file is None:
            return self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There is no such page.\n")
        return self._answer(HTTPStatus.OK, TYPES[file.suffix], file.read_bytes())

    do_HEAD = do_GET

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in security_headers(self.settings.backend).items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a line for each file of the page helps nobody."""


def create_server(settings: FrontendSettings, folder: Path = FRONTEND) -> ThreadingHTTPServer:
    """A bound server, not yet serving. Raises OSError when the address cannot be used."""
    handler = partial(PageHandler, files=page_files(folder), settings=settings)
    return ThreadingHTTPServer((settings.host, settings.port), handler)


def main() -> int:
    try:
        settings = read_settings(os.environ)
        server = create_server(settings)
    except BadSetting as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(
            f"The page cannot be served ({error.strerror}): choose another FRONTEND_PORT or FRONTEND_HOST\n"
        )
        return 1
    host, port = server.server_address[:2]
    page = f"http://{host!s}:{port}"
    sys.stdout.write(
        f"Hearth page    {page}\nBackend        {settings.backend}\n"
        f"The backend must allow this page: CORS_ORIGINS={page}\n"
    )
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
