"""The engine that keeps everything in plain files a person can read, safe for several processes at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path

from backend.config.settings import Settings
from backend.models.errors import SettingsError, StorageFailed
from backend.storage.json_files.artifacts import JsonArtifactStore
from backend.storage.json_files.atomic import ensure_folder, sweep_temporaries
from backend.storage.json_files.collections import JsonCollectionStore
from backend.storage.json_files.completions import JsonCompletionStore
from backend.storage.json_files.conversations import JsonConversationStore
from backend.storage.json_files.damages import Damages, is_set_aside
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.document_files import INCOMING, clear_up
from backend.storage.json_files.documents import JsonDocumentStore
from backend.storage.json_files.item_conversations import JsonItemConversationStore
from backend.storage.json_files.locks import file_lock
from backend.storage.json_files.partial_uploads import JsonUploadStore
from backend.storage.json_files.paths import Area
from backend.storage.json_files.preferences import JsonPreferenceStore
from backend.storage.json_files.responses import JsonResponseStore
from backend.storage.json_files.runs import JsonRunStore
from backend.storage.json_files.sessions import JsonSessionStore
from backend.storage.json_files.tables import JsonTableStore, clear_imports
from backend.storage.json_files.users import JsonUserStore
from backend.storage.stores import Stores

logger = logging.getLogger(__name__)


def create(settings: Settings) -> Stores:
    """Make the folders, clear away what a crash left, and open the stores. Blocking, well under a second.

    Raises:
        SettingsError: a folder cannot be made or entered.
    """
    folders = {
        "users": settings.users_dir,
        "sessions": settings.sessions_dir,
        "conversations": settings.conversations_dir,
        "uploads": settings.uploads_dir,
        "runs": settings.runs_dir,
        "completions": settings.completions_dir,
        "artifacts": settings.artifacts_dir,
        "tables": settings.tables_dir,
        "collections": settings.collections_dir,
        "partial_uploads": settings.partial_uploads_dir,
        "preferences": settings.preferences_dir,
        "responses": settings.responses_dir,
        "item_conversations": settings.item_conversations_dir,
    }
    try:
        _make_private(settings.data_dir)
        roots = {name: _make_private(folder) for name, folder in folders.items()}
        data_dir = settings.data_dir.resolve()
        damages = Damages(data_dir)
        areas = {
            "conversations": Area(roots["conversations"], "conversation"),
            "uploads": Area(roots["uploads"], "document"),
            "runs": Area(roots["runs"], "run"),
            "completions": Area(roots["completions"], "chat completion"),
            "artifacts": Area(roots["artifacts"], "file"),
            "tables": Area(roots["tables"], "table"),
            "collections": Area(roots["collections"], "vector store"),
            "partial_uploads": Area(roots["partial_uploads"], "upload"),
            "preferences": Area(roots["preferences"], "user"),
            "responses": Area(roots["responses"], "response"),
            "item_conversations": Area(roots["item_conversations"], "conversation"),
        }
        _clear_up([roots["users"], roots["sessions"]], list(areas.values()), damages)
        for _, folder in areas["uploads"].owners():
            _clear_uploads(folder, damages)
        for _, folder in areas["tables"].owners():
            clear_imports(folder)
    except OSError as error:
        raise SettingsError(
            f"DATA_DIR={settings.data_dir} cannot be used: {error.strerror}."
            " Set it to a folder that this user may read and write."
        ) from None
    disk = Disk()
    users = JsonUserStore(roots["users"], disk, damages)

    async def aclose() -> None:
        await users.aclose()
        disk.close()

    return Stores(
        users=users,
        sessions=JsonSessionStore(roots["sessions"], disk, damages),
        conversations=JsonConversationStore(areas["conversations"], disk, damages),
        documents=JsonDocumentStore(areas["uploads"], disk, damages),
        collections=JsonCollectionStore(areas["collections"], disk, damages),
        uploads=JsonUploadStore(areas["partial_uploads"], disk, damages),
        runs=JsonRunStore(areas["runs"], disk, damages),
        completions=JsonCompletionStore(areas["completions"], disk, damages),
        preferences=JsonPreferenceStore(areas["preferences"], disk, damages),
        tables=JsonTableStore(areas["tables"], disk, damages),
        artifacts=JsonArtifactStore(areas["artifacts"], disk, damages),
        responses=JsonResponseStore(areas["responses"], disk, damages),
        item_conversations=JsonItemConversationStore(areas["item_conversations"], disk, damages),
        damaged=damages.listing,
        aclose=aclose,
    )


def _make_private(folder: Path) -> Path:
    """The folder, resolved, made if need be, closed to everybody else when it is ours (but never a shared /tmp)."""
    resolved = folder.resolve()
    ensure_folder(resolved)
    status = resolved.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 and status.st_uid == os.geteuid() and not mode & stat.S_ISVTX:
        resolved.chmod(0o700)
    return resolved


def _clear_up(singles: list[Path], areas: list[Area], damages: Damages) -> None:
    """Remove temporary files of interrupted writers and take up what earlier processes set aside."""
    for folder in [*singles, *(folder for area in areas for _, folder in area.owners())]:
        removed = sweep_temporaries(folder)
        if removed:
            logger.info("removed %d temporary files that an interrupted process left", removed)
        for path in folder.iterdir():
            if is_set_aside(path.name):
                damages.found(path)


def _clear_uploads(folder: Path, damages: Damages) -> None:
    sweep_temporaries(folder / INCOMING)
    with contextlib.suppress(StorageFailed), file_lock(folder / ".lock"):
        clear_up(folder, damages)
