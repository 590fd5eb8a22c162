"""One conversation on disk: made, grown, read at either end, mended. Blocking; runs in the engine's threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import orjson

from backend.models.conversations import StoredMessage
from backend.models.errors import Conflict, StorageFailed
from backend.storage.json_files import append_log
from backend.storage.json_files.append_log import decode_line, first_line, last_lines, split_lines
from backend.storage.json_files.atomic import (
    Mark,
    Unreadable,
    mark_of,
    open_regular,
    read_file,
    sync_folder,
    write_atomic,
    write_new,
)
from backend.storage.json_files.conversation_lines import (
    State,
    header_line,
    message_line,
    read_header,
    read_message,
    read_state,
    read_title,
    title_line,
)
from backend.storage.json_files.damages import Damages, belongs_to
from backend.storage.json_files.locks import locked_file
from backend.storage.json_files.paths import missing
from backend.utils.names import clean_title

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"

T = TypeVar("T")


class _BrokenLines(Exception):
    """A complete line makes no sense: the file must be mended under its lock."""


def _lines_of(messages: Sequence[StoredMessage], state: State) -> tuple[bytes, State]:
    """The lines of new messages, and the state of the conversation after them."""
    data = bytearray()
    for message in messages:
        state = state.after(message)
        data += message_line(message, state)
    return bytes(data), state


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a file at `mark`. Complete lines end at `end`; anything after it is a torn line."""

    state: State
    mark: Mark
    end: int


class ConversationFile:
    """The file of one conversation. Every method raises NotFound when there is none."""

    def __init__(self, path: Path, damages: Damages) -> None:
        self._path = path
        self._session_id = path.name.removesuffix(SUFFIX)
        self._damages = damages

    def create(self, title: str, now: float, messages: Sequence[StoredMessage]) -> Entry:
        """Header and first messages in one file. Raises Conflict when it is there already."""
        state = State(self._session_id, title, now, now)
        head = header_line(state)
        data, state = _lines_of(messages, state)
        try:
            mark = write_new(self._path, head + data)
        except FileExistsError:
            raise Conflict("A conversation with this id exists already.") from None
        return Entry(state, mark, len(head) + len(data))

    def append(self, messages: Sequence[StoredMessage], known: Entry | None) -> Entry:
        """Add messages in one write. With a `known` entry that still fits, nothing is read."""
        return self._whole(lambda: self._grow(lambda state: _lines_of(messages, state), known))

    def rename(self, title: str, known: Entry | None) -> Entry:
        """Add a line with the new title."""

        def lines(state: State) -> tuple[bytes, State]:
            state = state.with_title(title)
            return title_line(state), state

        return self._whole(lambda: self._grow(lines, known))

    def choose(self, collections: Sequence[str], known: Entry | None) -> Entry:
        """Add a line that tells which collections it searches from now on."""

        def lines(state: State) -> tuple[bytes, State]:
            state = replace(state, collections=tuple(collections))
            return title_line(state), state

        return self._whole(lambda: self._grow(lines, known))

    def entry(self) -> Entry:
        """Reads the first and the last line."""

        def read() -> Entry:
            handle = open_regular(self._path)
            try:
                return self._read_entry(handle)
            finally:
                os.close(handle)

        return self._whole(read)

    def read(self) -> tuple[State, list[StoredMessage]]:
        """All of it."""
        return self._whole(self._read_all)

    def tail(self, limit: int) -> list[StoredMessage]:
        """The last messages, reading only as much of the end as they take."""

        def read() -> list[StoredMessage]:
            handle = open_regular(self._path)
            try:
                return self._read_tail(handle, limit)
            finally:
                os.close(handle)

        return self._whole(read)

    def contains(self, needle: str) -> bool:
        """Whether a user or assistant message contains `needle`, which is case-folded."""
        try:
            data = read_file(self._path)
        except (FileNotFoundError, Unreadable):
            return False
        # Most files are ruled out without parsing: JSON keeps text as it is but for quotes, backslashes and controls.
        if orjson.dumps(needle)[1:-1].decode() not in data.decode("utf-8", "replace").casefold():
            return False
        messages = [read_message(decode_line(raw).record) for raw in split_lines(data)[0]]
        return any(
            m.role in ("user", "assistant") and needle in m.content.casefold() for m in messages if m is not None
        )

    def delete(self) -> None:
        """Remove the file and whatever was set aside from it."""
        folder = self._path.parent

        def remove() -> None:
            with locked_file(self._path):
                self._path.unlink()
            for other in folder.glob(f"{self._path.name}.*"):
                if belongs_to(other.name, self._path.name):
                    other.unlink(missing_ok=True)
            sync_folder(folder)

        self._whole(remove)

    # ---- reading ---------------------------------------------------------------------------------

    def _read_entry(self, handle: int) -> Entry:
        mark = mark_of(os.fstat(handle))
        head = first_line(handle)
        header = None if head is None else read_header(decode_line(head).record, self._session_id)
        if head is None or header is None:
            raise _BrokenLines
        for raw, end in last_lines(handle, mark[1]):
            state = header if raw == head else read_state(decode_line(raw).record, header)
            if state is None:
                raise _BrokenLines
            return Entry(state, mark, end)
        raise _BrokenLines

    def _read_all(self) -> tuple[State, list[StoredMessage]]:
        raws, _ = split_lines(read_file(self._path))
        records = [decode_line(raw).record for raw in raws]
        header = read_header(records[0], self._session_id) if records else None
        if header is None:
            raise _BrokenLines
        messages = []
        for record in records[1:]:
            message = read_message(record)
            if message is not None:
                messages.append(message)
            elif read_title(record) is None:
                raise _BrokenLines
        state = header if len(records) == 1 else read_state(records[-1], header)
        if state is None or state.messages != len(messages):
            raise _BrokenLines
        return state, messages

    def _read_tail(self, handle: int, limit: int) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        if limit < 1:
            return found
        for raw, _ in last_lines(handle, os.fstat(handle).st_size):
            record = decode_line(raw).record
            message = read_message(record)
            if message is not None:
                found.append(message)
            elif read_title(record) is None and read_header(record, self._session_id) is None:
                raise _BrokenLines
            if len(found) == limit:
                break
        return found[::-1]

    # ---- writing ---------------------------------------------------------------------------------

    def _grow(self, lines: Callable[[State], tuple[bytes, State]], known: Entry | None) -> Entry:
        with locked_file(self._path) as handle:
            mark = mark_of(os.fstat(handle))
            entry = known if known is not None and known.mark == mark else self._read_entry(handle)
            if entry.end < mark[1]:
                logger.warning("cut a torn line of %d bytes off %s", mark[1] - entry.end, self._path.name)
                os.ftruncate(handle, entry.end)
            data, state = lines(entry.state)
            append_log.append(handle, entry.end, data)
            return Entry(state, mark_of(os.fstat(handle)), entry.end + len(data))

    # ---- mending ---------------------------------------------------------------------------------

    def _whole(self, work: Callable[[], T]) -> T:
        """Do something with the file; when it turns out to be damaged, mend it or set it aside first."""
        try:
            try:
                return work()
            except _BrokenLines:
                self._mend()
                return work()
        except FileNotFoundError:
            raise missing("conversation") from None
        except Unreadable as reason:
            self._damages.set_aside(self._path, f"a conversation could not be opened ({reason})")
            raise missing("conversation") from None
        except _BrokenLines:
            raise StorageFailed("This conversation could not be read; see the server's log.") from None

    def _mend(self) -> None:
        """Write the file anew from the lines that make sense, keeping a copy of those that do not."""
        with locked_file(self._path):
            raws, _ = split_lines(read_file(self._path))
            header, messages_and_titles, bad = self._sorted_lines(raws)
            if header is None and not any(isinstance(one, StoredMessage) for one in messages_and_titles):
                self._damages.set_aside(self._path, "a conversation holds nothing that can be read")
                return
            if bad:
                self._damages.keep_copy(
                    self._path, b"\n".join(bad) + b"\n", f"{len(bad)} lines of a conversation are broken"
                )
            state = header or self._guessed_header(messages_and_titles)
            data = bytearray(header_line(state))
            for one in messages_and_titles:
                if isinstance(one, StoredMessage):
                    state = state.after(one)
                    data += message_line(one, state)
                else:
                    state = state.with_title(one)
                    data += title_line(state)
            write_atomic(self._path, bytes(data))

    def _sorted_lines(self, raws: Sequence[bytes]) -> tuple[State | None, list[StoredMessage | str], list[bytes]]:
        header: State | None = None
        good: list[StoredMessage | str] = []
        bad: list[bytes] = []
        for raw in raws:
            record = decode_line(raw).record
            line = read_message(record) or read_title(record)
            if line is not None:
                good.append(line)
            elif header is None and (found := read_header(record, self._session_id)) is not None:
                header = found
            else:
                bad.append(raw)
        return header, good, bad

    def _guessed_header(self, lines: Sequence[StoredMessage | str]) -> State:
        messages = [one for one in lines if isinstance(one, StoredMessage)]
        asked = next((message.content for message in messages if message.role == "user"), "")
        return State(self._session_id, clean_title(asked)[:60], messages[0].timestamp, messages[0].timestamp)
