"""PDFs that are locked, cut short, mislabelled, endless or made to explode: a clear sentence, or what can be read."""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backend.loaders import pdf
from backend.loaders.pdf import LOADER
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText
from backend.workers.port import Limits
from backend.workers.process import ProcessWorker, WorkerFailed
from tests.loaders.pdf_files import HELLO, drawn, form, lines, one_page, packed, scan, stream, with_form, written


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[ProcessWorker]:
    made = ProcessWorker()
    yield made
    await made.aclose()


def save(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def read(tmp_path: Path, content: bytes) -> list[PageText]:
    return list(LOADER.load(save(tmp_path, content)))


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(LoadRefused) as caught:
        read(tmp_path, content)
    return str(caught.value)


def pages(count: int) -> bytes:
    return drawn(*[lambda canvas: lines(canvas, ["Some text."])] * count)


def kids(count: int) -> dict[int, bytes]:
    """One page put in so many times."""
    return one_page(stream(HELLO), o2=b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"3 0 R " * count, count))


def locked(user: str, strength: int) -> bytes:
    from reportlab.lib.pdfencrypt import StandardEncryption

    secret = StandardEncryption(user, ownerPassword="owner", strength=strength)
    return drawn(lambda canvas: lines(canvas, ["Text that is encrypted"]), encrypt=secret)


@pytest.mark.parametrize("strength", [40, 128])
def test_an_empty_password_opens_and_a_real_one_is_asked_to_be_taken_off(tmp_path: Path, strength: int) -> None:
    assert [page.text for page in read(tmp_path, locked("", strength))] == ["Text that is encrypted"]
    assert "protected by a password" in refusal(tmp_path, locked("secret", strength))


def test_a_modern_cipher_with_an_empty_password_opens(tmp_path: Path) -> None:
    import pypdf

    writer = pypdf.PdfWriter(save(tmp_path, pages(2)))
    for user, said in (("", None), ("secret", "protected by a password")):
        writer.encrypt(user, "owner", algorithm="AES-256")
        writer.write(tmp_path / "file")
        if said is None:
            assert [page.text for page in LOADER.load(tmp_path / "file")] == ["Some text."] * 2
        else:
            with pytest.raises(LoadRefused, match=said):
                list(LOADER.load(tmp_path / "file"))


NO_PAGES = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [] /Count 0 >>"}
WHOLE = drawn(*[lambda canvas: lines(canvas, ["Some text of a page that is long enough."])] * 5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "not complete", id="empty"),
        pytest.param(b"hello", "not complete", id="text-under-its-name"),
        pytest.param(b"PK\x03\x04" + bytes(400) + b"%%EOF", "damaged", id="archive-under-its-name"),
        pytest.param(b"%PDF-1.7\n", "not complete", id="only-the-marker"),
        pytest.param(WHOLE[: len(WHOLE) // 2], "not complete", id="half"),
        pytest.param(WHOLE[:-60], "not complete", id="end-missing"),
        pytest.param(b"%PDF-1.7\n" + random.Random(7).randbytes(50_000) + b"%%EOF", "damaged", id="noise"),
        pytest.param(written(NO_PAGES), "has no pages", id="no-pages"),
        pytest.param(written({1: b"<< >>"}), "damaged", id="no-catalogue"),
    ],
)
def test_a_file_that_is_no_whole_pdf_is_refused_with_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    message = refusal(tmp_path, content)
    assert said in message and "upload" in message and "/" not in message


def test_up_4_more_than_1000_pages_are_refused_before_any_is_read(tmp_path: Path) -> None:
    assert refusal(tmp_path, written(kids(1001))) == "The PDF has 1,001 pages and at most 1,000 are allowed: split it."
    with pytest.raises(LoadRefused, match="10,000 pages"):
        LOADER.page_count(save(tmp_path, written(kids(10_000))))


def test_up_4_the_limits_of_pypdf_are_set_and_no_program_is_started_for_pictures() -> None:
    import pypdf

    limits = pypdf.Configuration(**pdf._LIMITS)
    bounded = [name for name in pdf._LIMITS if name.endswith(("_output_length", "_stream_length", "_buffer_size"))]
    assert len(bounded) >= 8 and all(getattr(limits, name) <= 32 * 1_048_576 for name in bounded)
    assert limits.jbig2dec_binary is None


def _bomb(mib: int) -> bytes:
    packer = zlib.compressobj(9)
    block = b" " * 1_048_576
    return b"".join(packer.compress(block) for _ in range(mib)) + packer.flush()


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(one_page(stream(_bomb(200), b"/Filter /FlateDecode ")), id="200-mib"),
        pytest.param(
            one_page(stream(zlib.compress(_bomb(200), 9), b"/Filter [/FlateDecode /FlateDecode] ")), id="twice"
        ),
        pytest.param(one_page(packed(HELLO * 1_000_000)), id="one-line-of-42-mb"),
        pytest.param(with_form(b"/X Do", o6=stream(_bomb(64), b"/Subtype /Form /Filter /FlateDecode ")), id="form"),
    ],
)
def test_up_4_a_page_that_unpacks_beyond_the_limit_is_refused(tmp_path: Path, objects: dict[int, bytes]) -> None:
    assert refusal(tmp_path, written(objects)).startswith("Page 1 of the PDF unpacks to more than 32 MiB")


FORMS = {f"o{number}": form(b"/X Do /X Do ", number + 1) for number in range(6, 40)}


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(with_form(b"/X Do " + HELLO, o6=form(b"/X Do /X Do", 6)), id="form-within-itself"),
        pytest.param(with_form(b"/X Do " + HELLO, **FORMS), id="forms-that-double-34-times"),
        pytest.param(one_page(packed(b"0 0 m 10 10 l S " * 700_000)), id="11-mb-of-lines"),
    ],
)
def test_up_4_a_page_drawn_with_too_much_counts_as_a_picture(tmp_path: Path, objects: dict[int, bytes]) -> None:
    (page,) = read(tmp_path, written(objects))
    assert page.text == "" and page.scanned


def _tree(depth: int, kids: bytes) -> dict[int, bytes]:
    nodes = {
        number: b"<< /Type /Pages /Kids [%s] /Count 1 >>" % (kids % {b"n": number + 1}) for number in range(2, depth)
    }
    leaf = b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 612 792] >>" % (depth - 1)
    return {1: b"<< /Type /Catalog /Pages 2 0 R >>", **nodes, depth: leaf}


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>"
LOOP = b"<< /Title (Loop) /Parent 6 0 R /Next 7 0 R /First 7 0 R /Dest [3 0 R /Fit] >>"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(
            one_page(stream(HELLO), o2=b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>"), id="tree-of-itself"
        ),
        pytest.param(one_page(stream(HELLO), o2=b"<< /Type /Pages /Kids [3 0 R] /Count 999999999 >>"), id="count-lies"),
        pytest.param(one_page(stream(HELLO), o2=b"<< /Type /Pages /Kids [3 0 R] /Count -5 >>"), id="count-below-zero"),
        pytest.param(one_page(stream(HELLO), o1=CATALOGUE, o6=b"<< /First 7 0 R >>", o7=LOOP), id="outline-of-itself"),
        pytest.param(one_page(stream(HELLO), o4=b"[4 0 R 4 0 R]"), id="content-of-itself"),
        pytest.param(one_page(stream(HELLO.replace(b"12 Tf", b"1e38 Tf"))), id="letters-as-large-as-the-sky"),
        pytest.param(_tree(5_000, b"%(n)d 0 R"), id="tree-5000-deep"),
        pytest.param(_tree(40, b"%(n)d 0 R %(n)d 0 R"), id="tree-that-doubles-38-times"),
    ],
)
async def test_up_4_what_has_no_end_ends_within_the_workers_limits(
    tmp_path: Path, worker: ProcessWorker, objects: dict[int, bytes]
) -> None:
    payload = {"path": str(save(tmp_path, written(objects))), "loader": "pdf", "chunk_size": 1000, "chunk_overlap": 200}
    found: list[dict[str, Any]] = []
    try:
        await worker.run(
            "backend.loaders.parse_job:parse",
            payload,
            limits=Limits(seconds=15, memory_mb=512),
            on_progress=found.append,
        )
    except WorkerFailed as error:
        assert error.reason == "refused"
    else:
        assert any("Hello there" in each["text"] for each in found)


def test_a_damaged_page_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    objects = one_page(stream(HELLO), o2=b"<< /Type /Pages /Kids [6 0 R 3 0 R] /Count 2 >>", o6=b"(no page)")
    assert [page.text for page in read(tmp_path, written(objects))][-1] == "Hello there"


def test_a_scanned_page_is_told_from_one_with_text(tmp_path: Path) -> None:
    scanned, typed = read(tmp_path, scan(["The boiler of building seven"]))
    assert scanned.scanned and scanned.text == ""
    assert not typed.scanned and typed.text == "A page with text of its own after the scan."


def test_text_without_a_meaning_counts_as_a_scan(tmp_path: Path) -> None:
    cmap = b"1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <00> <ff> <E000> endbfrange"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>"
    text = b"BT /F1 12 Tf 72 700 Td (Many letters that nobody can make sense of) Tj ET"
    (page,) = read(tmp_path, written(one_page(stream(text), o5=font, o6=stream(cmap))))
    assert page.scanned


def test_what_leaves_can_be_encoded(tmp_path: Path) -> None:
    cmap = (
        b"1 begincodespacerange <00> <ff> endcodespacerange 4 beginbfchar"
        b" <61> <D83D> <62> <0000> <63> <FB01> <64> <D83DDE00> endbfchar"
    )
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>"
    text = b"BT /F1 12 Tf 72 700 Td (XaYbZ csh d soft\xadhyphen) Tj ET"
    (page,) = read(tmp_path, written(one_page(stream(text), o5=font, o6=stream(cmap))))
    page.text.encode()
    assert "\x00" not in page.text and "ﬁ" not in page.text
