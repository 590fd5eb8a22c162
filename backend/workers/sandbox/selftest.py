"""Choosing the layer: each candidate has to stop code that really tries every forbidden thing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from backend.workers.sandbox import probes
from backend.workers.sandbox.cell import Cell, CellFailed
from backend.workers.sandbox.launch import LayerMissing
from backend.workers.sandbox_port import Layer, LayerReport, Probe, SandboxLimits, SandboxReport

APPLICATION = Path(__file__).resolve().parents[2]
ENDLESS_SECONDS = 0.15
_WHAT = {
    "bubblewrap": "namespaces by bubblewrap, Landlock, seccomp and limits",
    "unshare": "namespaces by unshare, Landlock, seccomp and limits",
    "landlock": "Landlock, seccomp and limits, without namespaces",
}


async def try_layers(layers: Sequence[Layer], limits: SandboxLimits) -> SandboxReport:
    """The first layer that holds, and what was found about each on the way."""
    began = time.perf_counter()
    tried: list[LayerReport] = []
    for layer in layers:
        tried.append(await try_layer(layer, limits))
        if tried[-1].holds:
            reason = f"Python code runs in layer {layer}: {_WHAT[layer]}."
            return SandboxReport(layer, reason, tuple(tried), time.perf_counter() - began)
    why = "; ".join(f"{each.layer}: {why_not(each)}" for each in tried) or "no layer was tried"
    return SandboxReport(
        None, f"Python code is not run here, as no sandbox holds ({why}).", tuple(tried), time.perf_counter() - began
    )


def why_not(report: LayerReport) -> str:
    """What is wrong with a layer, in a few words."""
    leaks = ", ".join(probe.name for probe in report.probes if not probe.stopped)
    return "; ".join(part for part in (f"it did not stop {leaks}" if leaks else "", report.problem) if part)


async def try_layer(layer: Layer, limits: SandboxLimits) -> LayerReport:
    """Start one process of this layer and have it try everything; then one that never ends."""
    with Outside() as outside:
        try:
            found, problem = await _attempt(layer, limits, outside)
            endless = await _endless(layer, limits)
        except (CellFailed, LayerMissing) as error:
            return LayerReport(layer, problem=str(error))
        except OSError as error:
            return LayerReport(layer, problem=f"it could not be tried ({error.strerror})")
        return LayerReport(layer, (*found, *outside.heard(), endless), problem)


async def _attempt(layer: Layer, limits: SandboxLimits, outside: Outside) -> tuple[tuple[Probe, ...], str]:
    """The probes, and what else is wrong."""
    source = await asyncio.to_thread(Path(probes.__file__).read_text, encoding="utf-8")
    cell = await Cell.start(layer, limits)
    try:
        ran = await cell.run(f"{source}\nTARGETS.update({outside.targets!r})\nprint(attempt_all())\n", {})
    finally:
        await cell.end()
    try:
        told = orjson.loads(ran.stdout)
        works, found = str(told["works"]), dict(told["probes"])
    except (KeyError, ValueError, TypeError):
        last = str((ran.answer or {}).get("error") or ran.stopped or "no answer").splitlines()[-1]
        return (), f"its self-test did not end ({last[:200]})"
    problem = "" if works == "works" else f"ordinary code does not work in it ({works[:200]})"
    if set(found) != {probe.__name__ for probe in probes.FORBIDDEN}:
        problem = "its self-test is incomplete"
    return tuple(Probe(name, stopped is True, str(detail)[:120]) for name, (stopped, detail) in found.items()), problem


async def _endless(layer: Layer, limits: SandboxLimits) -> Probe:
    """Code without end must be over soon."""
    cell = await Cell.start(layer, replace(limits, wall_seconds=ENDLESS_SECONDS))
    try:
        ran = await cell.run("while True: pass", {})
    finally:
        await cell.end()
    return Probe("run_for_ever", ran.stopped == "timeout", f"killed after {ran.seconds:.2f} s")


class Outside:
    """Things that code must not reach, open to everybody else here: listeners and files."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.targets: dict[str, Any] = {}

    def __enter__(self) -> Outside:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-probe-")))
        folder.chmod(0o777)
        canary = folder / "canary"
        canary.write_text("canary", encoding="utf-8")
        abstract = f"\0hearth-{secrets.token_hex(8)}"
        self._tcp = self._listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._udp = self._listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._unix = [
            self._listener(socket.AF_UNIX, socket.SOCK_STREAM, name) for name in (str(folder / "socket"), abstract)
        ]
        self.targets = {
            "pid": os.getpid(),
            "tcp": self._tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "unix": str(folder / "socket"),
            "abstract": abstract,
            "canary": str(canary),
            "outside": str(folder),
            "application": str(APPLICATION),
        }
        self._folder, self._mode = folder, canary.stat().st_mode
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _listener(self, family: socket.AddressFamily, kind: socket.SocketKind, address: Any) -> socket.socket:
        made = self._stack.enter_context(socket.socket(family, kind))
        made.setblocking(False)
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen(1)
        if family == socket.AF_UNIX and not address.startswith("\0"):
            Path(address).chmod(0o777)
        return made

    def heard(self) -> tuple[Probe, ...]:
        """The same from the other end: what arrived at the listeners and in the folder."""
        arrived = [name for name, each in (("tcp", self._tcp), ("unix", self._unix[0]), ("abstract", self._unix[1]))
                   if _accepts(each)]  # fmt: skip
        arrived += ["udp"] if _receives(self._udp) else []
        canary = self._folder / "canary"
        touched = sorted(path.name for path in self._folder.iterdir() if path.name not in ("canary", "socket"))
        touched += ["canary"] if canary.read_text() != "canary" or canary.stat().st_mode != self._mode else []
        return (
            Probe("nothing_arrived", not arrived, ", ".join(arrived) or "the listeners heard nothing"),
            Probe("nothing_touched", not touched, ", ".join(touched) or "the files outside are as they were"),
        )


def _accepts(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _receives(listener: socket.socket) -> bool:
    try:
        listener.recv(16)
    except BlockingIOError:
        return False
    return True
