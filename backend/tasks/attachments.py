"""Files sent with a question: small ones are read whole, of larger ones what the question is about."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from backend.config.settings import Settings
from backend.embeddings.port import Embedder
from backend.loaders.port import HEAD_BYTES, Loader, find_loader
from backend.models.documents import Document, DocumentChunk
from backend.models.errors import Conflict, InvalidRequest, NotFound, TooLarge, UnsupportedFile, WorkerFailed
from backend.models.messages import Message
from backend.models.run import Owner
from backend.storage.document_store import DocumentStore
from backend.tasks.fitting import fitted
from backend.tools.retrieval import Retriever
from backend.utils.names import clean_filename
from backend.utils.untrusted import fenced
from backend.vector_store.port import VectorStore
from backend.workers.port import Limits, Worker

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

PARSE_JOB = "backend.loaders.parse_job:parse"
PARSE_LIMITS = Limits(seconds=30.0, memory_mb=512, output_bytes=64 * 1_048_576)
PARSERS_AT_ONCE = 2
READY_SECONDS = 30.0
"""How long a request waits for a file that was uploaded a moment ago and is still being read."""
WHOLE_CHARS = 24_000
"""Text of all files of a request together that the model is given whole: about 6,000 tokens."""
WINDOW_SHARE = 0.5
"""Of a small window; at most so much of it is taken by files."""
CHARS_PER_TOKEN = 4
LEAST_CHARS = 40
"""Of a chunk, in a document of very short sections."""
PASSAGES = 8
"""Of each larger file, where nothing else searches it."""
COMPARED_CHUNKS = 48
"""Of a file sent with the request itself, which is in no index: those that share most words with the question are
compared with it by the embedder."""
SOURCE = "a file the user has attached"
_WORD = re.compile(r"\w+")

Watch = Callable[[Owner, str], AsyncGenerator[Document, None]]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message: by `file_id`, or as `data` with the name it has at the caller's.

    `message` is its place among the question's messages; `param` names it in errors, e.g. `messages.0.content.1.file`.
    """

    message: int
    param: str
    file_id: str | None = None
    filename: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Read:
    """An attachment that has been read. `text` when it is small enough to be given whole, else None.

    `chunks` are the pieces of a file that is in no index.
    """

    attachment: Attachment
    filename: str
    text: str | None
    chunks: tuple[DocumentChunk, ...] = ()

    @property
    def searchable(self) -> bool:
        """Whether it has to be searched and is in the caller's index."""
        return self.text is None and self.attachment.file_id is not None


class Attachments:
    """Reads attached files. One instance serves the process. `watch` is IngestTask.events."""

    def __init__(
        self,
        settings: Settings,
        documents: DocumentStore,
        vectors: VectorStore,
        embedder: Embedder,
        worker: Worker,
        loaders: Sequence[Loader],
        watch: Watch,
        retriever: Retriever,
    ) -> None:
        self._settings = settings
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder
        self._worker = worker
        self._loaders = loaders
        self._watch = watch
        self._retriever = retriever
        self._parsing = asyncio.Semaphore(PARSERS_AT_ONCE)

    async def read(self, owner: Owner, attachments: Sequence[Attachment], window: int) -> list[Read]:
        """Every file, in order; whole as long as there is room. `window` is the model's, in tokens.

        Raises NotFound, InvalidRequest, TooLarge or Conflict (not ready yet), each naming the attachment.
        """
        room = int(min(WHOLE_CHARS, window * CHARS_PER_TOKEN * WINDOW_SHARE))
        found: list[Read] = []
        for each in attachments:
            read = await (self._stored(owner, each, room) if each.file_id is not None else self._sent(each, room))
            room -= len(read.text or "")
            found.append(read)
        return found

    async def put_in(
        self, owner: Owner, messages: Sequence[Message], files: Sequence[Read], fence: str, *, searched: bool
    ) -> tuple[Message, ...]:
        """The messages with what the model is to read of the files. `searched`: it will search the larger ones itself,
        so that they are only named."""
        query = next((message.content for message in reversed(messages) if message.role == "user"), "")
        texts: dict[int, list[str]] = {}
        for each in files:
            texts.setdefault(each.attachment.message, []).append(await self._quoted(owner, each, query, searched))
        return tuple(
            replace(
                message, attached="\n\n".join([*_attached(message), *(fenced(t, SOURCE, fence) for t in texts[index])])
            )
            if index in texts
            else message
            for index, message in enumerate(messages)
        )

    # ---- files of the caller's documents --------------------------------------------------------

    async def _stored(self, owner: Owner, attachment: Attachment, room: int) -> Read:
        document = await self._ready(owner, attachment)
        # Far too many chunks need not be read to know that they are too long.
        least = document.chunks * LEAST_CHARS
        text = None
        if least <= room:
            pages = await self._documents.pages(owner, document.file_id)
            text = "\n\n".join(page.text for page in pages if page.text.strip())
        whole = text is not None and len(text) <= room
        return Read(attachment, document.filename, text if whole else None)

    async def _ready(self, owner: Owner, attachment: Attachment) -> Document:
        """The document, waited for while it is being read."""
        param, file_id = f"{attachment.param}.file_id", attachment.file_id or ""
        document: Document | None = None
        try:
            async with asyncio.timeout(READY_SECONDS):
                async for document in self._watch(owner, file_id):
                    if document.status in ("ready", "failed", "kept"):
                        break
        except NotFound:
            raise NotFound("There is no file with this id: upload it first.", param=param) from None
        except TimeoutError:
            raise Conflict("The file is still being read: ask again in a moment.", param=param) from None
        if document is None or document.status != "ready":
            reason = document.error if document is not None and document.error else "It holds no text that can be read."
            raise InvalidRequest(f"The file cannot be used: {reason}", param=param, code="unsupported_file")
        return document

    # ---- files sent with the request ------------------------------------------------------------

    async def _sent(self, attachment: Attachment, room: int) -> Read:
        name = clean_filename(attachment.filename)
        chunks: list[DocumentChunk] = []
        pages: list[str] = []
        for part in await self._parsed(attachment, name):
            pages.append(part["text"])
            for piece in part["chunks"]:
                place = {**piece, "heading": tuple(piece["heading"])}
                chunks.append(DocumentChunk("", name, len(chunks), page=part["number"], **place))
        text = "\n\n".join(page for page in pages if page.strip())
        return Read(attachment, name, text) if len(text) <= room else Read(attachment, name, None, tuple(chunks))

    async def _parsed(self, attachment: Attachment, name: str) -> list[dict[str, Any]]:
        """The pages with their chunks, from the worker process."""
        param, data = f"{attachment.param}.file_data", attachment.data
        if len(data) > self._settings.max_upload_bytes:
            raise TooLarge(f"The file is larger than {self._settings.max_upload_mb:g} MB: send less.", param=param)
        extension = PurePosixPath(name).suffix.lower()
        try:
            loader = find_loader(self._loaders, name, data[:HEAD_BYTES])
        except UnsupportedFile as error:
            raise InvalidRequest(error.message, param=param, code="unsupported_file") from None
        parts: list[dict[str, Any]] = []
        async with self._parsing:
            folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="hearth-attachment-")
            try:
                # The name is ours; its extension is one the loader knows.
                path = Path(folder.name) / f"file{extension}"
                await asyncio.to_thread(path.write_bytes, data)
                payload = {
                    "path": str(path.resolve()),
                    "loader": loader.name,
                    "chunk_size": self._settings.chunk_size,
                    "chunk_overlap": self._settings.chunk_overlap,
                }
                await self._worker.run(PARSE_JOB, payload, limits=PARSE_LIMITS, on_progress=parts.append)
            except WorkerFailed as error:
                said = error.message if error.reason == "refused" else "It is damaged, or takes too long to read."
                raise InvalidRequest(f"The file cannot be used: {said}", param=param, code="unsupported_file") from None
            finally:
                await asyncio.shield(asyncio.to_thread(folder.cleanup))
        return parts

    # ---- what the model reads -------------------------------------------------------------------

    async def _quoted(self, owner: Owner, file: Read, query: str, searched: bool) -> str:
        head = f"File: {file.filename}"
        if file.text is not None:
            return f"{head}\n\n{file.text}"
        if searched and file.searchable:
            return f"{head}\n\n(Too long to stand here: search it with rag_retrieval.)"
        passages = await self._passages(owner, file, query)
        return f"{head}\nIt is long; these passages fit the question best:\n\n" + "\n\n[…]\n\n".join(passages)

    async def _passages(self, owner: Owner, file: Read, query: str) -> list[str]:
        """The pieces of a file that fit the question best, in the order of the file; its beginning without one."""
        file_id = file.attachment.file_id
        if file_id is None:
            return await self._best_of(file.chunks, query)
        found = await self._retriever.best_chunks(owner, file_id, query, PASSAGES) if query.strip() else []
        found = found or await self._vectors.chunks(owner, file_id, last=PASSAGES - 1)
        return [chunk.context_text for chunk in found]

    async def _best_of(self, chunks: Sequence[DocumentChunk], query: str) -> list[str]:
        if not query.strip():
            return [chunk.context_text for chunk in chunks[:PASSAGES]]
        likely = await asyncio.to_thread(
            sharing_words, [chunk.context_text for chunk in chunks], query, COMPARED_CHUNKS
        )
        compared = await fitted([chunks[index] for index in likely], self._embedder)
        texts = [chunk.context_text for chunk in compared]
        wanted = await self._embedder.embed_query(query)
        vectors: FloatArray = await self._embedder.embed_documents(texts)
        scores = (vectors @ wanted).tolist()
        best = sorted(range(len(texts)), key=lambda place: -scores[place])[:PASSAGES]
        return [texts[place] for place in sorted(best)]


def sharing_words(chunks: Sequence[str], query: str, limit: int) -> list[int]:
    """Places of the `limit` chunks that have most of the query's words, rare words counting more; in their order."""
    asked = set(_WORD.findall(query.casefold()))
    found = [asked & set(_WORD.findall(chunk.casefold())) for chunk in chunks]
    frequency = Counter(word for words in found for word in words)
    scores = [sum(1.0 / frequency[word] for word in words) for words in found]
    return sorted(sorted(range(len(chunks)), key=lambda index: -scores[index])[:limit])


def _attached(message: Message) -> list[str]:
    """What came with the message as text already."""
    return [message.attached] if message.attached else []


def as_read(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as a model reads them: each with its files in front of its words."""
    return tuple(
        replace(message, content="\n\n".join(filter(None, (message.attached, message.content))), attached="")
        if message.attached
        else message
        for message in messages
    )
