"""What a storage engine hands over: one store of each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from backend.storage.artifact_store import ArtifactStore
from backend.storage.collection_store import CollectionStore
from backend.storage.completion_store import CompletionStore
from backend.storage.conversation_store import ConversationStore
from backend.storage.document_store import DocumentStore
from backend.storage.preference_store import PreferenceStore
from backend.storage.response_store import ItemConversationStore, ResponseStore
from backend.storage.run_store import RunStore
from backend.storage.table_store import TableStore
from backend.storage.upload_store import UploadStore
from backend.storage.user_store import SessionStore, UserStore


@dataclass(frozen=True, slots=True)
class Stores:
    """All stores of one engine. `damaged` lists what was set aside because it could not be read, for /health."""

    users: UserStore
    sessions: SessionStore
    conversations: ConversationStore
    documents: DocumentStore
    collections: CollectionStore
    uploads: UploadStore
    runs: RunStore
    completions: CompletionStore
    artifacts: ArtifactStore
    preferences: PreferenceStore
    tables: TableStore
    responses: ResponseStore
    item_conversations: ItemConversationStore
    damaged: Callable[[], list[str]]
    aclose: Callable[[], Awaitable[None]]
