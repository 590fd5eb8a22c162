"""Schemathesis over a real server: requests made from the OpenAPI document, valid ones and others.

The suite runs a short set, always the same. `make fuzz` runs every phase with HEARTH_FUZZ_EXAMPLES examples a route.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from backend.api.openapi_operations import SUCCESSES
from tests.fuzz.examples import ASKED
from tests.server import HearthServer

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error,content_type_conformance,response_schema_conformance,unsupported_method"
    ",response_headers_conformance"
)
KEPT_OUT = ["/api/auth/logout", "/api/auth/login", "/api/auth/keys", "/api/auth/keys/{key_id}"]
"""They would end the session that asks, or make the door wait."""
HOOKS = '''
import json
import schemathesis

ANTHROPIC = ("/v1/messages", "/v1/messages/count_tokens")


@schemathesis.check
def envelope_of_failures(ctx, response, case):
    """Every refusal says what happened in the form of its API."""
    if response.status_code < 400 or case.method.upper() == "HEAD" or not case.path.startswith(("/v1/", "/api/")):
        return
    body = json.loads(response.content)
    if case.path in ANTHROPIC and "type" in body:
        assert body["type"] == "error" and {"type", "message"} <= set(body["error"]), body
        return
    assert set(body["error"]) == {"message", "type", "param", "code"}, body
    assert "x-request-id" in response.headers
'''


def command(server: HearthServer) -> list[str]:
    phases = "examples,coverage,fuzzing,stateful" if ASKED else "fuzzing"
    more = ["--seed", "1"] if ASKED else ["--generation-deterministic"]
    return [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {server.key}"),
        *("--phases", phases, "--max-examples", str(ASKED or 1), *more),
        *("--checks", f"{CHECKS},envelope_of_failures", "--request-timeout", "30", "--continue-on-failure"),
        *("--warnings", "off", "--no-color"),
        *(word for path in KEPT_OUT for word in ("--exclude-path", path)),
    ]


def how_many_doors() -> int:
    return sum(door.split()[1] not in KEPT_OUT for door in SUCCESSES)


def test_flow_5_nothing_made_from_the_document_breaks_the_server(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)
    with HearthServer(tmp_path, LLM_PROVIDER="builtin", AGENT_TIMEOUT="10") as server:
        done = subprocess.run(
            command(server),
            cwd=tmp_path,
            env={**server.environment, "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True,
            text=True,
            timeout=120 + ASKED * 120,
            check=False,
        )
        with server.client() as client:
            assert client.get("/health").status_code == 200, "the server has ended"
            assert client.get("/api/auth/me").headers["x-ratelimit-reset-requests"] == "0s", (
                "a place was not given back"
            )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None and int(tested[1]) == how_many_doors(), done.stdout[-3_000:]
