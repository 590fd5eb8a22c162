"""Pages of a PDF as pictures over HTTP: whose they are, what is refused, how they are kept."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from backend.models.errors import UnsupportedFile, WorkerFailed
from backend.models.run import SERVER
from backend.tasks.page_images import PageImages
from backend.utils.auth import DUMMY_HASH
from backend.workers.port import Limits
from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "The marsh harrier nests in the reeds of the northern bay."


def survey() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842))
    for text in ("The first page.", SENTENCE):
        canvas.drawString(80, 700, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("pages")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def files(house: House) -> dict[str, str]:
    """Ids by name: a PDF of two pages and a text."""
    ids = {}
    for name, data in {"survey.pdf": survey(), "notes.txt": SENTENCE.encode()}.items():
        ids[name] = (await house.client.post("/api/files/upload", files={"file": (name, data)})).json()["file_id"]
        states = [each.status async for each in house.services.ingest.events(house.owner, ids[name])]
        assert states[-1] == "ready"
    return ids


def at(file_id: str, page: int = 2) -> str:
    return f"/api/files/documents/{file_id}/pages/{page}"


async def test_page_is_a_png_of_the_width_that_was_asked_for(house: House, files: dict[str, str]) -> None:
    answer = await house.client.get(f"{at(files['survey.pdf'])}/image?width=480")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).width == 480
    assert answer.headers["cache-control"] == "private, no-cache"
    again = await house.client.get(
        f"{at(files['survey.pdf'])}/image?width=480", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    other = await house.client.get(f"{at(files['survey.pdf'], 1)}/image?width=480")
    assert other.headers["etag"] != answer.headers["etag"]


async def test_passage_is_found_on_its_page_alone(house: House, files: dict[str, str]) -> None:
    here = await house.client.post(f"{at(files['survey.pdf'])}/marks", json={"quote": SENTENCE})
    assert here.status_code == 200 and here.json()["found"] is True
    (rect,) = here.json()["rects"]
    assert rect[0] == pytest.approx(80 / 595, abs=0.01) and rect[1] < 1 - 700 / 842 < rect[3]
    elsewhere = await house.client.post(f"{at(files['survey.pdf'], 1)}/marks", json={"quote": SENTENCE})
    assert elsewhere.json() == {"found": False, "rects": []}


async def test_page_tells_its_unit_form_and_kind(house: House, files: dict[str, str]) -> None:
    page = (await house.client.get(at(files["survey.pdf"]))).json()
    assert (page["unit"], page["label"], page["scanned"], page["content_type"]) == (
        "page",
        "",
        False,
        "application/pdf",
    )
    assert page["form"] in ("markdown", "plain")
    assert (await house.client.get(f"/api/files/documents/{files['survey.pdf']}")).json()["unit"] == "page"


@pytest.mark.parametrize(
    ("name", "page", "status", "says"),
    [
        pytest.param("notes.txt", 1, 415, "Only the pages of a PDF", id="no-pdf"),
        pytest.param("survey.pdf", 3, 404, "there is no page 3", id="beyond-the-end"),
        pytest.param("survey.pdf", 0, 404, "there is no page 0", id="zero"),
        pytest.param("survey.pdf", -1, 404, "there is no page -1", id="negative"),
        pytest.param("survey.pdf", 10**30, 404, "there is no page", id="huge"),
    ],
)
async def test_what_cannot_be_shown_is_refused_with_a_sentence(
    house: House, files: dict[str, str], name: str, page: int, status: int, says: str
) -> None:
    for answer in (
        await house.client.get(f"{at(files[name], page)}/image"),
        await house.client.post(f"{at(files[name], page)}/marks", json={"quote": "words"}),
    ):
        assert answer.status_code == status
        assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize("width", ["199", "2401", "0", "-5", "wide", "9" * 40])
async def test_up_2_width_is_bounded(house: House, files: dict[str, str], width: str) -> None:
    answer = await house.client.get(f"{at(files['survey.pdf'])}/image?width={width}")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "body", [{}, {"quote": ""}, {"quote": 5}, {"quote": "x" * 20_001}, {"quote": "x", "more": 1}, []]
)
async def test_passage_must_be_a_text_of_bounded_length(house: House, files: dict[str, str], body: Any) -> None:
    answer = await house.client.post(f"{at(files['survey.pdf'])}/marks", json=body)
    assert answer.status_code == 400


async def test_own_1_strangers_and_other_users_see_no_page(house: House, files: dict[str, str]) -> None:
    user = await house.services.stores.users.add_user(SERVER, "mallory", DUMMY_HASH, "user")
    _, key = await house.services.sign_in.create_key(user.owner)
    mallory = {"authorization": f"Bearer {key}"}
    path = at(files["survey.pdf"])
    assert (await house.stranger.get(f"{path}/image")).status_code == 401
    assert (await house.stranger.post(f"{path}/marks", json={"quote": "x"})).status_code == 401
    await house.client.get(f"{path}/image?width=480")
    theirs = await house.stranger.get(f"{path}/image?width=480", headers=mallory)
    missing = await house.stranger.get(f"{at('file-' + '0' * 46)}/image?width=480", headers=mallory)
    assert (theirs.status_code, missing.status_code) == (404, 404)
    marks = await house.stranger.post(f"{path}/marks", json={"quote": SENTENCE}, headers=mallory)
    assert marks.status_code == 404 and "harrier" not in marks.text


async def test_reader_of_a_shared_collection_sees_the_page_until_it_is_shared_no_longer(
    house: House, files: dict[str, str]
) -> None:
    user = await house.services.stores.users.add_user(SERVER, "carol", DUMMY_HASH, "user")
    _, key = await house.services.sign_in.create_key(user.owner)
    carol = {"authorization": f"Bearer {key}"}
    path = f"{at(files['survey.pdf'])}/image?width=480"
    made = await house.client.post("/v1/vector_stores", json={"name": "Birds", "file_ids": [files["survey.pdf"]]})
    readers = f"/api/collections/{made.json()['id']}/readers"
    assert (await house.client.put(readers, json={"users": ["carol"]})).status_code == 200
    assert (await house.stranger.get(path, headers=carol)).status_code == 200
    await house.client.put(readers, json={"users": []})
    assert (await house.stranger.get(path, headers=carol)).status_code == 404


class Renderer:
    """A worker whose pictures have `size` bytes; `fails` is the reason it gives instead."""

    def __init__(self, size: int = 1000, fails: str = "") -> None:
        self.size = size
        self.fails = fails
        self.pages: list[int] = []

    async def run(self, job: str, payload: Mapping[str, Any], *, limits: Limits, on_progress: Any = None) -> Any:
        self.pages.append(payload["page"])
        if self.fails:
            raise WorkerFailed("The page is odd.", reason=self.fails)
        return {"png": base64.b64encode(bytes([payload["page"]]) * self.size).decode(), "width": 1, "height": 1}

    async def aclose(self) -> None:
        """Nothing to close."""


async def test_pages_are_kept_up_to_so_many_bytes(house: House, files: dict[str, str]) -> None:
    documents = house.services.stores.documents
    document = await documents.get(house.owner, files["survey.pdf"])
    worker = Renderer()
    pages = PageImages(documents, worker, cache_bytes=4_500)
    for width in (400, 500, 600, 400, 700, 800, 400, 500):
        await pages.image(house.owner, document, 1, width)
    assert len(worker.pages) == 6, "400 stays as it is used again; 500 made room for 800"
    large = Renderer(size=2_000)
    pages = PageImages(documents, large, cache_bytes=4_500)
    for _ in range(2):
        await pages.image(house.owner, document, 2, 400)
    assert len(large.pages) == 2, "one picture alone does not fill the memory"


@pytest.mark.parametrize(
    ("reason", "says"),
    [("refused", "The page is odd."), ("timeout", "too large or too complicated"), ("memory", "too")],
)
async def test_up_3_page_that_breaks_the_worker_is_refused(
    house: House, files: dict[str, str], reason: str, says: str
) -> None:
    documents = house.services.stores.documents
    document = await documents.get(house.owner, files["survey.pdf"])
    with pytest.raises(UnsupportedFile, match=says):
        await PageImages(documents, Renderer(fails=reason)).image(house.owner, document, 1, 400)
