"""Rich text: paragraphs and tables, and what is not shown left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.port import LoadRefused
from backend.loaders.rtf import LOADER
from tests.loaders.reading import text_of

HEAD = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}{\stylesheet{\s1 heading 1;}}{\info{\title T}}"


@pytest.mark.parametrize(
    ("body", "expects"),
    [
        (r"Gr\'fc\'dfe \u8364? \u26481?\u20140?\par next\par", "Grüße € 東京\n\nnext"),
        (r"{\header HEAD}{\footer FOOT}text\par", "text"),
        (
            r"\trowd\cellx1000\cellx2000 City\cell Limit\cell\row\trowd Rome\cell 90\cell\row\pard end\par",
            "| City | Limit |\n| --- | --- |\n| Rome | 90 |\n\nend",
        ),
        (r"a{\deleted gone}{\v hidden}b\par", "ab"),
        (r"a{\v one {\b two} \u8364? \'fc \tab}b{\deleted x{\i y}\deleted0 c}\v d\v0 e{\v f\plain g}\par", "abceg"),
        (r"{\v a\par}b{\viewkind4 c}{\v0 d}{\v}e\par", "bcde"),
        (r"a{\pict\pngblip " + "89504e47" * 3000 + r"}b\par", "ab"),
        (r"# lookalike\par", "\\# lookalike"),
        ("", ""),
    ],
    ids=[
        "letters",
        "header-and-footer",
        "table",
        "deleted-and-hidden",
        "hidden-in-groups",
        "shown",
        "picture",
        "lookalike",
        "empty",
    ],
)
def test_text_says_what_a_reader_sees(tmp_path: Path, body: str, expects: str) -> None:
    assert text_of(LOADER, tmp_path, f"{HEAD}{body}}}".encode()) == expects


def test_truncated_text_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert text_of(LOADER, tmp_path, f"{HEAD}first\\par sec".encode()) == "first\n\nsec"


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{\\rtf1 " + b"{" * 5000, "damaged"), (b"{\\rtf1 " + b"word \\par " * 1_700_000, "5 MiB")],
    ids=["nested-for-ever", "endless"],
)
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        text_of(LOADER, tmp_path, content)


def test_up_2_other_content_is_no_rich_text() -> None:
    assert not LOADER.accepts(b"plain text", ".rtf") and not LOADER.accepts(b"PK\x03\x04", ".rtf")
