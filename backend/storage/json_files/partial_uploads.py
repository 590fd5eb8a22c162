"""Files that come in parts: `{owner}/{upload_id}.json` says what is there, `{owner}/{part_id}.part` are the bytes."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

from backend.models.documents import Terms
from backend.models.errors import InvalidRequest, TooManyRequests
from backend.models.run import Owner
from backend.models.uploads import PartialUpload, UploadPart
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import Unreadable, ensure_folder, files_in, open_regular, read_file, write_atomic
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks, file_lock
from backend.storage.json_files.paths import Area, is_server, missing
from backend.storage.json_files.upload import Upload
from backend.storage.upload_store import MAX_PENDING, MAX_UPLOAD_PARTS
from backend.utils.ids import timed_id

ABOUT, PART = ".json", ".part"
VERSION = 1
BATCH_BYTES = 262_144


class JsonUploadStore:
    """UploadStore over plain files. A part counts from when the upload's description names it."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def create(self, owner: Owner, upload: PartialUpload) -> None:
        path = self._area.file(owner, upload.id, ABOUT)
        folder = path.parent

        def make() -> None:
            ensure_folder(folder)
            with file_lock(folder / ".lock"):
                found = [self._read(folder / f"{name}{ABOUT}") for name, _ in files_in(folder, ABOUT)]
                if sum(each is not None and each.status == "pending" for each in found) >= MAX_PENDING:
                    raise TooManyRequests(
                        f"{MAX_PENDING} uploads are waiting for their parts: complete or cancel one first."
                    )
                _write(path, upload)

        async with self._locks.hold(folder):
            await self._disk.run(make)

    async def get(self, owner: Owner, upload_id: str) -> PartialUpload:
        path = self._area.file(owner, upload_id, ABOUT)
        found = await self._disk.run(self._read, path)
        if found is None:
            raise missing(self._area.what)
        return found

    async def add_part(self, owner: Owner, upload_id: str, pieces: AsyncIterator[bytes]) -> UploadPart:
        about = self._area.file(owner, upload_id, ABOUT)
        room = _room(await self.get(owner, upload_id))
        part = Upload(about.parent)
        made = UploadPart(timed_id("part_", time.time()), time.time(), 0)
        try:
            await self._disk.run(part.open)
            made = replace(made, size=await self._pour(pieces, part, room))

            def settle() -> None:
                def edit(now: PartialUpload) -> PartialUpload:
                    if made.size > _room(now):
                        raise _too_much()
                    part.keep(about.parent / f"{made.id}{PART}")
                    return replace(now, parts=(*now.parts, made))

                self._change(about, edit)

            async with self._locks.hold(about.parent):
                await self._disk.run(settle)
        finally:
            await self._disk.run(part.discard)
        return made

    async def read(self, owner: Owner, upload_id: str, part_ids: Sequence[str]) -> AsyncGenerator[bytes, None]:
        await self.get(owner, upload_id)
        for part_id in part_ids:
            path = self._area.file(owner, part_id, PART)
            file = await self._disk.run(_opened, path)
            if file is None:
                raise missing(self._area.what)
            with file:
                while block := await self._disk.run(file.read, BATCH_BYTES):
                    yield block

    async def complete(self, owner: Owner, upload_id: str, file_id: str, part_ids: Sequence[str]) -> PartialUpload:
        done = tuple(part_ids)
        return await self._end(
            owner, upload_id, lambda now: replace(now, status="completed", file_id=file_id, part_ids=done)
        )

    async def cancel(self, owner: Owner, upload_id: str) -> PartialUpload:
        def edit(now: PartialUpload) -> PartialUpload:
            _room(now)
            return replace(now, status="cancelled")

        return await self._end(owner, upload_id, edit)

    async def sweep(self, owner: Owner) -> int:
        def work() -> int:
            folders = [folder for one, folder in self._area.owners() if is_server(owner) or one == owner]
            return sum(self._swept(folder) for folder in folders)

        return await self._disk.run(work)

    # ---- inside ----------------------------------------------------------------------------------

    async def _pour(self, pieces: AsyncIterator[bytes], part: Upload, room: int) -> int:
        waiting = bytearray()
        size = 0
        async for piece in pieces:
            size += len(piece)
            if size > room:
                raise _too_much()
            waiting += piece
            if len(waiting) >= BATCH_BYTES:
                await self._disk.run(part.write, bytes(waiting))
                waiting.clear()
        if size == 0:
            raise InvalidRequest("The part is empty.", param="data", code="invalid_value")
        await self._disk.run(part.write, bytes(waiting))
        return size

    async def _end(self, owner: Owner, upload_id: str, edit: Callable[[PartialUpload], PartialUpload]) -> PartialUpload:
        about = self._area.file(owner, upload_id, ABOUT)

        def work() -> PartialUpload:
            before, after = self._change(about, edit)
            _drop_parts(about.parent, before)
            return after

        async with self._locks.hold(about.parent):
            return await self._disk.run(work)

    def _change(
        self, about: Path, edit: Callable[[PartialUpload], PartialUpload]
    ) -> tuple[PartialUpload, PartialUpload]:
        if not about.parent.is_dir():
            raise missing(self._area.what)
        with file_lock(about.parent / ".lock"):
            before = self._read(about)
            if before is None:
                raise missing(self._area.what)
            after = edit(before)
            _write(about, after)
            return before, after

    def _swept(self, folder: Path) -> int:
        """Remove what has expired, and parts that no upload names."""
        removed = 0
        with file_lock(folder / ".lock"):
            named: set[str] = set()
            for name, _ in files_in(folder, ABOUT):
                found = self._read(folder / f"{name}{ABOUT}")
                if found is not None:
                    named |= {part.id for part in found.parts} if found.status == "pending" else set()
                elif (folder / f"{name}{ABOUT}").exists():
                    (folder / f"{name}{ABOUT}").unlink()
                    removed += 1
            for name, _ in files_in(folder, PART):
                if name not in named:
                    (folder / f"{name}{PART}").unlink(missing_ok=True)
        return removed

    def _read(self, path: Path) -> PartialUpload | None:
        """None when there is none or its time is over; what is damaged is set aside."""
        try:
            found = _from_json(decode_json(read_file(path)), path.name.removesuffix(ABOUT))
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
            self._damages.set_aside(path, f"the description of an upload is unreadable ({type(reason).__name__})")
            return None
        return found if found.expires_at > time.time() else None


def _room(upload: PartialUpload) -> int:
    """Bytes that may still come. Raises InvalidRequest when none are waited for."""
    if upload.status != "pending":
        raise InvalidRequest(f"The upload is {upload.status}: start another.", param="upload_id", code="invalid_value")
    if len(upload.parts) >= MAX_UPLOAD_PARTS:
        raise InvalidRequest(f"An upload has at most {MAX_UPLOAD_PARTS} parts: send larger ones.", param="data")
    return upload.size - upload.received


def _too_much() -> InvalidRequest:
    # The rest of the body is not read, so the connection is of no further use.
    return InvalidRequest(
        "With this part more bytes have come than the upload was to have: send no more than that.",
        param="data",
        code="invalid_value",
        headers={"connection": "close"},
    )


def _opened(path: Path) -> BinaryIO | None:
    try:
        return os.fdopen(open_regular(path), "rb")
    except (FileNotFoundError, Unreadable):
        return None


def _drop_parts(folder: Path, upload: PartialUpload) -> None:
    for part in upload.parts:
        (folder / f"{part.id}{PART}").unlink(missing_ok=True)


def _write(path: Path, upload: PartialUpload) -> None:
    write_atomic(path, encode_json({"version": VERSION, **asdict(upload)}) + b"\n")


def _from_json(data: dict[str, Any], upload_id: str) -> PartialUpload:
    """Raises Unreadable, KeyError, TypeError, AttributeError for what is not our form."""
    known = dict(data)
    if known.pop("version") != VERSION or known["id"] != upload_id:
        raise Unreadable("it describes something else")
    known["terms"] = Terms(**known["terms"])
    known["parts"] = tuple(UploadPart(**part) for part in known["parts"])
    known["part_ids"] = tuple(known["part_ids"])
    return PartialUpload(**known)
