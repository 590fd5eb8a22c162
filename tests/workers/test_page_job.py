"""Pages as pictures, and where a passage stands on them: on real PDFs, turned, cropped, in columns and damaged ones."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from backend.models.errors import WorkerFailed
from backend.tasks.page_images import FIND_JOB, FIND_LIMITS, RENDER_JOB, RENDER_LIMITS
from backend.workers.jobs.page_job import find, render
from backend.workers.jobs.page_job_find import fold, stretches
from backend.workers.port import Refusal
from backend.workers.process import ProcessWorker

SENTENCE = "The marsh harrier nests in the reeds of the northern bay."


def pdf(folder: Path, *pages: list[tuple[float, float, str]], rotate: int = 0, crop: bool = False) -> str:
    """A PDF of A4 pages with texts at (x, y) points from the bottom left."""
    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import RectangleObject
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842))
    for texts in pages:
        for x, y, words in texts:
            canvas.drawString(x, y, words)
        canvas.showPage()
    canvas.save()
    writer = PdfWriter(clone_from=PdfReader(out))
    for page in writer.pages:
        if rotate:
            page.rotate(rotate)
        if crop:
            page.cropbox = RectangleObject((50, 400, 550, 800))
    path = folder / "made.pdf"
    with path.open("wb") as file:
        writer.write(file)
    return str(path)


def ink(path: str, page: int, box: list[float]) -> float:
    """How much of a rectangle is not white."""
    made = render(path, page, 1000)
    picture = Image.open(io.BytesIO(base64.b64decode(made["png"]))).convert("L")
    x0, y0, x1, y1 = (value * size for value, size in zip(box, (*picture.size, *picture.size), strict=True))
    part = picture.crop((int(x0), int(y0), int(x1) + 1, int(y1) + 1))
    return sum(part.histogram()[:128]) / (part.width * part.height)


@pytest.mark.parametrize(("width", "height"), [(400, 566), (1200, 1698)])
def test_picture_has_the_width_that_was_asked_for_and_the_shape_of_the_page(
    tmp_path: Path, width: int, height: int
) -> None:
    made = render(pdf(tmp_path, [(100, 700, SENTENCE)]), 1, width)
    picture = Image.open(io.BytesIO(base64.b64decode(made["png"])))
    assert picture.format == "PNG"
    assert picture.size == (made["width"], made["height"])
    assert picture.size == (pytest.approx(width, abs=1), pytest.approx(height, abs=2))


def test_endless_page_is_shown_smaller_instead_of_filling_the_memory(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "long.pdf"
    canvas = Canvas(str(path), pagesize=(100, 14_000))
    canvas.drawString(10, 13_900, "top")
    canvas.save()
    made = render(str(path), 1, 2400)
    assert made["height"] <= 5 * 2400 + 1 and made["width"] < 100


@pytest.mark.parametrize(
    ("rotate", "crop"),
    [pytest.param(0, False, id="plain"), pytest.param(90, False, id="turned"), pytest.param(180, True, id="both")],
)
def test_rectangle_lies_on_the_passage_however_the_page_lies(tmp_path: Path, rotate: int, crop: bool) -> None:
    path = pdf(tmp_path, [(100, 700, SENTENCE), (100, 500, "Something else.")], rotate=rotate, crop=crop)
    found = find(path, 1, SENTENCE)
    (rect,) = found["rects"]
    assert all(0 <= value <= 1 for value in rect)
    assert ink(path, 1, rect) > 0.05
    around = [rect[0] - 0.01, rect[1] - 0.01, rect[2] + 0.01, rect[3] + 0.01]
    assert ink(path, 1, around) < ink(path, 1, rect), "nothing else beside it"
    across, down = rect[2] - rect[0], rect[3] - rect[1]
    assert (down > 0.3 and across < 0.05) if rotate == 90 else (across > 0.4 and down < 0.05)


def test_passage_over_several_lines_has_a_rectangle_for_each(tmp_path: Path) -> None:
    lines = ["Either side may end the employ-", "ment with a notice period of", "three months. Not more."]
    path = pdf(tmp_path, [(80, 700 - 14 * n, line) for n, line in enumerate(lines)])
    rects = find(path, 1, "# Notice\n\nEither side may end the employment with a **notice period** of three months.")[
        "rects"
    ]
    assert len(rects) == 3
    assert [rect[1] for rect in rects] == sorted(rect[1] for rect in rects)
    assert rects[2][2] < rects[0][2], "the last line only as far as the passage goes"


def test_columns_drawn_in_another_order_are_marked_each(tmp_path: Path) -> None:
    left = [(60, 700 - 14 * n, f"Left column line {n} tells of the harbour.") for n in range(3)]
    right = [(330, 700 - 14 * n, f"Right column line {n} tells of trains.") for n in range(3)]
    across = [text for pair in zip(right, left, strict=True) for text in pair]
    found = find(pdf(tmp_path, across), 1, "\n".join(words for *_, words in [*left, *right]))
    assert len(found["rects"]) == 6


def test_table_written_as_markdown_is_found_in_its_cells(tmp_path: Path) -> None:
    rows = [("Route", "Adult"), ("Kielstad to Nordhavn", "38.50 euros"), ("Nordhavn to Ostrup", "21.20 euros")]
    texts = [(60 + 250 * c, 600 - 20 * r, cell) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    path = pdf(tmp_path, [*texts, (60, 400, "Dogs travel free of charge.")])
    markdown = (
        "| Route | Adult |\n|---|---|\n| Kielstad to Nordhavn | 38.50 euros |\n| Nordhavn to Ostrup | 21.20 euros |"
    )
    rects = find(path, 1, markdown)["rects"]
    assert len(rects) == 6 and all(rect[3] < 0.5 for rect in rects)


@pytest.mark.parametrize("passage", ["This sentence stands on no page of any kind.", "...", "# |---|"])
def test_passage_that_is_not_there_has_no_rectangles(tmp_path: Path, passage: str) -> None:
    assert find(pdf(tmp_path, [(100, 700, SENTENCE)]), 1, passage) == {"found": False, "rects": []}


def test_words_elsewhere_on_the_page_are_not_marked() -> None:
    page = (
        "The harbour is old. "
        + "Other words fill the page here and there. " * 20
        + "Ferries leave the harbour at nine sharp."
    )
    passage = "Ferries leave the harbour at nine sharp."
    folded = fold(page)
    assert [page[folded.places[a] : folded.places[b - 1] + 1] for a, b in stretches(folded, fold(passage))] == [
        passage[:-1]
    ]


def test_passage_that_goes_on_overleaf_is_marked_as_far_as_it_goes() -> None:
    page = fold("He wrote that the lamp burnt rape oil for eighty years")
    passage = fold("the lamp burnt rape oil for eighty years, and then gas took its place in the tower.")
    ((begin, end),) = stretches(page, passage)
    assert page.letters[begin:end] == "thelampburntrapeoilforeightyyears"


def test_up_5_ligatures_letters_of_other_scripts_and_long_texts_end_in_time() -> None:
    assert stretches(fold("The \ufb01rst caf\u00e9"), fold("the first cafe\u0301")) == [(0, 12)]
    assert stretches(fold("\u5e74\u5ea6\u62a5\u544a\u8425\u4e1a\u6536\u5165"), fold("\u8425\u4e1a\u6536\u5165")) == [
        (4, 8)
    ]
    same = fold("abcdefg " * 8_000)
    assert stretches(same, fold("abcdefg " * 2_000))
    assert stretches(same, fold("abcdefh " * 2_000)) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "damaged", id="empty"),
        pytest.param(b"%PDF-1.7 and nothing more", "damaged", id="truncated"),
        pytest.param(b"hello", "damaged", id="no-pdf"),
    ],
)
def test_damaged_file_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(content)
    for job in (lambda: render(str(path), 1, 400), lambda: find(str(path), 1, "words")):
        with pytest.raises(Refusal, match=says):
            job()


def test_encrypted_file_and_missing_page_are_refused(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    path = pdf(tmp_path, [(100, 700, SENTENCE)])
    with pytest.raises(Refusal, match="there is no page 2"):
        render(path, 2, 400)
    writer = PdfWriter(clone_from=PdfReader(path))
    writer.encrypt("secret")
    locked = tmp_path / "locked.pdf"
    with locked.open("wb") as file:
        writer.write(file)
    with pytest.raises(Refusal, match="protected by a password"):
        render(str(locked), 1, 400)


@pytest.fixture
async def worker() -> AsyncIterator[ProcessWorker]:
    made = ProcessWorker()
    yield made
    await made.aclose()


@pytest.mark.slow
async def test_up_3_both_jobs_run_in_the_worker_under_their_limits(worker: ProcessWorker, tmp_path: Path) -> None:
    path = pdf(tmp_path, [(100, 700, SENTENCE)])
    made = await worker.run(RENDER_JOB, {"path": path, "page": 1, "width": 2400}, limits=RENDER_LIMITS)
    assert made["width"] == pytest.approx(2400, abs=1)
    found = await worker.run(FIND_JOB, {"path": path, "page": 1, "passage": SENTENCE}, limits=FIND_LIMITS)
    assert found["found"]
    (tmp_path / "made.pdf").write_bytes(b"no longer")
    with pytest.raises(WorkerFailed, match="damaged"):
        await worker.run(FIND_JOB, {"path": path, "page": 1, "passage": SENTENCE}, limits=FIND_LIMITS)
