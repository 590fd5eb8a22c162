"""Multipart bodies, read in pieces of every size."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from backend.api.uploads import MAX_PARTS, MultipartReader, field_text
from backend.models.errors import InvalidRequest, TooLarge


def request_of(body: bytes, piece: int, content_type: str = "multipart/form-data; boundary=b") -> Request:
    parts = [body[n : n + piece] for n in range(0, len(body), piece)]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": parts.pop(0) if parts else b"", "more_body": bool(parts)}

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


END = b"--b--\r\n"


async def read(reader: MultipartReader) -> list[tuple[str, str | None, bytes]]:
    out = []
    while (found := await reader.next_part()) is not None:
        out.append((found.name, found.filename, b"".join([piece async for piece in reader.part_bytes()])))
    return out


@pytest.mark.parametrize("piece", [1, 2, 7, 64, 100_000])
async def test_parts_come_whole_whatever_the_pieces(piece: int) -> None:
    tricky = b"line\r\n--not the boundary\r\n" + bytes(range(256))
    body = part("purpose", b"assistants") + part("file", tricky, "a.bin") + part("file", b"", "empty.txt") + END
    assert await read(MultipartReader(request_of(body, piece), 10_000)) == [
        ("purpose", None, b"assistants"),
        ("file", "a.bin", tricky),
        ("file", "empty.txt", b""),
    ]


async def test_unread_parts_are_passed_over() -> None:
    reader = MultipartReader(request_of(part("file", b"x" * 500, "a") + part("file", b"two", "b") + END, 13), 10_000)
    assert (await reader.next_part()).filename == "a"  # type: ignore[union-attr]
    assert (await reader.next_part()).filename == "b"  # type: ignore[union-attr]


async def test_up_1_reading_stops_at_the_limit() -> None:
    taken = 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 1
        head = part("file", b"", "a")[:-2] if taken == 1 else b"x" * 1000
        return {"type": "http.request", "body": head, "more_body": True}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    reader = MultipartReader(request, 5000)
    with pytest.raises(TooLarge) as caught:
        await read(reader)
    assert caught.value.headers["connection"] == "close"
    assert taken < 10


async def test_cut_body_is_an_error_not_a_short_file() -> None:
    body = part("file", b"x" * 500, "a")[:300]
    with pytest.raises(InvalidRequest, match="broke off"):
        await read(MultipartReader(request_of(body, 50), 10_000))


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"])
async def test_other_bodies_are_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="multipart"):
        MultipartReader(request_of(b"", 10, content_type), 1000)


async def test_up_1_too_many_parts_are_refused() -> None:
    body = b"".join(part(f"f{n}", b"") for n in range(MAX_PARTS + 1)) + END
    with pytest.raises(InvalidRequest, match="at most"):
        await read(MultipartReader(request_of(body, 1000), 100_000))


async def test_up_1_huge_part_headers_are_refused() -> None:
    body = b"--b\r\nX-Big: " + b"a" * 20_000 + b"\r\n\r\n\r\n" + END
    with pytest.raises(InvalidRequest, match="malformed"):
        await read(MultipartReader(request_of(body, 1000), 100_000))


async def test_fields_are_bounded() -> None:
    reader = MultipartReader(request_of(part("purpose", b"x" * 70_000) + END, 4096), 200_000)
    await reader.next_part()
    with pytest.raises(InvalidRequest, match="too long"):
        await field_text(reader)
