"""Signing in, keys and the command line, against a real server."""

from __future__ import annotations

import io
import re
import stat
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from backend.cli.main import main
from tests.server import PASSWORD, HearthServer


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HearthServer]:
    """A server whose doors may be rattled at."""
    with HearthServer(tmp_path_factory.mktemp("tried")) as server:
        yield server


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    offline: HearthServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """The command line in this process, on the data folder of the running server: most of a process is its start."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> Done:
        for name, value in {**offline.environment, **settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(offline.folder)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = main(arguments)
        return Done(code, *capsys.readouterr())

    yield run


@pytest.fixture
def client(offline: HearthServer) -> Iterator[httpx.Client]:
    with offline.client("") as signed_in:
        yield signed_in


def login(client: httpx.Client, name: str, password: str) -> httpx.Response:
    return client.post("/api/auth/login", json={"username": name, "password": password})


def test_auth_1_no_secret_has_a_default(offline: HearthServer) -> None:
    data = offline.folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    keys = [path for path in data.iterdir() if "secret" in path.name]
    assert len(keys) == 1 and stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    assert len(keys[0].read_bytes().strip()) >= 32


def test_auth_2_first_password_is_random_and_not_logged(offline: HearthServer) -> None:
    assert len(offline.password) >= 16
    assert offline.password not in offline.log() and offline.key not in offline.log()
    assert offline.password not in (offline.folder / "data" / "users" / "users.json").read_text()


def test_first_start_prints_once_what_is_needed(offline: HearthServer) -> None:
    for part in ("http://127.0.0.1:", "password:", "API key:", "sk-", "hearth-builtin", "ollama serve"):
        assert part in offline.output


def test_login_me_and_key(client: httpx.Client, offline: HearthServer) -> None:
    answer = login(client, "admin", offline.password)
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "bearer" and body["expires_in"] == 24 * 3600
    token = {"authorization": f"Bearer {body['access_token']}"}
    assert client.get("/api/auth/me", headers=token).json()["username"] == "admin"
    assert client.get("/api/auth/me", headers={"authorization": f"bearer {offline.key}"}).json()["role"] == "admin"


def test_login_by_oauth2_form(client: httpx.Client, offline: HearthServer) -> None:
    form = {"username": "admin", "password": offline.password, "grant_type": "password"}
    assert client.post("/api/auth/login", data=form).status_code == 200


def test_logout_refuses_the_token(client: httpx.Client, offline: HearthServer) -> None:
    token = {"authorization": f"Bearer {login(client, 'admin', offline.password).json()['access_token']}"}
    assert client.post("/api/auth/logout", headers=token).status_code == 204
    assert client.get("/api/auth/me", headers=token).status_code == 401


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic abc", "Bearer nonsense", "Bearer a.b.c", "Bearer sk-unknown", "sk-unknown"],
)
def test_auth_9_missing_or_forged_credentials_are_401_before_the_body_is_read(
    client: httpx.Client, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = client.post("/v1/chat/completions", headers=headers, content=b"{ not json")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_auth_3_token_of_another_key_is_refused(client: httpx.Client) -> None:
    from backend.models.accounts import User
    from backend.utils.auth import new_access_token

    user = User("x" * 32, "admin", "admin", "", 0.0, "default")
    token = new_access_token(user, b"k" * 32, 24, time.time())
    assert client.get("/api/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_auth_8_unknown_user_and_wrong_password_are_the_same(tried: HearthServer) -> None:
    tried.add_user("somebody")
    with tried.client("") as client:
        answers = {
            who: [login(client, name, "wrong password") for _ in range(3)]
            for who, name in (("known", "somebody"), ("unknown", "nobody-here"))
        }
        bodies = {answer.json()["error"]["message"] for each in answers.values() for answer in each}
        assert len(bodies) == 1
        assert {answer.status_code for each in answers.values() for answer in each} == {401}
        times = {who: statistics.median(a.elapsed.total_seconds() for a in each) for who, each in answers.items()}
        assert min(times.values()) > 0.05, "an unknown user must cost a bcrypt too"


def test_auth_8_delay_after_five_failures(tried: HearthServer) -> None:
    with tried.client("") as client:
        codes = [login(client, "admin", f"wrong {n}").status_code for n in range(6)]
        assert codes[:5] == [401] * 5
        assert codes[5] == 429
        refused = login(client, "admin", tried.password)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        time.sleep(int(refused.headers["retry-after"]) + 0.1)
        assert login(client, "admin", tried.password).status_code == 200


def test_auth_7_long_passwords_work_and_differ_beyond_72_bytes(command: Command, client: httpx.Client) -> None:
    long = "x" * 100
    added = command("users", "add", "long-one", "--password-stdin", stdin=long + "\n")
    assert added.returncode == 0, added.stderr
    assert login(client, "long-one", long).status_code == 200
    assert login(client, "long-one", "x" * 99).status_code == 401


def test_auth_7_short_passwords_are_refused(command: Command) -> None:
    added = command("users", "add", "short-one", "--password-stdin", stdin="short\n")
    assert added.returncode == 1 and "10" in added.stderr


def test_keys_create_prints_the_key_alone_and_revoke_ends_it(offline: HearthServer, command: Command) -> None:
    command("users", "add", "key-user", "--password-stdin", stdin=PASSWORD + "\n")
    made = offline.run("keys", "create", "--user", "key-user", "--name", "laptop")
    assert re.fullmatch(r"sk-\S{27,}\n", made.stdout)
    key = made.stdout.strip()
    with offline.client(key) as client:
        assert client.get("/api/auth/me").json()["username"] == "key-user"
        listed = command("keys", "list", "--user", "key-user").stdout
        assert "laptop" in listed and key not in listed
        assert command("keys", "revoke", listed.split("\t")[0]).returncode == 0
        assert client.get("/api/auth/me").status_code == 401


def test_users_list_and_duplicate_names(command: Command) -> None:
    assert "admin\tadmin\tactive" in command("users", "list").stdout
    again = command("users", "add", "ADMIN", "--password-stdin", stdin=PASSWORD + "\n")
    assert again.returncode == 1 and "taken" in again.stderr.lower()


def test_auth_6_keys_over_http_are_shown_once(offline: HearthServer) -> None:
    with offline.client() as client:
        made = client.post("/api/auth/keys", json={"name": "phone"})
        assert made.status_code == 201 and made.json()["key"].startswith("sk-")
        listed = client.get("/api/auth/keys")
        assert made.json()["key"] not in listed.text
        assert client.delete(f"/api/auth/keys/{made.json()['id']}").status_code == 204
        with offline.client(made.json()["key"]) as other:
            assert other.get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SERVER_PORT", "99999", "65535"),
        ("LLM_PROVIDER", "gpt", "auto or one of builtin, ollama"),
        ("SECRET_KEY", "short", "32"),
        ("JWT_ALGORITHM", "none", "HS256"),
        ("CORS_ORIGINS", "*", "exact origins"),
        ("MAX_UPLOAD_MB", "many", "number"),
        ("EMBEDDING_MODEL", "nope:x", "nope"),
        ("OLLAMA_HOST", "http://[::1", "OLLAMA_HOST"),
    ],
)
def test_bad_setting_stops_the_start_with_one_line(
    command: Command, tmp_path: Path, name: str, value: str, says: str
) -> None:
    done = command("serve", DATA_DIR=str(tmp_path / "data"), **{name: value})
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr
    if name == "SECRET_KEY":
        assert value not in done.stderr.replace("SECRET_KEY", "")


def test_what_stops_the_start_is_one_line_of_a_process_too(tmp_path: Path) -> None:
    done = HearthServer(tmp_path, LOG_FILE="/proc/x/y.log").run("serve")
    assert done.returncode == 1 and not done.stdout
    assert "LOG_FILE" in done.stderr and "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_taken_port_is_one_line(offline: HearthServer, tmp_path: Path) -> None:
    port = offline.url.rsplit(":", 1)[1]
    done = HearthServer(tmp_path, SERVER_PORT=port).run("serve")
    assert done.returncode == 1 and port in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_sigterm_ends_with_exit_code_0_and_a_second_start_keeps_accounts(tmp_path: Path) -> None:
    server = HearthServer(tmp_path).start()
    assert server.stop() == 0
    key = server.key
    server.start()
    try:
        assert "password:" not in server.output
        with server.client(key) as client:
            assert client.get("/v1/models").status_code == 200
    finally:
        server.stop()
