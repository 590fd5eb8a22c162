"""What the engine remembers of one owner's conversations, and how it notices what other processes did."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.models.errors import NotFound, StorageFailed
from backend.storage.json_files.atomic import ABSENT, Mark, Unreadable, is_settled, mark_at, mark_of, open_regular
from backend.storage.json_files.conversation_file import SUFFIX, ConversationFile, Entry
from backend.storage.json_files.damages import Damages
from backend.utils.ids import is_safe_id

CHANGES_FILE = ".changes"
_MAX_CHANGES_BYTES = 262_144
_TOKEN_BYTES = 16
_ID_LINE = re.compile(rb"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the folder is known: its mark, and the mark, token and length of its list of changes."""

    folder: Mark
    changes: Mark
    token: bytes
    offset: int


@dataclass(slots=True)
class ConversationIndex:
    """Entries by session, and sessions by what was said. Changed on the event loop only."""

    entries: dict[str, Entry] = field(default_factory=dict)
    by_digest: dict[str, set[str]] = field(default_factory=dict)
    seen: Seen | None = None

    def put(self, session_id: str, entry: Entry) -> None:
        self.drop(session_id)
        self.entries[session_id] = entry
        if entry.state.digest:
            self.by_digest.setdefault(entry.state.digest, set()).add(session_id)

    def drop(self, session_id: str) -> None:
        old = self.entries.pop(session_id, None)
        if old is None or not old.state.digest:
            return
        same = self.by_digest[old.state.digest]
        same.discard(session_id)
        if not same:
            del self.by_digest[old.state.digest]

    def take(self, look: Look, before: Mapping[str, Entry]) -> None:
        """Apply what a look at the folder found, but for sessions that changed here since it began."""
        for session_id, entry in look.found.items():
            if self.entries.get(session_id) is not before.get(session_id):
                continue
            if entry is None:
                self.drop(session_id)
            else:
                self.put(session_id, entry)
        self.seen = look.seen

    def said(self, digest: str) -> str | None:
        """The session in which exactly this was said, the newest if there are several."""
        sessions = self.by_digest.get(digest, ())
        return max(sessions, key=lambda one: self.entries[one].state.updated_at, default=None)


@dataclass(frozen=True, slots=True)
class Look:
    """What differs from what was known: new entries, None for what is gone."""

    found: Mapping[str, Entry | None]
    seen: Seen


def look_at(folder: Path, known: Mapping[str, Entry], seen: Seen | None, thorough: bool, damages: Damages) -> Look:
    """Find out what changed in an owner's folder. Blocking.

    Normally the list of changes names the sessions that other processes wrote to. The first time, when that list
    was begun anew, and (if `thorough`) when somebody added or removed files by hand, every file is looked at.
    """
    folder_mark, changes_mark = mark_at(folder), mark_at(folder / CHANGES_FILE)
    token, offset, changed = _changes_since(folder / CHANGES_FILE, seen)
    if seen is None or token != seen.token or (thorough and seen.folder != folder_mark):
        settled = folder_mark if is_settled(folder_mark) else ABSENT
        return Look(_look_at_all(folder, known, damages), Seen(settled, changes_mark, token, offset))
    return Look(_look_at_some(folder, changed, known, damages), Seen(seen.folder, changes_mark, token, offset))


def is_current(folder: Path, seen: Seen | None, thorough: bool) -> bool:
    """Whether a look would find nothing new; costs one stat, or two."""
    if seen is None or mark_at(folder / CHANGES_FILE) != seen.changes:
        return False
    return not thorough or mark_at(folder) == seen.folder


def _look_at_all(folder: Path, known: Mapping[str, Entry], damages: Damages) -> dict[str, Entry | None]:
    found: dict[str, Entry | None] = {}
    present = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            session_id = file.name.removesuffix(SUFFIX)
            if not file.name.endswith(SUFFIX) or not is_safe_id(session_id):
                continue
            present.add(session_id)
            old = known.get(session_id)
            try:
                mark = mark_of(file.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
            if old is None or old.mark != mark:
                found[session_id] = _entry(folder, session_id, damages)
    return {**found, **{gone: None for gone in known.keys() - present}}


def _look_at_some(
    folder: Path, sessions: Collection[str], known: Mapping[str, Entry], damages: Damages
) -> dict[str, Entry | None]:
    found: dict[str, Entry | None] = {}
    for session_id in sessions:
        old = known.get(session_id)
        if old is None or old.mark != mark_at(folder / f"{session_id}{SUFFIX}"):
            found[session_id] = _entry(folder, session_id, damages)
    return found


def _entry(folder: Path, session_id: str, damages: Damages) -> Entry | None:
    """None when it is gone or cannot be read: one bad file never hides the others."""
    try:
        return ConversationFile(folder / f"{session_id}{SUFFIX}", damages).entry()
    except (NotFound, StorageFailed, OSError):
        return None


# ---- the list of changes --------------------------------------------------------------------------


def announce(folder: Path, session_id: str) -> None:
    """Tell other processes that a session was written to or deleted: one appended line, not synced.

    Only their lists depend on it: whoever uses a session looks at its own file. When the line cannot be written, a
    new time of change on the folder makes them look at everything.
    """
    try:
        _add_change(folder, session_id)
    except OSError:
        with contextlib.suppress(OSError):
            os.utime(folder)


def _add_change(folder: Path, session_id: str) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(folder / CHANGES_FILE, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        if size > _MAX_CHANGES_BYTES:
            os.ftruncate(handle, 0)
        if size == 0 or size > _MAX_CHANGES_BYTES:
            os.write(handle, secrets.token_hex(_TOKEN_BYTES // 2).encode() + b"\n")
        os.write(handle, session_id.encode() + b"\n")
    finally:
        os.close(handle)


def _changes_since(path: Path, seen: Seen | None) -> tuple[bytes, int, list[str]]:
    """The list's token, its length now, and the sessions named since it was last read."""
    try:
        handle = open_regular(path)
    except (FileNotFoundError, Unreadable):
        return b"", 0, []
    try:
        token = os.pread(handle, _TOKEN_BYTES, 0)
        size = os.fstat(handle).st_size
        if seen is not None and size < seen.offset:
            return b"", size, []
        if seen is None or token != seen.token:
            return token, size, []
        data = os.pread(handle, size - seen.offset, seen.offset)
    finally:
        os.close(handle)
    end = data.rfind(b"\n") + 1
    names = {raw.decode() for raw in data[:end].split(b"\n") if _ID_LINE.fullmatch(raw)}
    return token, seen.offset + end, sorted(names)
