"""The form in which a file is uploaded: one file and fields about it, in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

from starlette.requests import Request

from backend.api.uploads import MultipartReader, field_text
from backend.models.documents import Terms
from backend.models.errors import InvalidRequest
from backend.models.schemas_vector_stores import MAX_LIFETIME, MIN_LIFETIME, Purpose

DEFAULT_PURPOSE = "user_data"
PURPOSES = get_args(Purpose)
LIFETIMES = {"batch": 2_592_000.0}
"""Seconds that files of a purpose stay where the upload does not say."""
SLACK_BYTES = 1_048_576
"""What may come around the file: other fields, and the frame of each."""
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"


class FileForm:
    """Reads one multipart body: first `open`, then `content` to its end; then `fields` are all there."""

    def __init__(self, request: Request, name: str, max_bytes: int) -> None:
        """`name` is that of the file's field. Raises InvalidRequest when the body is not multipart."""
        self._reader = MultipartReader(request, max_bytes + SLACK_BYTES)
        self._name = name
        self.fields: dict[str, str] = {}

    async def open(self) -> str:
        """The name of the file, with what comes before it read. Raises InvalidRequest when there is none."""
        filename = await self._next_file()
        if filename is None:
            raise InvalidRequest(
                f"The request holds no file: send it in a field named {self._name}.",
                param=self._name,
                code="invalid_value",
            )
        return filename

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes of the file; ends when what comes after it is read too."""
        async for piece in self._reader.part_bytes():
            yield piece
        if await self._next_file() is not None:
            raise InvalidRequest("Send one file in a request.", param=self._name, code="invalid_value")

    def terms(self) -> Terms:
        """What the fields say about the file. Raises InvalidRequest."""
        purpose = self.fields.get("purpose", DEFAULT_PURPOSE)
        if purpose not in PURPOSES:
            raise _wrong(f"purpose must be one of {', '.join(PURPOSES)}.", "purpose")
        if ANCHOR not in self.fields and SECONDS not in self.fields:
            return terms_of(purpose, None)
        if self.fields.get(ANCHOR) != "created_at":
            raise _wrong("expires_after[anchor] must be created_at.", ANCHOR)
        given = self.fields.get(SECONDS, "")
        seconds = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else 0
        if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
            raise _wrong(f"expires_after[seconds] must be between {MIN_LIFETIME} and {MAX_LIFETIME}.", SECONDS)
        return terms_of(purpose, float(seconds))

    async def _next_file(self) -> str | None:
        while (part := await self._reader.next_part()) is not None:
            if part.filename is None:
                self.fields[part.name] = await field_text(self._reader)
            elif part.name == self._name:
                return part.filename
        return None


def terms_of(purpose: str, lifetime: float | None) -> Terms:
    return Terms(purpose, LIFETIMES.get(purpose) if lifetime is None else lifetime)


def _wrong(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_value")
