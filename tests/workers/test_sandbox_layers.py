"""SB-1 to SB-3: each layer stops everything, the strongest that holds is chosen, a layer with a hole is refused."""

from __future__ import annotations

import asyncio
import ctypes.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.config.settings import Settings
from backend.models.errors import ToolUnavailable
from backend.workers.sandbox import create, interpreter, landlock, launch, probes, seccomp, selftest
from backend.workers.sandbox.cell import Cell, CellFailed
from backend.workers.sandbox.service import LayeredSandbox
from backend.workers.sandbox_port import LAYERS, Layer, SandboxLimits, SandboxReport
from tests.server import ROOT
from tests.workers.sandbox_layers import ALICE, QUICK, expected_layers

LIMITS = SandboxLimits()
AT_THE_END = {"nothing_arrived", "nothing_touched", "run_for_ever"}


@pytest.mark.parametrize("layer", expected_layers())
async def test_sb_1_self_test_of_each_layer_tries_everything_and_is_stopped_every_time(layer: Layer) -> None:
    report = await selftest.try_layer(layer, LIMITS)
    assert report.problem == ""
    assert [probe.name for probe in report.probes if not probe.stopped] == []
    assert {probe.name for probe in report.probes} == {each.__name__ for each in probes.FORBIDDEN} | AT_THE_END
    assert report.holds


async def test_sb_1_this_machine_has_at_least_one_layer() -> None:
    assert "landlock" in expected_layers(), "Linux 5.13 or newer with Landlock is needed to work on the sandbox"


@pytest.mark.parametrize(
    ("setting", "order"),
    [
        pytest.param("auto", LAYERS, id="auto"),
        pytest.param("bubblewrap", LAYERS, id="bubblewrap"),
        pytest.param("unshare", ("unshare", "landlock"), id="unshare"),
        pytest.param("landlock", ("landlock",), id="landlock"),
    ],
)
async def test_sb_1_setting_names_the_preferred_layer_and_never_less_than_the_third(
    setting: str, order: tuple[Layer, ...]
) -> None:
    sandbox = create(Settings(_env_file=None, sandbox=setting))  # type: ignore[call-arg, arg-type]
    report = await sandbox.check()
    tried = [each.layer for each in report.tried]
    assert tried == list(order[: len(tried)])
    assert report.layer == next(layer for layer in order if layer in expected_layers())
    await sandbox.aclose()


async def test_sb_1_without_the_launcher_the_next_layer_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "BUBBLEWRAP", "bwrap-that-is-not-there")
    report = await selftest.try_layers(LAYERS, LIMITS)
    assert report.tried[0].layer == "bubblewrap" and "not installed" in report.tried[0].problem
    assert report.layer == next(layer for layer in expected_layers() if layer != "bubblewrap")


async def test_sb_1_with_no_layer_nothing_is_run_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "BUBBLEWRAP", "bwrap-that-is-not-there")
    sandbox = LayeredSandbox(["bubblewrap"], settling_seconds=0.0)
    told: list[str] = []
    sandbox.prepare(told.append)
    with pytest.raises(ToolUnavailable, match="not installed"):
        await sandbox.run("1", owner=ALICE, run_id="r")
    await asyncio.sleep(0.05)
    assert len(told) == 1 and "not installed" in told[0]
    await sandbox.aclose()


async def test_sb_1_switched_off_nothing_is_run() -> None:
    sandbox = create(Settings(_env_file=None, sandbox="off"))  # type: ignore[call-arg]
    assert "SANDBOX=off" in (sandbox.impossible() or "")
    assert (await sandbox.check()).layer is None
    with pytest.raises(ToolUnavailable, match="switched off"):
        await sandbox.run("1", owner=ALICE, run_id="r")
    await sandbox.aclose()


def everything_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    real = interpreter._rules
    monkeypatch.setattr(interpreter, "_rules", lambda *given: [*real(*given), ("/", landlock.READ)])


def everything_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    real = interpreter._rules
    monkeypatch.setattr(interpreter, "_rules", lambda *given: [*real(*given), ("/", landlock.SCRATCH)])


def program_without(line: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The program inside with one of its walls taken out."""

    def hole(monkeypatch: pytest.MonkeyPatch) -> None:
        real, done = Path.read_text, []

        def read_text(path: Path, *given: str, **named: str) -> str:
            text = real(path, *given, **named)
            if path.name == "lockdown.py":
                assert line in text
                done.append(path)
                text = text.replace(line, "pass")
            return text

        interpreter._program.cache_clear()
        monkeypatch.setattr(Path, "read_text", read_text)
        interpreter._program()
        monkeypatch.undo()
        assert done

    return hole


@pytest.mark.parametrize(
    ("hole", "leak"),
    [
        pytest.param(everything_readable, "read_data", id="files can be read"),
        pytest.param(everything_writable, "write_outside", id="files can be written"),
        pytest.param(program_without("seccomp.install(os.getpid())"), "send_udp", id="no list of system calls"),
        pytest.param(
            program_without('landlock.restrict((path, rights) for path, rights in config["rules"])'),
            "read_system_file",
            id="no landlock",
        ),
        pytest.param(program_without("_limit(config)"), "too_much_memory", id="no limits"),
    ],
)
async def test_sb_1_layer_with_a_hole_is_refused(
    monkeypatch: pytest.MonkeyPatch, hole: Callable[[pytest.MonkeyPatch], None], leak: str
) -> None:
    try:
        hole(monkeypatch)
        report = await selftest.try_layers(["landlock"], LIMITS)
    finally:
        interpreter._program.cache_clear()
    assert report.layer is None
    assert leak in {probe.name for probe in report.tried[0].probes if not probe.stopped}
    assert leak in report.reason


def doctor(folder: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"),
        "OLLAMA_HOST": "http://127.0.0.1:9",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "tests.workers.without_namespaces",
        *prefix,
        sys.executable,
        "-m",
        "backend",
        "doctor",
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_sb_1_where_no_namespace_can_be_made_layer_three_holds(tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "runs in layer landlock" in done.stdout and "LEAKED" not in done.stdout
    assert re.search(r"layer bubblewrap: not used", done.stdout) and re.search(r"layer unshare: not used", done.stdout)
    assert done.stdout.count(" stopped ") == len(probes.FORBIDDEN) + len(AT_THE_END)


def test_sb_1_with_nothing_the_tool_is_off_and_doctor_fails(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--no-landlock")
    assert done.returncode == 1
    assert re.search(r"^fail +sandbox +Python code is not run here", done.stdout, re.MULTILINE)
    assert "mend: use Linux 5.13" in done.stdout


async def test_sb_1_self_test_takes_about_a_second_and_is_made_once() -> None:
    sandbox = LayeredSandbox()
    reports: list[SandboxReport] = await asyncio.gather(*(sandbox.check() for _ in range(3)))
    assert reports[0] is reports[1] is reports[2]
    assert reports[0].seconds < 10
    await sandbox.aclose()


ORDINARY = """
import asyncio, json, os
from backend.workers.sandbox.selftest import try_layer
from backend.workers.sandbox_port import LAYERS, SandboxLimits

assert os.geteuid() != 0
print(json.dumps({layer: asyncio.run(try_layer(layer, SandboxLimits())).holds for layer in LAYERS}))
"""


def test_sb_1_layers_hold_for_an_ordinary_user_as_well() -> None:
    """Where the tests run as root; elsewhere all the others have shown it already."""
    interpreters = [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]
    usable = [path for path in interpreters if Path(path).exists() and interpreter._open_to_all(Path(path).resolve())]
    if os.geteuid() != 0 or not usable:
        return
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
        "HOME": "/nonexistent",
    }
    done = subprocess.run(
        [usable[0], "-B", "-c", ORDINARY],
        cwd="/", env=environment, user=12345, group=12345, extra_groups=[], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    assert held["landlock"] and any(held[layer] for layer in expected_layers()), held


# ---- SB-2: the order of the locks -----------------------------------------------------------------


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def limits_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:47].strip() for line in lines}


async def test_sb_2_waiting_process_is_locked_before_it_gets_any_code() -> None:
    cell = await Cell.start("landlock", LIMITS)
    try:
        status, limits = status_of(cell.pid), limits_of(cell.pid)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert limits["Max address space"] == str(512 * 1_048_576)
        assert (limits["Max cpu time"], limits["Max file size"]) == ("10", str(16 * 1_048_576))
        assert (limits["Max open files"], limits["Max core file size"]) == ("64", "0")
        if os.geteuid() == 0:
            assert set(map(int, status["Uid"].split())) <= set(interpreter.USERS), "it still is root"
            assert status["Groups"] == ""
            allowed = 1 << 2 if interpreter.places().closed else 0
            assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == allowed
        else:
            assert int(status["CapPrm"], 16) == 0
    finally:
        await cell.end()


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("_enter(config)", id="user"),
        pytest.param("_limit(config)", id="limits"),
        pytest.param("_prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1)", id="no-new-privileges"),
        pytest.param('_keep_capability(config["keep_read"])', id="capabilities"),
        pytest.param('landlock.restrict((path, rights) for path, rights in config["rules"])', id="landlock"),
        pytest.param("seccomp.install(os.getpid())", id="seccomp"),
    ],
)
async def test_sb_2_process_whose_lock_fails_is_never_given_code(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = interpreter._program.__wrapped__
    source = (Path(interpreter.__file__).parent / "lockdown.py").read_text()
    assert step in source
    read_text = Path.read_text

    def broken(path: Path, *given: str, **named: str) -> str:
        text = read_text(path, *given, **named)
        return text.replace(step, 'raise OSError(1, "this step failed")') if path.name == "lockdown.py" else text

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", broken)
        program = real()
    monkeypatch.setattr(interpreter, "_program", lambda: program)
    with pytest.raises(CellFailed, match="this step failed"):
        await Cell.start("landlock", QUICK)


async def test_sb_2_program_that_says_nothing_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "command", lambda plan: ["/bin/cat"])
    monkeypatch.setattr("backend.workers.sandbox.cell.START_SECONDS", 0.2)
    with pytest.raises(CellFailed, match="ready in time"):
        await Cell.start("landlock", QUICK)


# ---- SB-3: the list of system calls ----------------------------------------------------------------

NEVER = (
    "socket", "connect", "bind", "listen", "accept", "accept4", "sendmsg", "recvmsg", "sendmmsg", "execve", "execveat",
    "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "tkill", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "mount", "umount2", "pivot_root", "chroot",
    "unshare", "setns", "bpf", "keyctl", "add_key", "request_key", "perf_event_open", "io_uring_setup",
    "io_uring_enter", "userfaultfd", "memfd_create", "memfd_secret", "open_by_handle_at", "name_to_handle_at",
    "fanotify_init", "inotify_init", "inotify_init1", "link", "linkat", "mknod", "mknodat", "chmod", "fchmod",
    "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat", "utime", "utimes", "truncate", "setxattr",
    "setuid", "setgid", "setresuid", "setsid", "setpgid", "capset", "prctl", "personality", "kexec_load",
    "init_module", "finit_module", "reboot", "swapon", "quotactl", "acct", "syslog", "setrlimit", "shmget", "msgget",
    "semget", "timer_create", "openat2", "process_madvise", "landlock_restrict_self", "seccomp", "modify_ldt", "iopl",
)  # fmt: skip


@pytest.mark.parametrize("architecture", sorted(seccomp.MACHINES))
def test_sb_3_tables_agree_with_the_systems_own_library_and_hold_nothing_forbidden(architecture: str) -> None:
    name = ctypes.util.find_library("seccomp")
    assert name is not None, "libseccomp comes with apt on Debian and Ubuntu"
    library = ctypes.CDLL(name)
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    machine = seccomp.MACHINES[architecture]

    def number(call: str) -> int:
        return int(library.seccomp_syscall_resolve_name_arch(machine.audit, call.encode()))

    looked_at = {
        name: getattr(machine, name)
        for name in (
            "clone",
            "clone3",
            "kill",
            "tgkill",
            "ioctl",
            "fcntl",
            "prlimit64",
            "socketpair",
            "sendto",
            "openat",
        )
    }
    for call, ours in {**machine.allowed, **looked_at}.items():
        assert number(call) == ours, call
    numbers = {*machine.allowed.values(), *looked_at.values(), machine.open}
    assert [call for call in NEVER if number(call) in numbers] == []


def verdict(call: int, *arguments: int, architecture: int = 0xC000003E) -> str:
    """What the filter of a process with id 77 says, by the rules of the kernel's packet filter."""
    program = seccomp.filter_program(seccomp.MACHINES["x86_64"], 77)
    data = {0: call, 4: architecture}
    for index, argument in enumerate([*arguments, *[0] * (6 - len(arguments))]):
        data[16 + 8 * index], data[20 + 8 * index] = argument & 0xFFFF_FFFF, argument >> 32
    at, value = 0, 0
    while True:
        code, yes, no, constant = program[at]
        at += 1
        if code == 0x20:
            value = data[constant]
        elif code == 0x54:
            value &= constant
        elif code == 0x15:
            at += yes if value == constant else no
        elif code == 0x35:
            at += yes if value >= constant else no
        else:
            return {0x7FFF_0000: "allowed", 0x0005_0001: "EPERM", 0x0005_0026: "ENOSYS"}[constant]


THREAD = 0x003D_0F00
FCNTL, IOCTL, CLONE, KILL, TGKILL, OPENAT, OPEN, PAIR, SENDTO, PRLIMIT = 72, 16, 56, 62, 234, 257, 2, 53, 44, 302


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        pytest.param(0, (), "allowed", id="read"),
        pytest.param(41, (2, 1, 0), "EPERM", id="socket"),
        pytest.param(59, (), "EPERM", id="execve"),
        pytest.param(57, (), "EPERM", id="fork"),
        pytest.param(CLONE, (THREAD,), "allowed", id="clone of a thread"),
        pytest.param(CLONE, (17,), "EPERM", id="clone as fork does"),
        pytest.param(CLONE, (0x4111,), "EPERM", id="clone as vfork does"),
        pytest.param(CLONE, (THREAD | 0x1000_0000,), "EPERM", id="thread in a new user namespace"),
        pytest.param(CLONE, (THREAD | 0x2000,), "EPERM", id="traced thread"),
        pytest.param(435, (), "ENOSYS", id="clone3"),
        pytest.param(KILL, (77, 9), "allowed", id="kill itself"),
        pytest.param(KILL, (1, 9), "EPERM", id="kill another"),
        pytest.param(KILL, (0, 9), "EPERM", id="kill the group"),
        pytest.param(KILL, (0xFFFF_FFFF, 9), "EPERM", id="kill all"),
        pytest.param(TGKILL, (77, 5, 9), "allowed", id="own thread"),
        pytest.param(TGKILL, (78, 5, 9), "EPERM", id="another's thread"),
        pytest.param(FCNTL, (3, 3), "allowed", id="fcntl F_GETFL"),
        pytest.param(FCNTL, (3, 8, 1), "EPERM", id="fcntl F_SETOWN"),
        pytest.param(FCNTL, (3, 10, 9), "EPERM", id="fcntl F_SETSIG"),
        pytest.param(FCNTL, (3, 1031), "EPERM", id="fcntl F_SETPIPE_SZ"),
        pytest.param(IOCTL, (0, 0x5401), "allowed", id="ioctl TCGETS"),
        pytest.param(IOCTL, (0, 0x5412), "EPERM", id="ioctl TIOCSTI"),
        pytest.param(PRLIMIT, (0, 7), "allowed", id="own limits"),
        pytest.param(PRLIMIT, (1, 7), "EPERM", id="another's limits"),
        pytest.param(OPENAT, (0, 0, os.O_WRONLY | os.O_TRUNC), "allowed", id="open to write anew"),
        pytest.param(OPENAT, (0, 0, os.O_RDONLY | os.O_TRUNC), "EPERM", id="open to read that empties"),
        pytest.param(OPEN, (0, os.O_RDONLY | os.O_TRUNC), "EPERM", id="old open that empties"),
        pytest.param(PAIR, (1, 1 | 0x80800), "allowed", id="pair of streams"),
        pytest.param(PAIR, (1, 2), "EPERM", id="pair of datagrams"),
        pytest.param(PAIR, (2, 1), "EPERM", id="pair of another family"),
        pytest.param(SENDTO, (3, 0, 1, 0, 0), "allowed", id="send on a pair"),
        pytest.param(SENDTO, (3, 0, 1, 0, 1 << 32), "EPERM", id="send to an address"),
        pytest.param(0x4000_0000, (), "EPERM", id="read by the x32 convention"),
        pytest.param(999, (), "EPERM", id="unknown call"),
    ],
)
def test_sb_3_filter_looks_at_arguments(call: int, arguments: tuple[int, ...], expected: str) -> None:
    assert verdict(call, *arguments) == expected


def test_sb_3_calls_of_another_architecture_are_refused() -> None:
    assert verdict(0, architecture=0x4000_0003) == "EPERM"
