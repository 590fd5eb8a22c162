"""Files that tools made: `{owner}/{id}.bin` beside `{owner}/{id}.json`, which says what it is."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict
from pathlib import Path

from backend.models.errors import TooLarge
from backend.models.run import Owner
from backend.storage.artifact_store import MAX_ARTIFACT_BYTES, MAX_OWNER_BYTES, Artifact
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import Unreadable, files_in, read_file, write_atomic
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks
from backend.storage.json_files.paths import Area, missing

ABOUT = ".json"
CONTENT = ".bin"
MAX_NAME = 200


class JsonArtifactStore:
    """ArtifactStore over plain files. The description is written last: a file without one does not exist."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def save(self, owner: Owner, run_id: str, name: str, content_type: str, data: bytes) -> Artifact:
        if len(data) > MAX_ARTIFACT_BYTES:
            limit = MAX_ARTIFACT_BYTES // 1_048_576
            raise TooLarge(f"The file {name[:60]!r} is larger than {limit} MB and was not kept: make it smaller.")
        folder = self._area.folder(owner)
        made = Artifact(uuid.uuid4().hex, run_id, name[:MAX_NAME], content_type, len(data), time.time())
        async with self._locks.hold(folder):
            await self._disk.run(self._write, folder, made, data)
        return made

    async def get(self, owner: Owner, artifact_id: str) -> tuple[Artifact, bytes]:
        about, content = self._area.file(owner, artifact_id, ABOUT), self._area.file(owner, artifact_id, CONTENT)

        def read() -> tuple[Artifact, bytes] | None:
            found = self._describe(about)
            try:
                return (found, read_file(content)) if found is not None else None
            except FileNotFoundError:
                return None

        both = await self._disk.run(read)
        if both is None:
            raise missing("file")
        return both

    async def delete_of_run(self, owner: Owner, run_id: str) -> int:
        folder = self._area.folder(owner)

        def remove() -> int:
            mine = [found for found in self._all(folder) if found.run_id == run_id]
            for each in mine:
                _remove(folder, each.id)
            return len(mine)

        async with self._locks.hold(folder):
            return await self._disk.run(remove)

    def _write(self, folder: Path, made: Artifact, data: bytes) -> None:
        kept = sorted(self._all(folder), key=lambda each: each.created_at)
        room = MAX_OWNER_BYTES - made.size - sum(each.size for each in kept)
        for oldest in kept:
            if room >= 0:
                break
            _remove(folder, oldest.id)
            room += oldest.size
        write_atomic(folder / f"{made.id}{CONTENT}", data)
        write_atomic(folder / f"{made.id}{ABOUT}", encode_json(asdict(made)) + b"\n")

    def _all(self, folder: Path) -> list[Artifact]:
        found = (self._describe(folder / f"{name}{ABOUT}") for name, _ in files_in(folder, ABOUT))
        return [each for each in found if each is not None]

    def _describe(self, path: Path) -> Artifact | None:
        """None when there is none; what is damaged is set aside."""
        try:
            value = decode_json(read_file(path))
            return Artifact(**value)
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, TypeError, RecursionError) as reason:
            self._damages.set_aside(path, f"the description of a made file is unreadable ({type(reason).__name__})")
            return None


def _remove(folder: Path, artifact_id: str) -> None:
    # The description first: what is left after a crash is invisible.
    (folder / f"{artifact_id}{ABOUT}").unlink(missing_ok=True)
    (folder / f"{artifact_id}{CONTENT}").unlink(missing_ok=True)
