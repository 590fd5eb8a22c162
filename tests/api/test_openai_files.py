"""/v1/files and /v1/uploads on the wire: the objects, the lists, and every refusal by status, type, code and param."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from backend.models.run import SERVER
from backend.utils.auth import DUMMY_HASH
from tests.api.house import House, open_house

PNG = b"\x89PNG\r\n\x1a\npixels"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("files"), max_upload_mb=0.05) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(house: House, name: str, data: bytes, purpose: str = "batch", **fields: str) -> dict[str, Any]:
    answer = await house.client.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose, **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response, status: int, param: str | None, code: str | None) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code), error
    assert answer.headers["x-request-id"] and "Traceback" not in answer.text and len(error["message"]) < 500


async def test_the_file_object_is_exactly_that_of_the_contract(house: House) -> None:
    made = await put(house, "exact.jsonl", b'{"exact": 1}', "evals")
    assert re.fullmatch(r"file-[0-9a-f]+", made["id"])
    assert type(made["created_at"]) is int
    assert made == {
        "id": made["id"],
        "object": "file",
        "bytes": 12,
        "created_at": made["created_at"],
        "expires_at": None,
        "filename": "exact.jsonl",
        "purpose": "evals",
        "status": "processed",
        "status_details": None,
    }
    assert (await house.client.get(f"/v1/files/{made['id']}")).json() == made
    assert (await house.client.get(f"/api/files/documents/{made['id']}")).json()["filename"] == "exact.jsonl"


async def test_content_comes_back_as_it_was_and_never_in_place(house: House) -> None:
    made = await put(house, "page.html", b"<script>alert(1)</script>", "evals")
    answer = await house.client.get(f"/v1/files/{made['id']}/content")
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_deleted_file_is_gone(house: House) -> None:
    made = await put(house, "gone.jsonl", b"gone")
    answer = await house.client.delete(f"/v1/files/{made['id']}")
    assert answer.json() == {"id": made["id"], "object": "file", "deleted": True}
    for call in (
        house.client.get(f"/v1/files/{made['id']}"),
        house.client.get(f"/v1/files/{made['id']}/content"),
        house.client.delete(f"/v1/files/{made['id']}"),
    ):
        refused(await call, 404, None, "not_found")


def form(*parts: tuple[str, str | None, bytes]) -> dict[str, Any]:
    """A multipart body of fields and files in exactly this order."""
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return {"content": body + b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}


@pytest.mark.parametrize("before", range(4))
async def test_fields_may_come_before_and_after_the_file(house: House, before: int) -> None:
    fields: list[tuple[str, str | None, bytes]] = [
        ("purpose", None, b"vision"),
        ("expires_after[anchor]", None, b"created_at"),
        ("expires_after[seconds]", None, b"3600"),
    ]
    fields.insert(before, ("file", "a.png", PNG + b"%d" % before))
    made = (await house.client.post("/v1/files", **form(*fields))).json()
    assert (made["purpose"], made["expires_at"] - made["created_at"]) == ("vision", 3600)


async def test_a_purpose_may_be_left_out(house: House) -> None:
    made = (await house.client.post("/v1/files", files={"file": ("none.txt", b"no purpose")})).json()
    assert made["purpose"] == "user_data"


async def test_batch_files_expire_after_thirty_days(house: House) -> None:
    made = await put(house, "b.jsonl", b"thirty days")
    assert made["expires_at"] - made["created_at"] == 30 * 86_400


@pytest.mark.parametrize("seconds", ["3600", "2592000"])
async def test_the_longest_and_the_shortest_life(house: House, seconds: str) -> None:
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": seconds}
    made = await put(house, "l.jsonl", seconds.encode(), "evals", **fields)
    assert made["expires_at"] - made["created_at"] == int(seconds)


async def test_what_cannot_be_read_is_an_error_with_the_reason(house: House) -> None:
    made = await put(house, "a.zip", b"PK\x03\x04zip", "user_data")
    assert made["status"] == "error" and ".zip" in made["status_details"]
    content = await house.client.get(f"/v1/files/{made['id']}/content")
    assert content.status_code == 404 and "could not be read" in content.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("it's & co.txt", "it's & co.txt"),
        ("日本語.txt", "日本語.txt"),
        ("x" * 400 + ".txt", "x" * 251 + ".txt"),
        ("", "document"),
    ],
)
async def test_fs_1_names_are_text_and_never_paths(house: House, name: str, shown: str) -> None:
    body = form(("file", name, f"named {name}".encode()), ("purpose", None, b"evals"))
    made = (await house.client.post("/v1/files", **body)).json()
    assert made["filename"] == shown
    answer = await house.client.get(f"/v1/files/{made['id']}/content")
    assert "\n" not in answer.headers["content-disposition"]


ANCHORED = {"expires_after[anchor]": "created_at"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "world-domination"}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "assistants_output"}, "purpose"),
        ({"expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        ({"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        (ANCHORED, "expires_after[seconds]"),
        ({**ANCHORED, "expires_after[seconds]": "3599"}, "expires_after[seconds]"),
        ({**ANCHORED, "expires_after[seconds]": "2592001"}, "expires_after[seconds]"),
        ({**ANCHORED, "expires_after[seconds]": "-3600"}, "expires_after[seconds]"),
        ({**ANCHORED, "expires_after[seconds]": "1e5"}, "expires_after[seconds]"),
        ({**ANCHORED, "expires_after[seconds]": "9" * 5000}, "expires_after[seconds]"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_bad_fields_of_an_upload(house: House, fields: dict[str, str], param: str) -> None:
    before = (await house.client.get("/v1/files")).json()["data"]
    answer = await house.client.post(
        "/v1/files", files={"file": ("bad.txt", str(fields).encode())}, data={"purpose": "evals", **fields}
    )
    refused(answer, 400, param, "invalid_value")
    assert (await house.client.get("/v1/files")).json()["data"] == before


@pytest.mark.parametrize(
    ("sent", "status", "param", "code"),
    [
        ({"json": {"purpose": "batch"}}, 400, None, "invalid_value"),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400, None, "invalid_value"),
        (form(("purpose", None, b"batch")), 400, "file", "invalid_value"),
        (form(("file", None, b"no file name")), 400, "file", "invalid_value"),
        (form(("document", "a.txt", b"other field")), 400, "file", "invalid_value"),
        (form(("file", "a.txt", b"one"), ("file", "b.txt", b"two")), 400, "file", "invalid_value"),
        (form(("file", "a.txt", b"")), 400, "file", "invalid_value"),
        (form(("file", "a.txt", b"x" * 52_429)), 413, "file", "too_large"),
        (form(("file", "a.txt", b"x" * 2_000_000)), 413, "file", "too_large"),
        ({**form(("file", "a.txt", b"cut")), "content": form(("file", "a.txt", b"cut off"))["content"][:80]}, 400, None,
         "invalid_value"),
    ],
    ids=["json", "no boundary", "no file", "no name", "other name", "two", "empty", "large", "larger", "cut"],
)  # fmt: skip
async def test_up_1_bad_uploads(house: House, sent: dict[str, Any], status: int, param: str, code: str) -> None:
    before = (await house.client.get("/v1/files")).json()["data"]
    answer = await house.client.post("/v1/files", **sent)
    refused(answer, status, param, code)
    if status == 413:
        assert answer.headers["connection"] == "close"
    assert (await house.client.get("/v1/files")).json()["data"] == before


# ---- lists ------------------------------------------------------------------------------------------------


async def test_a_list_is_paged_to_its_end(house: House) -> None:
    made = [(await put(house, f"{n}.jsonl", b"paged %d" % n, "fine-tune"))["id"] for n in range(3)]
    url = "/v1/files?purpose=fine-tune&limit=2"
    first = (await house.client.get(url)).json()
    assert set(first) == {"object", "data", "first_id", "last_id", "has_more"}
    assert (first["object"], first["first_id"], first["last_id"]) == ("list", made[2], made[1])
    assert first["has_more"] is True
    rest = (await house.client.get(f"{url}&after={first['last_id']}")).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([made[0]], False)
    none = (await house.client.get(f"{url}&after={made[0]}")).json()
    assert none == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    asc = (await house.client.get(f"{url}&order=asc")).json()
    assert [each["id"] for each in asc["data"]] == made[:2]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=10001", "limit"),
        ("limit=many", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("order=sideways", "order"),
        ("purpose=nonsense", "purpose"),
        ("after=file-unknown", "after"),
        ("after=" + "x" * 5000, "after"),
        ("after=..%2F..%2Fetc", "after"),
        ("after=%00", "after"),
    ],
)
async def test_bad_queries(house: House, query: str, param: str) -> None:
    refused(await house.client.get(f"/v1/files?{query}"), 400, param, "invalid_value")


# ---- ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_id", ["file-unknown", "x", "..", "a%2Fb", "%00", "file-" + "a" * 500, "file-é"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
async def test_ids_that_there_are_not(house: House, method: str, rest: str, file_id: str) -> None:
    answer = await house.client.request(method, f"/v1/files/{file_id}{rest}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def stranger_of(house: House) -> httpx.AsyncClient:
    name = f"user{len(await house.services.stores.users.list_users(SERVER))}"
    user = await house.services.stores.users.add_user(SERVER, name, DUMMY_HASH, "user")
    _, key = await house.services.sign_in.create_key(user.owner)
    transport = httpx.ASGITransport(house.app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"}
    )


async def test_iso_2_iso_3_files_of_others_are_like_missing_ones(house: House) -> None:
    made = await put(house, "mine.jsonl", b"mine")
    async with await stranger_of(house) as stranger:
        for method, rest in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            foreign = await stranger.request(method, f"/v1/files/{made['id']}{rest}")
            missing = await stranger.request(method, f"/v1/files/file-{'0' * 46}{rest}")
            refused(foreign, 404, None, "not_found")
            assert foreign.json() == missing.json()
        assert (await stranger.get("/v1/files")).json()["data"] == []
    assert (await house.client.get(f"/v1/files/{made['id']}/content")).content == b"mine"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("GET", ""), ("GET", "/file-1"), ("DELETE", "/file-1"), ("GET", "/file-1/content")],
)
async def test_auth_nothing_without_a_key(house: House, method: str, path: str) -> None:
    answer = await house.stranger.request(method, f"/v1/files{path}")
    refused(answer, 401, None, "invalid_api_key")


# ---- uploads in parts ---------------------------------------------------------------------------------------

GOOD = {"bytes": 10, "filename": "big.txt", "mime_type": "text/plain", "purpose": "batch"}


async def begin(house: House, **change: Any) -> str:
    answer = await house.client.post("/v1/uploads", json={**GOOD, **change})
    assert answer.status_code == 200, answer.text
    upload_id: str = answer.json()["id"]
    return upload_id


async def add(house: House, upload_id: str, data: bytes) -> httpx.Response:
    return await house.client.post(f"/v1/uploads/{upload_id}/parts", files={"data": ("blob", data)})


async def test_an_upload_from_beginning_to_end(house: House) -> None:
    answer = await house.client.post("/v1/uploads", json={**GOOD, "expires_after": None, "foreign": 1})
    upload = answer.json()
    assert upload == {
        "id": upload["id"],
        "object": "upload",
        "bytes": 10,
        "created_at": upload["created_at"],
        "expires_at": upload["expires_at"],
        "filename": "big.txt",
        "purpose": "batch",
        "status": "pending",
        "file": None,
    }
    assert upload["expires_at"] - upload["created_at"] in (3599, 3600, 3601)
    one, two = [(await add(house, upload["id"], data)).json() for data in (b"56789", b"01234")]
    assert set(one) == {"id", "object", "created_at", "upload_id"}
    assert (one["object"], one["upload_id"]) == ("upload.part", upload["id"])
    url = f"/v1/uploads/{upload['id']}/complete"
    done = (await house.client.post(url, json={"part_ids": [two["id"], one["id"]], "md5": None})).json()
    assert (done["status"], done["file"]["object"], done["file"]["filename"]) == ("completed", "file", "big.txt")
    content = await house.client.get(f"/v1/files/{done['file']['id']}/content")
    assert content.content == b"0123456789"
    refused(await house.client.post(f"/v1/uploads/{upload['id']}/cancel"), 400, "upload_id", "invalid_value")


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"bytes": 0}, 400, "bytes", "invalid_value"),
        ({"bytes": -5}, 400, "bytes", "invalid_value"),
        ({"bytes": None}, 400, "bytes", "invalid_value"),
        ({"bytes": 52_429}, 413, "bytes", "too_large"),
        ({"bytes": 10**18}, 413, "bytes", "too_large"),
        ({"filename": ""}, 400, "filename", "invalid_value"),
        ({"filename": None}, 400, "filename", "invalid_value"),
        ({"mime_type": 5}, 400, "mime_type", "invalid_value"),
        ({"purpose": "fun"}, 400, "purpose", "invalid_value"),
        ({"expires_after": {"anchor": "created_at"}}, 400, "expires_after.seconds", "invalid_value"),
        ({"expires_after": {"anchor": "x", "seconds": 3600}}, 400, "expires_after.anchor", "invalid_value"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, 400, "expires_after.seconds", "invalid_value"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_uploads_that_cannot_begin(
    house: House, change: dict[str, Any], status: int, param: str, code: str
) -> None:
    refused(await house.client.post("/v1/uploads", json={**GOOD, **change}), status, param, code)


async def test_bad_parts_and_completions(house: House) -> None:
    upload_id = await begin(house)
    refused(await add(house, upload_id, b"x" * 11), 400, "data", "invalid_value")
    refused(await add(house, upload_id, b""), 400, "data", "invalid_value")
    refused(await house.client.post(f"/v1/uploads/{upload_id}/parts", json={}), 400, None, "invalid_value")
    other = await house.client.post(f"/v1/uploads/{upload_id}/parts", files={"file": ("blob", b"x")})
    refused(other, 400, "data", "invalid_value")
    part = (await add(house, upload_id, b"x" * 10)).json()["id"]
    url = f"/v1/uploads/{upload_id}/complete"
    for body, param in (
        ({}, "part_ids"),
        ({"part_ids": []}, "part_ids"),
        ({"part_ids": "x"}, "part_ids"),
        ({"part_ids": [part, part]}, "part_ids"),
        ({"part_ids": ["part_other"]}, "part_ids"),
        ({"part_ids": [part], "md5": "0" * 32}, "md5"),
    ):
        refused(await house.client.post(url, json=body), 400, param, "invalid_value")
    cancelled = await house.client.post(f"/v1/uploads/{upload_id}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    refused(await house.client.post(url, json={"part_ids": [part]}), 400, "upload_id", "invalid_value")
    refused(await add(house, upload_id, b"x"), 400, "upload_id", "invalid_value")


@pytest.mark.parametrize("whose", ["nobody's", "another's"])
async def test_iso_3_uploads_that_are_not_ones_own(house: House, whose: str) -> None:
    upload_id = await begin(house) if whose == "another's" else "upload_none"
    async with await stranger_of(house) as stranger:
        for answer in (
            await stranger.post(f"/v1/uploads/{upload_id}/parts", files={"data": ("blob", b"x")}),
            await stranger.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": ["x"]}),
            await stranger.post(f"/v1/uploads/{upload_id}/cancel"),
        ):
            refused(answer, 404, None, "not_found")


async def test_up_5_too_many_uploads_at_a_time(house: House, tmp_path: Path) -> None:
    async with await stranger_of(house) as stranger:
        answers = [await stranger.post("/v1/uploads", json=GOOD) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
