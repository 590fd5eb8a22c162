"""`doctor`: every finding has a level, a sentence and the way to mend it; the exit code tells what is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.cli import doctor
from backend.cli.doctor import Finding
from backend.config.settings import Settings
from backend.workers.sandbox_port import LayerReport, Probe, SandboxReport
from tests.server import HearthServer

PROBES = (Probe("fork", True, "PermissionError"), Probe("read_data", True, "PermissionError"))
HOLDS = LayerReport("bubblewrap", PROBES)
LEAKS = LayerReport("bubblewrap", (*PROBES, Probe("send_udp", False, "sent")))


def settings(folder: Path, **values: object) -> Settings:
    return Settings(_env_file=None, data_dir=folder, **values)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(
    ("values", "report", "level", "words"),
    [
        pytest.param({}, SandboxReport("bubblewrap", "It holds.", (HOLDS,)), "ok", "stopped fork", id="best"),
        pytest.param(
            {},
            SandboxReport("landlock", "It holds.", (LEAKS, LayerReport("landlock", PROBES))),
            "ok",
            "LEAKED  send_udp",
            id="a lower layer",
        ),
        pytest.param({}, SandboxReport(None, "None holds.", (LEAKS,)), "fail", "mend: use Linux 5.13", id="none"),
        pytest.param({"sandbox": "off"}, SandboxReport(None, "Off."), "note", "mend: leave SANDBOX out", id="off"),
    ],
)
def test_sb_1_sandbox_is_told_with_every_probe(
    tmp_path: Path, values: dict[str, object], report: SandboxReport, level: str, words: str
) -> None:
    finding = doctor.sandbox_finding(settings(tmp_path, **values), report)
    assert finding.level == level and words in doctor.as_lines(finding)
    probes = [probe.name for tried in report.tried for probe in tried.probes]
    assert all(any(name in line for line in finding.details) for name in probes)


def test_lines_are_made_for_reading() -> None:
    shown = doctor.as_lines(Finding("note", "disk", "1 GiB free", "make room", ("a", "b")))
    assert [line.strip() for line in shown.splitlines()] == ["note  disk       1 GiB free", "mend: make room", "a", "b"]


def test_folder_that_others_can_read_is_a_failure_and_what_lies_in_a_closed_one_is_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "users").mkdir(parents=True, mode=0o755)
    data.chmod(0o700)
    assert doctor._folder(settings(data)).level == "ok"
    data.chmod(0o755)
    finding = doctor._folder(settings(data))
    assert finding.level == "fail" and "chmod go=" in finding.mend
    data.chmod(0o700)
    outside = tmp_path / "uploads"
    outside.mkdir(mode=0o755)
    assert doctor._folder(settings(data, uploads_path=outside)).level == "fail"


@pytest.mark.parametrize(
    ("host", "level"),
    [("127.0.0.1", "ok"), ("::1", "ok"), ("localhost", "ok"), ("0.0.0.0", "note"), ("example.org", "note")],
)
def test_address_for_the_network_is_noted(tmp_path: Path, host: str, level: str) -> None:
    assert doctor._address(settings(tmp_path, server_host=host)).level == level


def test_secret_of_the_settings_is_named_and_never_shown(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple-0123456789"
    finding = doctor._secret(settings(tmp_path, secret_key=secret))
    assert finding.level == "ok" and "SECRET_KEY" in finding.text and secret not in doctor.as_lines(finding)


def test_secret_file_that_holds_too_little_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short")
    finding = doctor._secret(settings(tmp_path))
    assert finding.level == "fail" and "Remove the file" in finding.text


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.2.3", (1, 2, 3)), ("0.0.27", (0, 0, 27)), ("4.0rc1", (4, 1)), ("", ())]
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert doctor._numbers(text) == numbers


def test_too_old_package_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._versions().level == "ok"
    monkeypatch.setitem(doctor.MINIMUM, "pypdf", "999.0")
    monkeypatch.setitem(doctor.MINIMUM, "no-such-package", "1.0")
    finding = doctor._versions()
    assert finding.level == "fail" and "pypdf" in finding.text and "no-such-package" in finding.text


@pytest.mark.slow
def test_report_of_this_machine_names_everything_and_nothing_secret(tmp_path: Path) -> None:
    server = HearthServer(tmp_path)
    done = server.run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    subjects = re.findall(r"^(?:ok|note|fail) +(\w+)", done.stdout, re.MULTILINE)
    named = ["sandbox", "model", "embedder", "indexes", "disk", "folder", "secret", "accounts", "address", "versions"]
    assert subjects == named
    assert "every probe stopped" in done.stdout and "LEAKED" not in done.stdout
    assert "no Ollama is reachable" in done.stdout and done.stdout.rstrip().endswith("Nothing is broken.")
    assert (tmp_path / "data" / "secret_key").read_text().strip() not in done.stdout


@pytest.mark.slow
def test_what_must_be_mended_makes_the_exit_code_one(tmp_path: Path) -> None:
    done = HearthServer(tmp_path, LLM_PROVIDER="ollama", SANDBOX="off").run("doctor")
    assert done.returncode == 1
    assert re.search(r"^fail +model", done.stdout, re.MULTILINE) and "mend: start Ollama" in done.stdout
    assert "Something has to be mended" in done.stdout
