"""Deleting a conversation with everything that repeats what was said in it."""

from __future__ import annotations

from backend.models.run import Owner
from backend.storage.stores import Stores


async def forget_conversation(stores: Stores, owner: Owner, session_id: str) -> None:
    """Remove a conversation, the traces of its runs and the responses, which hold its questions and answers, and the
    files they made.

    Raises NotFound.
    """
    await stores.conversations.delete(owner, session_id)
    await stores.responses.delete_of_session(owner, session_id)
    await stores.completions.delete_of_session(owner, session_id)
    await stores.item_conversations.forget_session(owner, session_id)
    for run_id in await stores.runs.delete_of_session(owner, session_id):
        await stores.artifacts.delete_of_run(owner, run_id)
