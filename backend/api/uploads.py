"""Multipart bodies read as they come: each file streams on while the next bytes are still on their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from backend.models.errors import InvalidRequest, TooLarge

MAX_FILES = 10
MAX_PARTS = 20
MAX_PART_HEADER_BYTES = 8192
MAX_FIELD_BYTES = 65_536


class Upload:
    """One part of a multipart body. `filename` is None for an ordinary field."""

    def __init__(self, name: str, filename: str | None) -> None:
        self.name = name
        self.filename = filename


class MultipartReader:
    """Walks the parts of one request in order.

    `async for part in reader` gives parts; `part_bytes` streams the current one. Bytes are pulled from the socket
    only as the consumer asks, so a slow disk slows the sender, and nothing is ever held whole.
    """

    def __init__(self, request: Request, max_bytes: int) -> None:
        """`max_bytes` bounds the whole body. Raises InvalidRequest when it is not multipart."""
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequest("Send the file as multipart/form-data in a field named file.", code="invalid_value")
        self._chunks = request.stream().__aiter__()
        self._max_bytes = max_bytes
        self._size = 0
        self._events: list[tuple[str, Any]] = []
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    async def next_part(self) -> Upload | None:
        """The next part, or None at the end. What is left of the current one is read and dropped."""
        while True:
            while self._events:
                kind, value = self._events.pop(0)
                if kind == "part":
                    part: Upload = value
                    return part
            if not await self._fill():
                return None

    async def part_bytes(self) -> AsyncIterator[bytes]:
        """The current part's bytes, to its end."""
        while True:
            while self._events and self._events[0][0] != "part":
                kind, value = self._events.pop(0)
                if kind == "end":
                    return
                yield value
            if self._events or not await self._fill():
                raise InvalidRequest("The upload broke off before its end: send it again.", code="invalid_value")

    async def _fill(self) -> bool:
        if self._ended:
            return False
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return False
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise TooLarge(
                f"The upload is larger than {self._max_bytes // 1_048_576} MiB: send less, or raise MAX_UPLOAD_MB.",
                headers={"connection": "close"},
            )
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise InvalidRequest("The multipart body is malformed.", code="invalid_value") from None
        return True

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"Send at most {MAX_PARTS} parts in one request.", code="invalid_value")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        filename = options.get(b"filename")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        text = None if filename is None else filename.decode("utf-8", "replace")
        self._events.append(("part", Upload(name, text)))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(("data", data[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(("end", None))

    def _on_end(self) -> None:
        self._ended = True


async def field_text(reader: MultipartReader) -> str:
    """The current part as text. Raises InvalidRequest when it is too long for a field."""
    raw = b""
    async for piece in reader.part_bytes():
        raw += piece
        if len(raw) > MAX_FIELD_BYTES:
            raise InvalidRequest("A form field is too long.", code="invalid_value")
    return raw.decode("utf-8", "replace")
