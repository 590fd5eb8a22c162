"""`doctor`: looks at everything that Hearth needs on this machine, and says how to mend what is amiss."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import platform
import shutil
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from backend import __version__
from backend.bootstrap import Services, build
from backend.config.secrets_file import KEY_FILE, signing_key
from backend.config.settings import Settings, load_settings
from backend.models.errors import HearthError, ModelNotFound, SettingsError, UpstreamError
from backend.models.run import SERVER
from backend.workers.sandbox_port import LayerReport, SandboxReport

Level = Literal["ok", "note", "fail"]
LOW_DISK, TOO_LITTLE_DISK = 2 * 1024**3, 200 * 1024**2
UPSTREAM_SECONDS = 10.0
MINIMUM = {
    "python-multipart": "0.0.27",
    "starlette": "0.49.1",
    "pypdf": "7.0",
    "python-docx": "1.1",
    "python-jose": "3.4",
    "langgraph-checkpoint": "4.0",
}
"""Versions with known weaknesses lie below these."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `mend` says what to do about it; `details` are lines below."""

    level: Level
    subject: str
    text: str
    mend: str = ""
    details: tuple[str, ...] = ()


async def run() -> int:
    """Print the report. 0 when nothing is broken (notes are not), 1 when something has to be mended."""
    settings = load_settings()
    services = build(settings)
    print(f"Hearth {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}\n")
    worst = 0
    try:
        async for finding in examine(settings, services):
            print(as_lines(finding), flush=True)
            worst = max(worst, int(finding.level == "fail"))
    finally:
        await services.aclose()
    print("\nSomething has to be mended: see the lines marked fail." if worst else "\nNothing is broken.")
    return worst


def as_lines(finding: Finding) -> str:
    lines = [f"{finding.level:<5} {finding.subject:<10} {finding.text}"]
    if finding.mend:
        lines.append(f"{'':<16} mend: {finding.mend}")
    return "\n".join([*lines, *(f"{'':<18}{detail}" for detail in finding.details)])


async def examine(settings: Settings, services: Services) -> AsyncIterator[Finding]:
    """Every finding, as it is found."""
    yield sandbox_finding(settings, await services.sandbox.check())
    yield await _model(settings, services)
    yield await _embedder(services)
    yield await _indexes(services)
    yield _disk(settings)
    yield _folder(settings)
    yield _secret(settings)
    yield await _accounts(services)
    yield _address(settings)
    yield _versions()


def sandbox_finding(settings: Settings, report: SandboxReport) -> Finding:
    """The layer and every probe of every layer that was tried."""
    details = tuple(line for tried in report.tried for line in _layer_lines(tried))
    if report.layer is not None:
        best = report.layer == "bubblewrap" or settings.sandbox == report.layer
        mend = "" if best else "`apt install bubblewrap` gives a stronger layer where namespaces are allowed"
        return Finding("ok", "sandbox", f"{report.reason} ({report.seconds:.1f} s)", mend, details)
    if settings.sandbox == "off":
        return Finding("note", "sandbox", report.reason, "leave SANDBOX out to switch Python code on")
    mend = "use Linux 5.13 or newer with Landlock, or install bubblewrap; until then python_code stays off"
    return Finding("fail", "sandbox", report.reason, mend, details)


def _layer_lines(report: LayerReport) -> list[str]:
    head = "every probe stopped" if report.holds else f"not used: {report.problem or 'it let something through'}"
    lines = [f"layer {report.layer}: {head}"]
    return lines + [
        f"  {'stopped' if probe.stopped else 'LEAKED '} {probe.name:<24} {probe.detail}".rstrip()
        for probe in report.probes
    ]


async def _model(settings: Settings, services: Services) -> Finding:
    places = ", ".join(settings.ollama_host)
    wanted = settings.llm_provider != "builtin"
    try:
        async with asyncio.timeout(UPSTREAM_SECONDS):
            provider, info = await services.catalog.default()
            names = [model.id for model in await provider.list_models()]
            problem = await services.catalog.why_builtin() if wanted else None
    except TimeoutError:
        return Finding(
            "fail", "model", f"Ollama at {places} does not answer in time.", "restart it, or set OLLAMA_HOST"
        )
    except (UpstreamError, ModelNotFound) as error:
        return Finding("fail", "model", error.message, f"start Ollama at {places}, or set LLM_PROVIDER=auto")
    if problem is not None:
        return Finding("note", "model", problem)
    answers = f"{info.id} answers by {provider.name}"
    installed = tuple(f"installed: {name}" for name in names[:20])
    if wanted and "tools" not in info.capabilities:
        mend = "pull one that can, e.g. `ollama pull llama3.2`"
        return Finding("note", "model", f"{answers}; it cannot call tools by itself", mend, installed)
    return Finding("ok", "model", answers, details=installed)


async def _embedder(services: Services) -> Finding:
    began = time.perf_counter()
    try:
        vector = await services.embedder.embed_query("Is the embedder there?")
    except (HearthError, OSError) as error:
        why = error.message if isinstance(error, HearthError) else str(error.strerror)
        return Finding("fail", "embedder", f"{services.embedder.name}: {why}", "set EMBEDDING_MODEL to one that works")
    seconds = time.perf_counter() - began
    return Finding("ok", "embedder", f"{services.embedder.name}, {len(vector)} dimensions ({seconds:.1f} s)")


async def _indexes(services: Services) -> Finding:
    """Whether every index was made with the present embedder and splitting."""
    owners = await services.stores.documents.owners(SERVER)
    if services.settings.vector_db_type == "chroma":
        return Finding("note", "indexes", "Chroma's belong to the server's process and were not looked at")
    due = [owner for owner in owners if await services.ingest.reindex.due(owner)]
    if due:
        text = f"{len(due)} of {len(owners)} are to be made again; until then the old ones serve"
        return Finding("note", "indexes", text, "`serve` does it in the background; /health/ready shows how far it is")
    return Finding("ok", "indexes", f"{len(owners)} are as the settings want them")


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    text = f"{free / 1024**3:.1f} GiB free for {settings.data_dir}"
    if free < TOO_LITTLE_DISK:
        return Finding("fail", "disk", text, "make room, or move DATA_DIR to a larger disk")
    if free < LOW_DISK:
        return Finding("note", "disk", text, "make room before it is full")
    probe = settings.data_dir / f".doctor-{os.getpid()}"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        return Finding("fail", "disk", f"{settings.data_dir} cannot be written ({error.strerror})", "change its owner")
    return Finding("ok", "disk", text)


def _folder(settings: Settings) -> Finding:
    """Nobody but the server's user may read what users store."""
    looked_at = [settings.data_dir, settings.users_dir, settings.sessions_dir, settings.conversations_dir]
    looked_at += [settings.uploads_dir, settings.vectors_dir, settings.data_dir / KEY_FILE]
    open_to_others = [str(path) for path in looked_at if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    # What lies within a closed folder is closed as well.
    if open_to_others and (str(settings.data_dir) in open_to_others or not _within(open_to_others, settings.data_dir)):
        return Finding(
            "fail", "folder", "others can read: " + ", ".join(open_to_others), f"chmod go= {' '.join(open_to_others)}"
        )
    return Finding("ok", "folder", f"{settings.data_dir} is readable by its owner alone")


def _within(paths: list[str], folder: Path) -> bool:
    return all(Path(path).resolve().is_relative_to(folder.resolve()) for path in paths)


def _secret(settings: Settings) -> Finding:
    try:
        key = signing_key(settings)
    except SettingsError as error:
        return Finding("fail", "secret", error.message)
    if settings.secret_key is not None:
        return Finding("ok", "secret", f"the signing key comes from SECRET_KEY ({len(key)} bytes)")
    days = max(0.0, time.time() - (settings.data_dir / KEY_FILE).stat().st_mtime) / 86_400
    return Finding("ok", "secret", f"the signing key was made here {days:.0f} days ago ({len(key)} bytes)")


async def _accounts(services: Services) -> Finding:
    users = await services.stores.users.list_users(SERVER)
    keys = await services.stores.users.list_keys(SERVER)
    if not users:
        return Finding("note", "accounts", "there is no user yet", "the first `serve` makes an administrator")
    now = time.time()
    expired = sum(1 for key in keys if key.expires_at is not None and key.expires_at <= now)
    damaged = services.stores.damaged()
    text = f"{len(users)} users, {len(keys)} API keys ({expired} expired)"
    if damaged:
        mend = "rename a mended file to put it back"
        return Finding(
            "fail", "accounts", f"{text}; {len(damaged)} damaged files were set aside", mend, (*damaged[:5],)
        )
    if not any(user.role == "admin" and not user.disabled for user in users):
        return Finding("note", "accounts", f"{text}; no administrator", "`users add NAME --admin`")
    return Finding("ok", "accounts", text)


def _address(settings: Settings) -> Finding:
    host = settings.server_host
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local:
        return Finding("ok", "address", f"listens on {host}:{settings.server_port}, for this machine alone")
    text = f"listens on {host}:{settings.server_port}, for the network"
    return Finding("note", "address", text, "put a server with TLS (nginx) in front, or use 127.0.0.1")


def _versions() -> Finding:
    old = []
    for package, least in MINIMUM.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "0"
        if _numbers(found) < _numbers(least):
            old.append(f"{package} {found} (at least {least})")
    if old:
        return Finding("fail", "versions", "too old: " + ", ".join(old), "pip install -r requirements.txt")
    return Finding("ok", "versions", f"{len(MINIMUM)} packages with known minimum versions are new enough")


def _numbers(text: str) -> tuple[int, ...]:
    parts = (part for part in text.replace("-", ".").split(".")[:3])
    return tuple(int(digits) for part in parts if (digits := "".join(c for c in part if c.isdigit())))
