"""Port for conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backend.models.conversations import Conversation, ConversationInfo, StoredMessage
from backend.models.messages import Message
from backend.models.run import Owner


class ConversationStore(Protocol):
    """Message lists of one owner. A stranger's id and a missing id raise the same NotFound."""

    async def create(
        self, owner: Owner, title: str, session_id: str | None = None, messages: Sequence[StoredMessage] = ()
    ) -> ConversationInfo:
        """Start one with its first messages, all or nothing, durably.

        The id is server-made unless the server hands over one it made before. Raises Conflict when that exists.
        """
        ...

    async def append(self, owner: Owner, session_id: str, messages: Sequence[StoredMessage]) -> None:
        """Add messages at the end, durably. Cost does not depend on the conversation's length. Raises NotFound."""
        ...

    async def get(self, owner: Owner, session_id: str) -> Conversation:
        """All of it. Raises NotFound."""
        ...

    async def info(self, owner: Owner, session_id: str) -> ConversationInfo:
        """Without the messages, cheap. Raises NotFound."""
        ...

    async def tail(self, owner: Owner, session_id: str, limit: int) -> list[StoredMessage]:
        """The last `limit` messages in order, reading only the end of the file. Raises NotFound."""
        ...

    async def list_conversations(
        self, owner: Owner, *, page: int = 1, limit: int = 50, query: str | None = None
    ) -> tuple[list[ConversationInfo], int]:
        """One page, newest first, and the total. `query` searches titles and text, case-insensitively."""
        ...

    async def rename(self, owner: Owner, session_id: str, title: str) -> ConversationInfo:
        """Raises NotFound."""
        ...

    async def choose(self, owner: Owner, session_id: str, collections: Sequence[str]) -> ConversationInfo:
        """Keep which collections it searches. Raises NotFound."""
        ...

    async def delete(self, owner: Owner, session_id: str) -> None:
        """Raises NotFound."""
        ...

    async def find_by_history(self, owner: Owner, history: Sequence[Message]) -> str | None:
        """The session whose stored user and assistant messages are exactly those of `history`, or None.

        How a stateless client's conversation is recognised: the request's messages without the newest user
        turn. System and tool messages are ignored on both sides. An empty history matches nothing.
        """
        ...
