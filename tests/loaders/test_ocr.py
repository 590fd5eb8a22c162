"""Scanned pages are read by tesseract, in the worker and under its limits."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from backend.loaders.ocr_job import read_page
from backend.utils.ocr_tool import are_languages, tesseract_path
from backend.workers.port import Limits, Refusal
from backend.workers.process import ProcessWorker
from tests.loaders.pdf_files import scan

HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


@pytest.fixture
def scanned(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(scan(["The boiler of building seven", "costs 482 euros."]))
    return str(path)


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program named tesseract that does what the script says, first of all programs."""
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/picture\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def told(*words: tuple[int, int, int, int, int, str], confidence: float = 90) -> str:
    """A script that tells of words as tesseract does: block, line, left, top, height, text; 20 pixels to a letter."""
    rows = [
        f"5\t1\t{block}\t1\t{line}\t1\t{left}\t{top}\t{20 * len(text)}\t{height}\t{confidence}\t{text}"
        for block, line, left, top, height, text in words
    ]
    return "cat <<'END'\n" + "\n".join([HEAD, *rows]) + "\nEND"


@pytest.mark.slow
async def test_up_4_a_scan_is_read_by_the_real_program_within_the_workers_limits(scanned: str) -> None:
    worker = ProcessWorker()
    try:
        found = await worker.run(
            "backend.loaders.ocr_job:read_page",
            {"path": scanned, "page": 1, "languages": "eng"},
            limits=Limits(seconds=30, memory_mb=512),
        )
    finally:
        await worker.aclose()
    assert found == {"number": 1, "text": "The boiler of building seven costs 482 euros."}


def test_what_is_seen_is_laid_out_as_paragraphs_and_headings(
    scanned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [(1, 1, 300, 200, 90, "Invoice")]
    for line, text in enumerate(["The boiler was re-", "paired in March", "and works well"]):
        left = 300
        for word in text.split():
            words.append((2, 1 + line, left, 400 + 60 * line, 40, word))
            left += 20 * len(word) + 20
    stand_in(tmp_path, monkeypatch, told(*words))
    assert read_page(scanned, 1, "eng")["text"] == "# Invoice\n\nThe boiler was repaired in March and works well"
    assert (tmp_path / "picture").read_bytes().startswith(b"P5 2481 3508 255\n")


def test_guesses_at_specks_are_left_out(scanned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, told((1, 1, 300, 200, 40, "~|"), confidence=12.5))
    assert read_page(scanned, 1, "eng") == {"number": 1, "text": ""}


def test_a_page_without_a_size_worth_naming_is_drawn_with_bounded_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.loaders.pdf_files import HELLO, one_page, stream, written

    huge = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 14400 14400] /Contents 4 0 R >>"
    path = tmp_path / "file"
    path.write_bytes(written(one_page(stream(HELLO), o3=huge)))
    stand_in(tmp_path, monkeypatch, told())
    read_page(str(path), 1, "eng")
    assert 15_000_000 < (tmp_path / "picture").stat().st_size <= 20_100_000


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("exit 1", "could not be read by tesseract", id="fails"),
        pytest.param("echo 'Tesseract couldn'\"'\"'t load any languages!' >&2; echo Failed loading >&2; exit 1",
                     "no data for the languages", id="language-not-installed"),
        pytest.param("exec sleep 60", "took too long", id="hangs"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_a_sentence(
    scanned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr("backend.loaders.ocr_job.MAX_SECONDS", 0.8)
    stand_in(tmp_path, monkeypatch, script)
    with pytest.raises(Refusal, match=said) as caught:
        read_page(scanned, 1, "eng")
    assert str(tmp_path) not in str(caught.value)


def test_without_the_program_the_job_says_so(scanned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tesseract_path() is None
    with pytest.raises(Refusal, match="not installed"):
        read_page(scanned, 1, "eng")


@pytest.mark.parametrize("page", [0, -1, 3, 10**9])
def test_a_page_that_is_not_there_is_refused(
    scanned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    stand_in(tmp_path, monkeypatch, told())
    with pytest.raises(Refusal, match="cannot be drawn"):
        read_page(scanned, page, "eng")


@pytest.mark.parametrize("languages", ["", "-c tessedit", "eng+", "../eng", "eng;rm", "e" * 60])
def test_languages_are_checked_before_they_become_an_argument(scanned: str, languages: str) -> None:
    assert not are_languages(languages)
    with pytest.raises(Refusal):
        read_page(scanned, 1, languages)


@pytest.mark.parametrize("languages", ["eng", "eng+deu", "chi_sim", "chi_sim_vert+Latin", "script/Latin"])
def test_languages_of_tesseract_pass(languages: str) -> None:
    assert are_languages(languages) == ("/" not in languages)
