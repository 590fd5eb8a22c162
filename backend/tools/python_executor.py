"""`python_code`: runs Python in the sandbox and hands back what it printed, computed and made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from backend.models.documents import Document
from backend.models.errors import InvalidRequest, NotFound, TooLarge
from backend.models.run import Owner, RunContext
from backend.models.tools import FileLink, Proposal, ToolResult
from backend.storage.artifact_store import ArtifactStore
from backend.storage.document_store import DocumentStore
from backend.tools.port import BaseTool, ToolServices, Unavailable
from backend.utils.patterns import LazyPattern
from backend.workers.sandbox_port import CodeResult, MadeFile, Sandbox, SandboxLimits, Stop

NAME = "python_code"
MAX_CODE = 60_000
MAX_FILES_GIVEN = 10
MAX_BYTES_GIVEN = 16 * 1_048_576
"""All given files together; no single file in the scratch folder may be larger either."""
MAX_SHOWN = 9_000
"""Characters of output in the text; `data` has more."""
MAX_DATA = 60_000
PAGE = 200
MAX_NAMES = 20
MAX_SCANNED = 20_000
CONFIDENT = 0.97
"""Code in a fence and the wish to run it: what was asked cannot be mistaken."""

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "txt": "text/plain",
    "md": "text/markdown",
    "json": "application/json",
}
_MAGIC = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
_STOPPED: Mapping[Stop, str] = {
    "timeout": "The code ran longer than {wall:g} seconds and was stopped.",
    "cpu": "The code used more than {cpu} seconds of computing time and was stopped.",
    "memory": "The code was stopped because it needed too much memory, or because it ended itself.",
    "output": "The code printed more than {output} KiB and was stopped; print less.",
    "disk": "The code wrote more than {disk} MB or {entries} files and was stopped.",
    "threads": "The code started more than {threads} threads and was stopped.",
    "crashed": "The code's process ended by itself, before the code was through.",
}

_FENCE = re.compile(r"[ \t]{0,3}(```+|~~~+)[ \t]*([\w+.-]*)[^`]*")
_PYTHON = frozenset({"python", "py", "python3", "ipython", "pycon"})
_NAMED = LazyPattern(r"\bpython\b")
_RUN = LazyPattern(
    r"\b(?:run|runs|running|execute|executes|executing|evaluate|try out|test)\b",
    r"\bwhat (?:does|do|will|would|is|'s)\b[^\n]{0,60}\b(?:print|output|return|give|produce|evaluate to|result)",
    r"\b(?:output|result) of\b",
    r"\b(?:führ\w*|ausführ\w*|starte?|teste?|lass)\b|\bwas (?:gibt|druckt|ergibt|liefert|kommt)\b",
    r"\bausgabe (?:von|des|dieses)\b",
    r"\b(?:exécute\w*|lance\w*|fais tourner|teste)\b|\b(?:qu'affiche|que (?:donne|renvoie|affiche|retourne))\b",
    r"\bqu['’]est-ce qu",
    r"\b(?:ejecuta\w*|corre|prueba)\b|\bqué (?:imprime|muestra|devuelve|da|sale)\b|\bsalida de\b",
    r"\b(?:esegui\w*|lancia|prova)\b|\b(?:cosa|che cosa) (?:stampa|restituisce|dà)\b",
    r"\b(?:executa\w*|execute|roda|rode|rodar)\b|\bo que (?:imprime|mostra|retorna|dá)\b",
    r"\b(?:voer\b[^\n]{0,40}\buit|draai)\b|\bwat (?:print|geeft|is de uitvoer)\b",
)
_NOT_RUN = LazyPattern(
    r"\b(?:don['’]?t|do not|without) (?:run|execut)\w*",
    r"\b(?:nicht|ohne) (?:aus(?:zu)?führ\w*)|\bne (?:l['’])?exécute\w* pas",
    r"\b(?:explain|review|refactor|translate|rewrite|convert|document|comment on|fix|improve|optimi[sz]e)\b",
    r"\b(?:erklär\w*|übersetz\w*|überarbeite\w*|verbesser\w*|explique\w*|tradu\w*|expliqu\w*|spiega\w*|corrig\w*)\b",
)


def create(services: ToolServices) -> PythonCode | Unavailable:
    if services.sandbox is None:
        return Unavailable(NAME, PythonCode.description, "this server was built without a sandbox")
    reason = services.sandbox.impossible()
    if reason is not None:
        return Unavailable(NAME, PythonCode.description, reason)
    return PythonCode(services.sandbox, services.documents, services.artifacts)


class Arguments(BaseModel):
    code: str = Field(
        min_length=1,
        max_length=MAX_CODE,
        description="Python source. Print what should be seen; the value of a last expression is returned as well.",
    )
    files: list[str] = Field(
        default_factory=list,
        max_length=MAX_FILES_GIVEN,
        description="Names of files the user has uploaded; they are put into the working folder under these names.",
    )


class PythonCode(BaseTool):
    name = NAME
    description = (
        "Runs Python 3 in a sandbox without network and returns what it prints, the value of the last expression, and "
        "files it saves in its working folder (png, jpg, gif, svg, csv, txt, md, json). Use it for programs, "
        "simulations, text processing and charts; variables live on between calls of the same task. Not for a single "
        "calculation. At most 10 seconds."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 90.0
    untrusted = True

    def __init__(self, sandbox: Sandbox, documents: DocumentStore, artifacts: ArtifactStore) -> None:
        self._sandbox = sandbox
        self._documents = documents
        self._artifacts = artifacts
        offered = sandbox.offered()
        if offered:
            self.description = (
                f"{PythonCode.description} Importable besides the standard modules: {', '.join(offered)}."
            )

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        """Raises InvalidRequest, NotFound, TooLarge, TooManyRequests, ToolUnavailable or WorkerFailed.

        An exception of the code is a result like any other: the traceback is what a model needs to mend it.
        """
        files = await self._given(context.owner, arguments.files)
        # A call by hand has no run around it whose later calls could use the variables.
        keep = bool(context.fence)
        found = await self._sandbox.run(
            arguments.code, owner=context.owner, run_id=context.run_id, files=files, keep=keep
        )
        links, unkept = await self._saved(found.files, context)
        unkept += found.files_left_out
        error = None if found.stopped is None else _stopped(found.stopped)
        return ToolResult(as_text(found, links, unkept), as_data(found, links), error=error, files=links)

    async def _given(self, owner: Owner, wanted: Sequence[str]) -> dict[str, bytes]:
        """The owner's own files by name or id."""
        if not wanted:
            return {}
        documents = await self._all(owner)
        out: dict[str, bytes] = {}
        for name in wanted:
            document = next(
                (d for d in documents if d.file_id == name or d.filename.casefold() == name.strip().casefold()), None
            )
            if document is None:
                there = ", ".join(d.filename for d in documents[:MAX_NAMES]) or "none; upload one first"
                raise NotFound(f"There is no file named {name[:100]!r}. Files that can be given: {there}.")
            if document.filename in (".", "..") or "/" in document.filename or "\0" in document.filename:
                raise InvalidRequest(f"The file {document.filename[:100]!r} cannot be given to code under its name.")
            path = await self._documents.path(owner, document.file_id)
            size = (await asyncio.to_thread(path.stat)).st_size
            if sum(map(len, out.values())) + size > MAX_BYTES_GIVEN:
                limit = MAX_BYTES_GIVEN // 1_048_576
                raise TooLarge(f"The files are larger than {limit} MB together; give fewer or smaller ones.")
            out[document.filename] = await asyncio.to_thread(path.read_bytes)
        return out

    async def _all(self, owner: Owner) -> list[Document]:
        found: list[Document] = []
        page, total = 1, 1
        while (page - 1) * PAGE < total:
            documents, total = await self._documents.list_documents(owner, page=page, limit=PAGE)
            found += documents
            page += 1
        return found

    async def _saved(self, made: Sequence[MadeFile], context: RunContext) -> tuple[tuple[FileLink, ...], int]:
        """Links to the files that were kept for the owner, and how many were not."""
        links: list[FileLink] = []
        for file in made:
            kind = content_type(file)
            if kind is None:
                continue
            kept = await self._artifacts.save(context.owner, context.run_id, file.name, kind, file.data)
            links.append(FileLink(kept.id, kept.name, kind, kept.size, f"/api/artifacts/{kept.id}"))
        return tuple(links), len(made) - len(links)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        code = code_to_run(query)
        if code is None:
            return ()
        named = [name for name in context.documents if name in code][:MAX_FILES_GIVEN]
        arguments: dict[str, Any] = {"code": code, "files": named} if named else {"code": code}
        return [Proposal(arguments, CONFIDENT, "Python code that should be run")]


def code_to_run(query: str) -> str | None:
    """The Python in a query's fences, when the words around them ask to run it; None otherwise."""
    if len(query) > MAX_SCANNED or ("```" not in query and "~~~" not in query):
        return None
    blocks, words = _fenced(query)
    named = _NAMED.search(words) is not None
    codes = [code for language, code in blocks if language in _PYTHON or (not language and named)]
    if not codes or _NOT_RUN.search(words) or not _RUN.search(words):
        return None
    code = "\n".join(codes).rstrip()
    return code if code.strip() and len(code) <= MAX_CODE else None


def _fenced(query: str) -> tuple[list[tuple[str, str]], str]:
    """The closed fences as language and content, and the words outside of all."""
    blocks: list[tuple[str, str]] = []
    words: list[str] = []
    opened: tuple[str, str] | None = None
    inner: list[str] = []
    for line in query.splitlines():
        if opened is None:
            found = _FENCE.fullmatch(line)
            if found is None:
                words.append(line)
            else:
                opened, inner = (found[1], found[2].lower()), []
        elif line.strip() == opened[0]:
            blocks.append((opened[1], "\n".join(inner)))
            opened = None
        else:
            inner.append(line)
    return blocks, "\n".join(words)


def content_type(file: MadeFile) -> str | None:
    """What a file is by its name, if its content does not say otherwise; None for what is not kept."""
    kind = _TYPES.get(file.name.rpartition(".")[2].lower())
    if kind is None or kind not in _MAGIC:
        return kind if kind is not None and _is_text(file.data) else None
    return kind if file.data.startswith(_MAGIC[kind]) else None


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def as_text(found: CodeResult, links: Sequence[FileLink], unkept: int) -> str:
    """For the model and for people: what was printed, the value, what went wrong, what was made."""
    parts = []
    if found.forgotten:
        parts.append("(Variables and files of earlier calls are gone; this call began anew.)")
    if found.stopped is not None:
        parts.append(_stopped(found.stopped))
    parts.append(_cut(found.stdout.rstrip()))
    if found.value is not None:
        parts.append(f"Value: {_cut(found.value)}" if found.stdout.strip() or found.error else _cut(found.value))
    parts.append(_cut(found.error or ""))
    if found.stderr.strip():
        parts.append(f"stderr:\n{_cut(found.stderr.rstrip())}")
    if links:
        parts.append("Files made: " + ", ".join(link.name for link in links))
    if unkept:
        parts.append(f"({unkept} more file(s) were not kept: too many, larger than 5 MB, or of another kind.)")
    if found.truncated and found.stopped != "output":
        parts.append("(Long texts were cut.)")
    text = "\n\n".join(part for part in parts if part)
    return text or "The code ran and printed nothing; print() what should be seen."


def as_data(found: CodeResult, links: Sequence[FileLink]) -> dict[str, Any]:
    """The same for programs; `value` is a repr, `error` a traceback, `stopped` one word or null."""
    return {
        "value": found.value,
        "stdout": found.stdout[:MAX_DATA],
        "stderr": found.stderr[:MAX_DATA],
        "error": found.error,
        "stopped": found.stopped,
        "files": [link.name for link in links],
        "seconds": round(found.seconds, 4),
        "truncated": found.truncated or len(found.stdout) > MAX_DATA or len(found.stderr) > MAX_DATA,
        "kept": found.kept,
        "forgotten": found.forgotten,
        "layer": found.layer,
    }


def _stopped(why: Stop) -> str:
    limits = SandboxLimits()
    return _STOPPED[why].format(
        wall=limits.wall_seconds,
        cpu=limits.cpu_seconds,
        output=limits.output // 1024,
        disk=limits.scratch // 1_048_576,
        entries=limits.entries,
        threads=limits.threads,
    )


def _cut(text: str) -> str:
    if len(text) <= MAX_SHOWN:
        return text
    head, tail = MAX_SHOWN * 3 // 4, MAX_SHOWN // 4
    return f"{text[:head]}\n… {len(text) - head - tail} characters cut …\n{text[-tail:]}"
