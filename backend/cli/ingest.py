"""`ingest`: files and folders of this machine become a user's documents, also while a server runs on the same data."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from backend.bootstrap import Services, build, discover_loaders
from backend.cli.ingest_files import Candidate, Remembered, State, find, pieces_of, sha256_of
from backend.cli.ingest_report import Bar, Summary
from backend.config.settings import Settings, load_settings
from backend.models.documents import READ_PURPOSES, Document
from backend.models.errors import HearthError, InvalidRequest, NotFound
from backend.models.run import SERVER, Owner
from backend.tasks.collection_views import Draft, NewFile

AT_ONCE = 64
"""Files on their way together; how many are read and embedded at a time is decided elsewhere."""
ATTACH_AT_ONCE = 200
SAVE_SECONDS = 10.0
WATCH_SECONDS = 2.0
WATCH_SHARE = 20
"""Looking at a large folder may take a twentieth of the time."""
INTERRUPTED = 130


async def run(arguments: argparse.Namespace) -> int:
    """0 when all is done, 1 when a file was refused, 130 when it was interrupted."""
    settings = load_settings()
    if settings.vector_db_type == "chroma":
        raise InvalidRequest(
            "With VECTOR_DB_TYPE=chroma only one process may use the index: upload through the server, or use faiss."
        )
    services = build(settings)
    try:
        user = await services.stores.users.find_user(SERVER, arguments.user)
        if user is None:
            raise NotFound(f"There is no user {arguments.user[:64]!r}: `users list` shows them.")
        ingestion = Ingestion(settings, services, user.owner, arguments)
        return await _until_told(ingestion)
    finally:
        await services.aclose()


async def _until_told(ingestion: Ingestion) -> int:
    """Work until all is done or somebody stops it, and tell what was done either way."""
    work = asyncio.ensure_future(ingestion.work())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
        code = 1 if ingestion.summary.refused else 0
    except asyncio.CancelledError:
        code = INTERRUPTED
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        ingestion.save()
    for line in ingestion.summary.lines():
        print(line)
    return code


class Ingestion:
    """One call of the command. `summary` is right at any time."""

    def __init__(self, settings: Settings, services: Services, owner: Owner, arguments: argparse.Namespace) -> None:
        self._services = services
        self._owner = owner
        self._paths = [Path(path) for path in arguments.paths]
        self._collection_name: str | None = arguments.collection
        self._watches: bool = arguments.watch
        self._deletes: bool = arguments.delete_removed
        self._state = State(settings.data_dir / "ingest" / f"{owner.user}.json")
        self._saved = time.monotonic()
        loaders = discover_loaders()
        self._extensions = {extension for loader in loaders for extension in loader.extensions}
        self._names = {name for loader in loaders for name in getattr(loader, "filenames", ())}
        self._known: dict[str, Document] = {}
        """Documents that are there, by the hash of their content."""
        self._to_attach: list[str] = []
        self._reported: set[str] = set()
        self._done = self._total = self._passages = 0
        self._bar = Bar(sys.stderr)
        self.summary = Summary()

    async def work(self) -> None:
        """Ingest what is there, and with --watch what comes, until cancelled."""
        self._collection = None if self._collection_name is None else await self._collection_of(self._collection_name)
        await self._learn()
        pause = await self._round()
        if not self._watches:
            return
        self._bar.say("Watching for changes; stop with Ctrl+C.")
        while True:
            await asyncio.sleep(pause)
            pause = await self._round()

    def save(self) -> None:
        """Keep what is known of the paths. Losing it costs time and no more."""
        with contextlib.suppress(OSError):
            self._state.save()
        self._saved = time.monotonic()

    # ---- one round -------------------------------------------------------------------------------

    async def _round(self) -> float:
        """Look at the paths and take in what is new; how long to wait before the next look, in seconds."""
        began = time.monotonic()
        found = await asyncio.to_thread(find, self._paths, self._extensions, self._names)
        looked = time.monotonic() - began
        self.summary.skipped = {"hidden": found.hidden, "of unknown kinds": found.unknown, "links": found.links}
        for path in found.missing:
            self.summary.refused[str(path)] = "There is no such file or folder, or it cannot be read."
        fresh = [file for file in found.files if not (self._watches and self._is_seen(file))]
        if fresh:
            await self._take_all(fresh)
        if self._watches or self._deletes:
            await self._look_for_removed({str(file.path) for file in found.files})
        return max(WATCH_SECONDS, WATCH_SHARE * looked)

    def _is_seen(self, file: Candidate) -> bool:
        """Whether this very state of a file has been dealt with in this call."""
        seen = f"{file.path}\0{file.size}\0{file.changed}"
        if seen in self._reported:
            return True
        self._reported.add(seen)
        return False

    async def _take_all(self, files: list[Candidate]) -> None:
        self._done, self._total = 0, len(files)
        waiting = iter(files)

        async def work() -> None:
            for file in waiting:
                self.summary.unfinished += 1
                await self._take(file)
                self.summary.unfinished -= 1
                self._done += 1
                self._bar.show(self._done, self._total, self._passages)
                if len(self._to_attach) >= ATTACH_AT_ONCE:
                    await self._attach()
                if time.monotonic() - self._saved > SAVE_SECONDS:
                    self.save()

        workers = [asyncio.ensure_future(work()) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*workers)
            await self._attach()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
            self.summary.unfinished = self._total - self._done
            self._bar.show(self._done, self._total, self._passages, last=True)
            self.save()

    async def _take(self, file: Candidate) -> None:
        path = str(file.path)
        try:
            sha256 = self._state.sha256_if_unchanged(file)
            if sha256 is None:
                sha256 = await asyncio.to_thread(sha256_of, file.path)
            document = self._known.get(sha256)
            is_new = document is None or document.status == "failed"
            if document is None or is_new:
                document = await self._services.ingest.upload(self._owner, file.path.name, _parts(file.path))
                self._known[sha256] = document
            document = await self._settled(document)
            self._known[document.sha256] = document
        except OSError as error:
            self.summary.refused[path] = f"The file cannot be read ({error.strerror})."
            return
        except HearthError as error:
            self.summary.refused[path] = error.message
            return
        if document.status == "failed":
            self.summary.refused[path] = document.error or "The file could not be read."
            return
        self.summary.refused.pop(path, None)
        before = self._state.files.get(path)
        self._state.files[path] = Remembered(document.file_id, document.sha256, file.size, file.changed)
        self._to_attach.append(document.file_id)
        self._passages += document.chunks if is_new else 0
        if is_new and before is not None and before.file_id != document.file_id:
            self.summary.replaced += 1
        elif is_new:
            self.summary.new += 1
        else:
            self.summary.there += 1
        if self._watches and before is not None and before.file_id != document.file_id:
            await self._attach()
            await self._delete(before.file_id, path)

    async def _settled(self, document: Document) -> Document:
        """The document once nothing goes on with it; one that another process has left is taken up."""
        ingest = self._services.ingest
        if document.status in ("uploaded", "processing") and not ingest.is_working_on(self._owner, document.file_id):
            document = await ingest.document(self._owner, document.file_id)
            if document.status in ("uploaded", "processing"):
                await ingest.take_up(self._owner, document)
        async with aclosing(ingest.events(self._owner, document.file_id)) as states:
            return [state async for state in states][-1]

    async def _learn(self) -> None:
        """Which contents are there already."""
        documents = self._services.stores.documents
        after: str | None = None
        more = True
        while more:
            found, more = await documents.list_after(self._owner, after=after)
            for document in found:
                if document.purpose in READ_PURPOSES:
                    self._known.setdefault(document.sha256, document)
            after = found[-1].file_id if found else None

    # ---- what was removed --------------------------------------------------------------------------

    async def _look_for_removed(self, present: set[str]) -> None:
        for path in self._state.within(self._paths):
            if path in present or await asyncio.to_thread(Path(path).exists):
                continue
            if self._deletes:
                known = self._state.files[path]
                if await self._delete(known.file_id, path):
                    self.summary.removed += 1
                self._state.files.pop(path, None)
                self._bar.say(f"removed {path}")
            elif path not in self._reported:
                self._reported.add(path)
                self._bar.say(f"no longer there, kept as a document: {path}")

    async def _delete(self, file_id: str, path: str) -> bool:
        """Remove the document that a path had, unless another path has the same content."""
        if self._state.is_used_elsewhere(file_id, path):
            return False
        try:
            await self._services.ingest.delete(self._owner, file_id)
        except NotFound:
            return False
        self._known = {sha256: one for sha256, one in self._known.items() if one.file_id != file_id}
        return True

    # ---- the collection --------------------------------------------------------------------------

    async def _collection_of(self, name: str) -> str:
        """The id of the user's collection with this name, which is made if need be."""
        for collection in await self._services.stores.collections.list_collections(self._owner):
            if name in (collection.name, collection.id):
                return collection.id
        return (await self._services.collections.create(self._owner, Draft(name))).collection.id

    async def _attach(self) -> None:
        """Put what is ready into the collection."""
        waiting, self._to_attach = list(dict.fromkeys(self._to_attach)), []
        if self._collection is None or not waiting:
            return
        there = (await self._services.stores.collections.get(self._owner, self._collection)).files
        fresh = [NewFile(file_id) for file_id in waiting if file_id not in there]
        if fresh:
            await self._services.collections.attach_all(self._owner, self._collection, fresh, "paths")


async def _parts(path: Path) -> AsyncIterator[bytes]:
    pieces = pieces_of(path)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
