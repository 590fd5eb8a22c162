"""Conversations, one file of JSON lines each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.models.conversations import Conversation, ConversationInfo, StoredMessage
from backend.models.errors import NotFound
from backend.models.messages import Message
from backend.models.run import Owner
from backend.storage.json_files.atomic import mark_at
from backend.storage.json_files.conversation_file import SUFFIX, ConversationFile, Entry
from backend.storage.json_files.conversation_index import ConversationIndex, announce, is_current, look_at
from backend.storage.json_files.conversation_lines import State, history_digest
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks
from backend.storage.json_files.paths import Area
from backend.utils.ids import new_id
from backend.utils.names import clean_title

MAX_INDEXES = 256
"""Owners whose conversations are remembered at a time."""
MAX_PAGE = 1000


class JsonConversationStore:
    """ConversationStore over `{owner}/{session_id}.jsonl`.

    The files are the truth; the index of an owner is built when first needed (a list, a history) and only saves
    reading them again.
    """

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()
        self._indexes: OrderedDict[Path, ConversationIndex] = OrderedDict()

    async def create(
        self, owner: Owner, title: str, session_id: str | None = None, messages: Sequence[StoredMessage] = ()
    ) -> ConversationInfo:
        name, now, first = clean_title(title), time.time(), tuple(messages)
        given = new_id("conv-") if session_id is None else session_id
        return await self._write(owner, given, lambda file, _: file.create(name, now, first))

    async def append(self, owner: Owner, session_id: str, messages: Sequence[StoredMessage]) -> None:
        if not messages:
            await self.info(owner, session_id)
            return
        added = tuple(messages)
        await self._write(owner, session_id, lambda file, known: file.append(added, known))

    async def get(self, owner: Owner, session_id: str) -> Conversation:
        state, messages = await self._disk.run(self._file(owner, session_id).read)
        return Conversation(state.info, tuple(messages))

    async def info(self, owner: Owner, session_id: str) -> ConversationInfo:
        path = self._area.file(owner, session_id, SUFFIX)
        index = self._index(path.parent)
        entry = index.entries.get(session_id)
        if entry is None or entry.mark != mark_at(path):
            entry = await self._disk.run(self._file(owner, session_id).entry)
            index.put(session_id, entry)
        return entry.state.info

    async def tail(self, owner: Owner, session_id: str, limit: int) -> list[StoredMessage]:
        return await self._disk.run(self._file(owner, session_id).tail, limit)

    async def list_conversations(
        self, owner: Owner, *, page: int = 1, limit: int = 50, query: str | None = None
    ) -> tuple[list[ConversationInfo], int]:
        folder = self._area.folder(owner)
        index = await self._up_to_date(folder, thorough=True)
        states = [entry.state for entry in index.entries.values()]
        needle = (query or "").strip().casefold()
        return await self._disk.run(self._page, folder, states, page, limit, needle)

    async def rename(self, owner: Owner, session_id: str, title: str) -> ConversationInfo:
        name = clean_title(title)
        return await self._write(owner, session_id, lambda file, known: file.rename(name, known))

    async def choose(self, owner: Owner, session_id: str, collections: Sequence[str]) -> ConversationInfo:
        chosen = tuple(collections)
        return await self._write(owner, session_id, lambda file, known: file.choose(chosen, known))

    async def delete(self, owner: Owner, session_id: str) -> None:
        path = self._area.file(owner, session_id, SUFFIX)

        def remove() -> None:
            ConversationFile(path, self._damages).delete()
            announce(path.parent, session_id)

        async with self._locks.hold(path):
            await self._disk.run(remove)
            self._index(path.parent).drop(session_id)

    async def find_by_history(self, owner: Owner, history: Sequence[Message]) -> str | None:
        digest = history_digest((message.role, message.content) for message in history)
        if not digest:
            return None
        folder = self._area.folder(owner)
        index = await self._up_to_date(folder, thorough=False)
        while (session_id := index.said(digest)) is not None:
            if mark_at(folder / f"{session_id}{SUFFIX}") == index.entries[session_id].mark:
                return session_id
            await self._refresh(owner, session_id, index)  # somebody wrote to it since
        return None

    async def _refresh(self, owner: Owner, session_id: str, index: ConversationIndex) -> None:
        try:
            index.put(session_id, await self._disk.run(self._file(owner, session_id).entry))
        except NotFound:
            index.drop(session_id)

    def _file(self, owner: Owner, session_id: str) -> ConversationFile:
        return ConversationFile(self._area.file(owner, session_id, SUFFIX), self._damages)

    async def _write(
        self, owner: Owner, session_id: str, work: Callable[[ConversationFile, Entry | None], Entry]
    ) -> ConversationInfo:
        path = self._area.file(owner, session_id, SUFFIX)

        def write(known: Entry | None) -> Entry:
            entry = work(ConversationFile(path, self._damages), known)
            announce(path.parent, session_id)
            return entry

        async with self._locks.hold(path):
            index = self._index(path.parent)
            entry = await self._disk.run(write, index.entries.get(session_id))
            index.put(session_id, entry)
        return entry.state.info

    def _index(self, folder: Path) -> ConversationIndex:
        index = self._indexes.setdefault(folder, ConversationIndex())
        self._indexes.move_to_end(folder)
        if len(self._indexes) > MAX_INDEXES:
            self._indexes.popitem(last=False)
        return index

    async def _up_to_date(self, folder: Path, thorough: bool) -> ConversationIndex:
        index = self._index(folder)
        if is_current(folder, index.seen, thorough):
            return index
        async with self._locks.hold(folder):
            before = dict(index.entries)
            look = await self._disk.run(look_at, folder, before, index.seen, thorough, self._damages)
            index.take(look, before)
        return index

    def _page(
        self, folder: Path, states: list[State], page: int, limit: int, needle: str
    ) -> tuple[list[ConversationInfo], int]:
        """One page, newest first. Blocking: a search reads the files."""
        states.sort(key=lambda state: (state.updated_at, state.created_at), reverse=True)
        if needle:
            states = [state for state in states if self._matches(folder, state, needle)]
        limit = min(max(limit, 1), MAX_PAGE)
        first = (max(page, 1) - 1) * limit
        return [state.info for state in states[first : first + limit]], len(states)

    def _matches(self, folder: Path, state: State, needle: str) -> bool:
        if needle in state.title.casefold():
            return True
        return ConversationFile(folder / f"{state.session_id}{SUFFIX}", self._damages).contains(needle)
