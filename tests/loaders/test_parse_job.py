"""The job that reads a file: what it yields and when, what it cleans, where it stops; and which loader it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import discover_loaders
from backend.loaders import parse_job, text
from backend.loaders.parse_job import clean, parse
from backend.loaders.port import find_loader
from backend.models.documents import PageText
from backend.models.errors import UnsupportedFile
from backend.workers.port import Refusal


def run(path: Path, loader: str = "text", size: int = 1000, overlap: int = 200) -> tuple[list[Any], dict[str, Any]]:
    job = parse(str(path), loader, size, overlap)
    pages = []
    while True:
        try:
            pages.append(next(job))
        except StopIteration as end:
            return pages, end.value


class Paged:
    """A loader of given pages; `read` tells how many were asked for."""

    def __init__(self, *pages: PageText) -> None:
        self._pages = pages
        self.read = 0

    def page_count(self, path: Path) -> int | None:
        return len(self._pages)

    def load(self, path: Path) -> Iterator[PageText]:
        for page in self._pages:
            self.read += 1
            yield page


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def made(*pages: PageText) -> tuple[Paged, Any]:
        loader = Paged(*pages)
        monkeypatch.setattr(text, "LOADER", loader)
        return loader, parse(str(tmp_path / "file"), "text", 300, 60)

    return made


def test_pages_come_as_they_are_read_with_how_far_it_is(paged: Any) -> None:
    loader, job = paged(*(PageText(n, f"Page {n}.") for n in (1, 2, 3, 4)))
    assert (next(job)["done"], loader.read) == (0.25, 1)
    assert (next(job)["number"], loader.read) == (2, 2)


def test_a_page_is_told_with_all_that_is_known_of_it(paged: Any) -> None:
    _, job = paged(PageText(3, "# Head\n\nText.", "slide", "Intro\x00", "markdown"), PageText(4, "More.", "slide"))
    first, second = job
    assert {key: first[key] for key in ("number", "unit", "label", "form", "scanned")} == {
        "number": 3,
        "unit": "slide",
        "label": "Intro",
        "form": "markdown",
        "scanned": False,
    }
    assert first["chunks"] == [{"text": "# Head\n\nText.", "start": 0, "end": 13, "line": 1, "heading": ()}]
    assert second["chunks"][0]["heading"] == ("Head",)


def test_a_document_of_scans_alone_is_told_and_not_refused(paged: Any) -> None:
    _, job = paged(PageText(1, "", scanned=True), PageText(2, "", scanned=True))
    found = []
    with pytest.raises(StopIteration) as end:
        while True:
            found.append(next(job))
    assert [page["scanned"] for page in found] == [True, True]
    assert end.value.value == {"pages": 2, "characters": 0, "scanned": 2}


@pytest.mark.parametrize("content", [b"", b"  \n \t "], ids=["empty", "blank"])
def test_nothing_to_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Refusal, match="No text"):
        run(tmp_path / "a")


def test_up_3_too_much_text_is_refused_after_the_pages_before_it(paged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_job.MAX_TEXT_CHARS == 5 * 1_048_576
    monkeypatch.setattr(parse_job, "MAX_TEXT_CHARS", 3_000)
    loader, job = paged(*(PageText(n, "five " * 100) for n in range(1, 9)))
    with pytest.raises(Refusal, match="5 MiB"):
        list(job)
    assert loader.read == 7


def test_chunks_keep_to_their_size_and_overlap(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(" ".join(f"word{n}" for n in range(2000)))
    chunks = run(tmp_path / "a", size=300, overlap=60)[0][0]["chunks"]
    assert len(chunks) > 30 and max(len(chunk["text"]) for chunk in chunks) <= 300
    assert chunks[0]["text"][-20:] in chunks[1]["text"]


@pytest.mark.parametrize(
    ("raw", "expects"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\udc4b", "👋"),
        ("a\x00b\x07", "a b"),
        ("a\x9fb\x7fc", "a b c"),
        ("a  \r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("\ufeffmark", "mark"),
        ("\n\n    indent\n\n", "    indent"),
    ],
    ids=["lone-surrogate", "pair", "controls", "high-controls", "line-ends", "tab", "bom", "indent"],
)
def test_clean_text_can_be_encoded_and_shown(raw: str, expects: str) -> None:
    assert clean(raw) == expects
    clean(raw).encode()


def test_what_jobs_need_is_imported_before_they_are_forked() -> None:
    for name in parse_job.PRELOAD:
        assert __import__(name)


class Known:
    def __init__(self, name: str, extensions: tuple[str, ...], mark: bytes, filenames: tuple[str, ...] = ()) -> None:
        self.name, self.extensions, self.content_type = name, extensions, "x/y"
        self.filenames = filenames
        self._mark = mark

    def accepts(self, head: bytes, extension: str) -> bool:
        return head.startswith(self._mark)


LOADERS: list[Any] = [Known("one", (".one", ".two"), b"1"), Known("code", (".c",), b"", ("makefile",))]


@pytest.mark.parametrize(
    ("filename", "head", "name"),
    [("a.one", b"1", "one"), ("A.TWO", b"1", "one"), ("Makefile", b"all:", "code"), ("a.b.c", b"", "code")],
)
def test_up_2_a_loader_is_found_by_name_and_content(filename: str, head: bytes, name: str) -> None:
    assert find_loader(LOADERS, filename, head).name == name


@pytest.mark.parametrize(
    ("filename", "says"),
    [
        ("a.one", "named .one but its content is something else"),
        ("a.exe", r"cannot read \.exe files: upload one of \.c, \.one, \.two\."),
        ("README", "files without an extension"),
        (".bashrc", "files without an extension"),
        ("old.DOC", r"\.doc files: save it as \.docx"),
        ("x." + "y" * 300, r"cannot read \.y{19} files"),
    ],
)
def test_up_2_other_files_are_refused_with_what_to_do(filename: str, says: str) -> None:
    with pytest.raises(UnsupportedFile, match=says):
        find_loader(LOADERS, filename, b"MZ")


def test_the_kinds_named_to_a_person_stay_few() -> None:
    with pytest.raises(UnsupportedFile) as caught:
        find_loader(discover_loaders(), "a.exe", b"MZ")
    assert len(caught.value.message) < 300 and ".pdf" in caught.value.message
