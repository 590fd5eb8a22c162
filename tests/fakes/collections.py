"""Collections and partial uploads in memory."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace

from backend.models.collections import Collection
from backend.models.errors import InvalidRequest, NotFound, TooManyRequests
from backend.models.run import SERVER, Owner
from backend.models.uploads import PartialUpload, UploadPart
from backend.storage.upload_store import MAX_PENDING
from backend.utils.ids import is_safe_id, timed_id


class FakeCollections:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], Collection] = {}

    async def create(self, owner: Owner, collection: Collection) -> None:
        if not (is_safe_id(owner.user) and is_safe_id(owner.tenant) and is_safe_id(collection.id)):
            raise NotFound("There is no vector store with this id.")
        self.kept[owner, collection.id] = collection

    async def get(self, owner: Owner, collection_id: str) -> Collection:
        if (owner, collection_id) not in self.kept:
            raise NotFound("There is no vector store with this id.")
        return self.kept[owner, collection_id]

    async def list_collections(self, owner: Owner) -> list[Collection]:
        mine = [collection for (whose, _), collection in self.kept.items() if whose == owner]
        return sorted(mine, key=lambda collection: collection.created_at, reverse=True)

    async def change(self, owner: Owner, collection_id: str, edit: Callable[[Collection], Collection]) -> Collection:
        self.kept[owner, collection_id] = edit(await self.get(owner, collection_id))
        return self.kept[owner, collection_id]

    async def delete(self, owner: Owner, collection_id: str) -> None:
        await self.get(owner, collection_id)
        del self.kept[owner, collection_id]

    async def share(self, owner: Owner, collection_id: str, readers: Sequence[str]) -> Collection:
        if not all(map(is_safe_id, readers)):
            raise NotFound("There is no vector store with this id.")
        wanted = tuple(sorted(set(readers) - {owner.user}))
        return await self.change(owner, collection_id, lambda now: replace(now, readers=wanted))

    async def find(self, owner: Owner, collection_id: str) -> tuple[Owner, Collection]:
        if (owner, collection_id) in self.kept:
            return owner, self.kept[owner, collection_id]
        found = [pair for pair in await self.shared_with(owner) if pair[1].id == collection_id]
        if not found:
            raise NotFound("There is no vector store with this id.")
        return found[0]

    async def shared_with(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        found = [
            (whose, each)
            for (whose, _), each in self.kept.items()
            if whose.tenant == owner.tenant and owner.user in each.readers
        ]
        return sorted(found, key=lambda pair: pair[1].created_at, reverse=True)

    async def everyones(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        found = [(whose, each) for (whose, _), each in self.kept.items() if owner.user == SERVER.user or whose == owner]
        return sorted(found, key=lambda pair: pair[1].created_at)


class FakeUploads:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], PartialUpload] = {}
        self.bytes: dict[str, bytes] = {}

    async def create(self, owner: Owner, upload: PartialUpload) -> None:
        mine = [each for (whose, _), each in self.kept.items() if whose == owner and each.status == "pending"]
        if len([each for each in mine if each.expires_at > time.time()]) >= MAX_PENDING:
            raise TooManyRequests("Too many uploads are waiting for their parts.")
        self.kept[owner, upload.id] = upload

    async def get(self, owner: Owner, upload_id: str) -> PartialUpload:
        found = self.kept.get((owner, upload_id))
        if found is None or found.expires_at <= time.time():
            raise NotFound("There is no upload with this id.")
        return found

    async def add_part(self, owner: Owner, upload_id: str, pieces: AsyncIterator[bytes]) -> UploadPart:
        upload = _pending(await self.get(owner, upload_id))
        data = b"".join([piece async for piece in pieces])
        upload = _pending(await self.get(owner, upload_id))
        if not 0 < len(data) <= upload.size - upload.received:
            raise InvalidRequest("The part is empty or too much.", param="data", code="invalid_value")
        part = UploadPart(timed_id("part_", time.time()), time.time(), len(data))
        self.bytes[part.id] = data
        self.kept[owner, upload_id] = replace(upload, parts=(*upload.parts, part))
        return part

    async def read(self, owner: Owner, upload_id: str, part_ids: Sequence[str]) -> AsyncGenerator[bytes, None]:
        await self.get(owner, upload_id)
        for part_id in part_ids:
            if part_id not in self.bytes:
                raise NotFound("There is no upload with this id.")
            yield self.bytes[part_id]

    async def complete(self, owner: Owner, upload_id: str, file_id: str, part_ids: Sequence[str]) -> PartialUpload:
        upload = await self.get(owner, upload_id)
        self._drop(upload)
        done = replace(upload, status="completed", file_id=file_id, part_ids=tuple(part_ids))
        self.kept[owner, upload_id] = done
        return done

    async def cancel(self, owner: Owner, upload_id: str) -> PartialUpload:
        upload = _pending(await self.get(owner, upload_id))
        self._drop(upload)
        self.kept[owner, upload_id] = replace(upload, status="cancelled")
        return self.kept[owner, upload_id]

    async def sweep(self, owner: Owner) -> int:
        over = [key for key, each in self.kept.items() if each.expires_at <= time.time()]
        for key in over:
            self._drop(self.kept.pop(key))
        return len(over)

    def _drop(self, upload: PartialUpload) -> None:
        for part in upload.parts:
            self.bytes.pop(part.id, None)


def _pending(upload: PartialUpload) -> PartialUpload:
    if upload.status != "pending":
        raise InvalidRequest(f"The upload is {upload.status}: start another.", param="upload_id", code="invalid_value")
    return upload
