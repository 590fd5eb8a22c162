"""Presentations: one text a slide, read as a person would read it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pptx
import pytest
from pptx.util import Inches

from backend.loaders.port import LoadRefused
from backend.loaders.pptx import LOADER
from tests.loaders.reading import archive, pages_of

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def saved(presentation: Any) -> bytes:
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def box(shapes: Any, text: str, left: float, top: float) -> Any:
    made = shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(0.5))
    made.text_frame.text = text
    return made


def test_slides_are_numbered_and_keep_title_levels_and_notes(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Quarter results"
    frame = slide.placeholders[1].text_frame
    frame.text = "Revenue is up"
    for text, level in (("by 7 %", 1), ("Costs are down", 0)):
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level
    slide.notes_slide.notes_text_frame.text = "Thank the team"
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Outlook שלום 東京 👋"
    pages = pages_of(LOADER, tmp_path, saved(made))
    assert [(page.number, page.unit, page.form) for page in pages] == [
        (1, "slide", "markdown"),
        (2, "slide", "markdown"),
    ]
    assert pages[0].text == (
        "# Quarter results\n\n- Revenue is up\n   - by 7 %\n- Costs are down\n\n## Notes\n\nThank the team"
    )
    assert pages[1].text == "# Outlook שלום 東京 👋"
    assert LOADER.page_count(tmp_path / "file") == 2


def test_boxes_are_read_in_the_order_of_their_places(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    for text, left, top in (
        ("foot", 1, 6),
        ("left low", 1, 3.6),
        ("right", 5, 2.0),
        ("left high", 1, 3.0),
        ("head", 1, 0.5),
    ):
        box(slide.shapes, text, left, top)
    tall = slide.shapes.add_textbox(Inches(5), Inches(2.9), Inches(2), Inches(1.4))
    tall.text_frame.text = "right, tall"
    group = slide.shapes.add_group_shape()
    box(group.shapes, "grouped", 1, 5)
    (page,) = pages_of(LOADER, tmp_path, saved(made))
    assert page.text.split("\n\n") == ["head", "right", "left high", "left low", "right, tall", "grouped", "foot"]


def test_table_is_a_pipe_table_and_links_keep_their_address(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    table = slide.shapes.add_table(3, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, texts in enumerate((("City", "Limit"), ("Rome", "90"), ("", "80"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    run = box(slide.shapes, "See", 1, 6).text_frame.paragraphs[0].add_run()
    run.text, run.hyperlink.address = " terms", "https://example.org/terms"
    (page,) = pages_of(LOADER, tmp_path, saved(made))
    assert page.text == (
        "| City | Limit |\n| --- | --- |\n| Rome | 90 |\n|  | 80 |\n\nSee [terms](https://example.org/terms)"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (OLE + bytes(600), "older kind"),
        (archive({"word/document.xml": "<a/>"}), "something else"),
        (archive({"ppt/presentation.xml": "<a>"}), "damaged"),
        (archive({"ppt/presentation.xml": b"0" * 30_000_000}), "unpacks"),
        (archive({"ppt/presentation.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "entities"),
        (
            archive({"ppt/presentation.xml": "<a>" + "".join(f"<b c='{n}'/>" for n in range(520_000)) + "</a>"}),
            "far more",
        ),
        (b"PK\x03\x04 not really", "damaged"),
    ],
    ids=["encrypted", "binary-ppt", "word", "broken-xml", "bomb", "entity", "too-many-elements", "broken-zip"],
)
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        pages_of(LOADER, tmp_path, content)


def test_truncated_presentation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadRefused, match="damaged"):
        pages_of(LOADER, tmp_path, saved(pptx.Presentation())[:-300])
