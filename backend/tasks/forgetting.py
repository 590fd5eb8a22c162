"""Deleting a conversation with everything that repeats what was said in it."""

from __future__ import annotations

import contextlib

from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.storage.stores import Stores


async def forget_conversation(stores: Stores, owner: Owner, session_id: str) -> None:
    """Remove a conversation and the traces of its runs, which hold its questions and answers. Raises NotFound."""
    conversation = await stores.conversations.get(owner, session_id)
    await stores.conversations.delete(owner, session_id)
    runs = {message.extra.get("run_id") for message in conversation.messages}
    for run_id in runs:
        if isinstance(run_id, str):
            # A plain completion leaves no trace.
            with contextlib.suppress(NotFound):
                await stores.runs.delete(owner, run_id)
