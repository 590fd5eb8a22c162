"""The page served alone: fixed files, the same headers, the backend's address in /config.json."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_frontend import BadSetting, FrontendSettings, create_server, page_files, read_settings


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    server = create_server(FrontendSettings(port=0, backend="http://127.0.0.1:8123"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[0], server.server_address[1]  # type: ignore[misc]
    server.shutdown()
    server.server_close()
    thread.join(5)


def get(address: tuple[str, int], path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/files/file-1/view", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/styles.css?v=1", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/vendor/marked-18.2.1.js", "text/javascript; charset=utf-8"),
        ("/config.json", "application/json"),
    ],
)
def test_xss_1_page_files_carry_type_and_security_headers(address: tuple[str, int], path: str, kind: str) -> None:
    status, headers, body = get(address, path)
    assert (status, headers["content-type"], len(body)) == (200, kind, int(headers["content-length"]))
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' http://127.0.0.1:8123;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_config_names_the_backend(address: tuple[str, int]) -> None:
    assert json.loads(get(address, "/config.json")[2]) == {"backend": "http://127.0.0.1:8123"}


def test_head_has_no_body(address: tuple[str, int]) -> None:
    status, headers, body = get(address, "/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 1000


@pytest.mark.parametrize(
    "path",
    [
        "/../run_frontend.py",
        "/%2e%2e/run_frontend.py",
        "/..%2frun_frontend.py",
        "//etc/passwd",
        "/vendor/",
        "/vendor",
        "/vendor/README.md",
        "/vendor/marked-18.2.1.LICENSE",
        "/package.json",
        "/app.js/",
        "/app.js%00.html",
        "/files/a/b/view",
        "/nothing",
    ],
)
def test_path_1_nothing_else_is_served(address: tuple[str, int], path: str) -> None:
    status, headers, body = get(address, path)
    assert (status, body) == (404, b"There is no such page.\n")
    assert "content-security-policy" in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_possible(address: tuple[str, int], method: str) -> None:
    assert get(address, "/", method)[0] == 501


def test_path_1_links_out_of_the_folder_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "secret.js").symlink_to("/etc/hostname")
    (tmp_path / "notes.txt").write_text("x")
    assert set(page_files(tmp_path)) == {"/", "/index.html"}


def test_settings_come_from_the_environment() -> None:
    assert read_settings({}) == FrontendSettings("127.0.0.1", 3000, "http://127.0.0.1:8000")
    read = read_settings({"FRONTEND_HOST": "0.0.0.0", "FRONTEND_PORT": "81", "BACKEND_URL": "https://api.example/"})
    assert read == FrontendSettings("0.0.0.0", 81, "https://api.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRONTEND_PORT", "x"),
        ("FRONTEND_PORT", "70000"),
        ("FRONTEND_PORT", "-1"),
        ("BACKEND_URL", "localhost:8000"),
        ("BACKEND_URL", "http://a.example/path"),
        ("BACKEND_URL", "http://a.example; script-src *"),
        ("BACKEND_URL", "http://a.example\r\nx: y"),
        ("BACKEND_URL", "*"),
    ],
)
def test_bad_setting_names_itself(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        read_settings({name: value})


def test_cors_1_page_uses_no_inline_script_style_or_foreign_address() -> None:
    folder = Path(__file__).resolve().parents[2] / "frontend"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')
    for sheet in folder.glob("*.css"):
        text = sheet.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text
        assert "@import" not in text
