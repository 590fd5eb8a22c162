"""What the engine remembers of one owner's conversations, and how it notices what other processes did."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.models.errors import NotFound, StorageFailed
from backend.storage.json_files.atomic import (
    ABSENT,
    Mark,
    Unreadable,
    files_in,
    is_settled,
    mark_at,
    mark_of,
    open_regular,
)
from backend.storage.json_files.conversation_file import SUFFIX, ConversationFile, Entry
from backend.storage.json_files.damages import Damages

logger = logging.getLogger(__name__)

CHANGES_FILE = ".changes"
_MAX_CHANGES_BYTES = 262_144
_TOKEN_BYTES = 16
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
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
    seen: Seen | None


def look_at(folder: Path, known: Mapping[str, Entry], seen: Seen | None, thorough: bool, damages: Damages) -> Look:
    """Find out what changed in an owner's folder. Blocking.

    Normally the list of changes names the sessions that other processes wrote to. The first time, when that list
    was begun anew, and (if `thorough`) when somebody added or removed files by hand, every file is looked at.
    A file that the disk will not give is left out now and looked at again the next time.
    """
    folder_mark, changes_mark = mark_at(folder), mark_at(folder / CHANGES_FILE)
    token, offset, changed = _changes_since(folder / CHANGES_FILE, seen)
    if seen is None or token != seen.token or (thorough and seen.folder != folder_mark):
        stale, gone = _differing(folder, known)
        new_folder_mark = folder_mark if is_settled(folder_mark) else ABSENT
    else:
        stale, gone = changed, set()
        new_folder_mark = seen.folder
    found: dict[str, Entry | None] = dict.fromkeys(gone)
    complete = True
    for session_id in stale:
        path = folder / f"{session_id}{SUFFIX}"
        old = known.get(session_id)
        if old is not None and old.mark == mark_at(path):
            continue
        try:
            found[session_id] = ConversationFile(path, damages).entry()
        except NotFound:
            found[session_id] = None
        except (OSError, StorageFailed) as error:
            if isinstance(error, OSError) and error.errno in _OUT_OF_RESOURCES:
                raise
            logger.error("conversation %s cannot be read: %s", session_id, error)
            found[session_id] = None
            complete = False
    return Look(found, Seen(new_folder_mark, changes_mark, token, offset) if complete else None)


def is_current(folder: Path, seen: Seen | None, thorough: bool) -> bool:
    """Whether a look would find nothing new; costs one stat, or two."""
    if seen is None or mark_at(folder / CHANGES_FILE) != seen.changes:
        return False
    return not thorough or mark_at(folder) == seen.folder


def _differing(folder: Path, known: Mapping[str, Entry]) -> tuple[list[str], set[str]]:
    """Sessions whose files are new or changed, and those whose files are gone."""
    marks = {session_id: mark_of(status) for session_id, status in files_in(folder, SUFFIX)}
    changed = [one for one, mark in marks.items() if one not in known or known[one].mark != mark]
    return changed, set(known) - set(marks)


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
