"""Pictures inside a request and those uploaded before: decoded, judged by their bytes, kept to their owner."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.api.pictures import media_type_of, picture_of, stored_pictures
from backend.models.errors import InvalidRequest
from backend.models.run import Owner
from tests.fakes.stores import FakeDocuments

OWNER, OTHER = Owner("default", "u1"), Owner("default", "u2")
PNG = b"\x89PNG\r\n\x1a\n..."
BYTES = {
    "png": (PNG, "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0..", "image/jpeg"),
    "gif": (b"GIF89a..", "image/gif"),
    "webp": (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    "wave": (b"RIFF\0\0\0\0WAVEfmt ", None),
    "svg": (b"<svg xmlns='x'/>", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("name", BYTES)
def test_kind_of_a_picture_is_told_by_its_bytes(name: str) -> None:
    data, kind = BYTES[name]
    assert media_type_of(data) == kind


@pytest.mark.parametrize("head", ["data:image/png;base64,", "data:IMAGE/PNG;charset=x;base64,"])
def test_data_url_is_decoded(head: str) -> None:
    found = picture_of(head + base64.b64encode(PNG).decode(), "input.0")
    assert (found.media_type, found.data) == ("image/png", PNG)


@pytest.mark.parametrize(
    "url", ["", "http://x/a.png", "data:,x", "data:image/png,x", "data:image/png;base64,", "data:image/png;base64,é"]
)
def test_everything_else_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        picture_of(url, "input.0")
    assert (caught.value.param, caught.value.code) == ("input.0", "invalid_value")


def naming(*file_ids: str) -> list[dict[str, Any]]:
    parts = [{"type": "input_image", "file_id": file_id} for file_id in file_ids]
    return [{"type": "message", "content": [*parts, {"type": "input_text", "text": "x"}]}, {"type": "reasoning"}]


async def uploaded(documents: FakeDocuments, name: str, data: bytes) -> str:
    async def parts() -> AsyncIterator[bytes]:
        yield data

    return (await documents.receive(OWNER, name, parts(), 1_000)).file_id


async def test_iso_3_stored_picture_is_found_by_its_owner_alone(tmp_path: Path) -> None:
    documents = FakeDocuments(tmp_path)
    file_id = await uploaded(documents, "dot.png", PNG)
    found = await stored_pictures(documents, OWNER, naming(file_id, "file-none"))
    assert {key: picture.data for key, picture in found.items()} == {file_id: PNG}
    assert await stored_pictures(documents, OTHER, naming(file_id)) == {}
    (tmp_path / file_id).unlink()
    assert await stored_pictures(documents, OWNER, naming(file_id)) == {}


async def test_stored_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    documents = FakeDocuments(tmp_path)
    file_id = await uploaded(documents, "note.png", b"just words")
    with pytest.raises(InvalidRequest, match="picture"):
        await stored_pictures(documents, OWNER, naming(file_id))
