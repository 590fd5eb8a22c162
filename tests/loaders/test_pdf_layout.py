"""What stands where on a page of a PDF becomes Markdown: reading order, paragraphs, headings, lists, tables."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from backend.loaders.pdf import LOADER
from backend.models.documents import PageText
from tests.loaders.pdf_files import LOREM, drawn, flowing, lines, paragraph, two_columns, wrapped


def read(tmp_path: Path, content: bytes) -> list[PageText]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return list(LOADER.load(path))


def text_of(tmp_path: Path, content: bytes) -> str:
    return "\n".join(page.text for page in read(tmp_path, content))


def order_of(text: str, *parts: str) -> list[str]:
    """The parts in the order in which they stand in the text; each must."""
    return sorted(parts, key=text.index)


def test_two_columns_are_read_one_after_the_other_below_what_spans_them(tmp_path: Path) -> None:
    text = text_of(tmp_path, two_columns())
    wanted = ["# Evaporation of Reservoirs", "Abstract.", "Begin 1.", "End 1.", "Begin 2.", "End 2.", "Begin 3."]
    assert order_of(text, *wanted) == wanted
    assert f"Begin 1. {LOREM * 2}End 1." in text
    assert "## 1. Section of topic 1\n" in text
    assert "| Site | Depth | Loss |\n| --- | --- | --- |\n| North | 12 | 3.5 |\n| South | 7 | 4.1 |" in text


def test_three_columns_and_a_sidebar_keep_their_order(tmp_path: Path) -> None:
    def three(canvas: Any) -> None:
        for place in range(3):
            wrapped(canvas, f"Start {place}. {LOREM}Stop {place}.", 50 + place * 170, 740, 150)

    def sidebar(canvas: Any) -> None:
        wrapped(canvas, f"Main starts. {LOREM * 3}Main stops.", 60, 740, 330)
        wrapped(
            canvas, "Side starts. Opening hours are from nine to five on working days. Side stops.", 430, 738, 110, 8
        )

    columns, beside = read(tmp_path, drawn(three, sidebar))
    wanted = ["Start 0.", "Stop 0.", "Start 1.", "Stop 1.", "Start 2.", "Stop 2."]
    assert order_of(columns.text, *wanted) == wanted
    assert f"Main starts. {LOREM * 3}Main stops." in beside.text
    assert "Side starts. Opening hours are from nine to five on working days. Side stops." in beside.text


def test_lines_become_paragraphs_and_words_cut_at_their_end_are_whole_again(tmp_path: Path) -> None:
    def page(canvas: Any) -> None:
        y = lines(canvas, ["The measure-", "ments of the well-known reservoir were long and are therefore of use for"])
        y = lines(
            canvas, ["all who care about the evaporation of water, and many others as well. The well-", "known"], y=y
        )
        lines(canvas, ["This is another paragraph of the same page."], y=y - 12)

    text = text_of(tmp_path, drawn(page))
    assert "The measurements of the well-known reservoir" in text
    assert "The well-known" in text and "wellknown" not in text
    assert "\n\nThis is another paragraph" in text
    assert "for all who care" in text


def test_headings_have_levels_by_size_and_bold_lines_come_below_them(tmp_path: Path) -> None:
    story = [
        paragraph("The report", "Title"),
        paragraph("Part one", "Heading1"),
        paragraph(LOREM),
        paragraph("Details", "Heading2"),
        paragraph(LOREM),
        paragraph("<b>Finer details</b>"),
        paragraph(LOREM),
    ]
    text = text_of(tmp_path, flowing(story))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# The report", "# Part one", "## Details", "### Finer details"]


def test_the_outline_makes_headings_of_lines_that_look_like_text(tmp_path: Path) -> None:
    def page(canvas: Any) -> None:
        canvas.bookmarkPage("one")
        canvas.addOutlineEntry("Scope", "one", level=0)
        canvas.bookmarkPage("two")
        canvas.addOutlineEntry("Terms used", "two", level=1)
        y = lines(canvas, ["1 Scope"])
        y = lines(canvas, ["This line is long enough to be seen as a line of ordinary text."], y=y - 10)
        y = lines(canvas, ["1.1 Terms used"], y=y - 10)
        lines(canvas, ["Another line that is long enough to be seen as ordinary text."], y=y - 10)

    text = text_of(tmp_path, drawn(page))
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# 1 Scope", "## 1.1 Terms used"]


def test_lists_keep_their_entries_and_their_nesting(tmp_path: Path) -> None:
    from reportlab.platypus import ListFlowable, ListItem

    inner = ListFlowable([paragraph("inner one"), paragraph("inner two")], bulletType="bullet")
    story = [
        paragraph("Before the list:"),
        ListFlowable([paragraph(f"First {LOREM}"), paragraph("Second"), ListItem(inner)], bulletType="bullet"),
        paragraph("Then:"),
        ListFlowable([paragraph(f"Alpha {LOREM}"), paragraph("Beta")], bulletType="1", bulletFormat="%s."),
    ]
    text = text_of(tmp_path, flowing(story))
    assert f"- First {LOREM.strip()}\n- Second\n" in text
    assert "inner one" in text and "\n  - inner two" in text
    assert f"1. Alpha {LOREM.strip()}\n2. Beta" in text


CELLS = [["Name", "Role", "Hours"], ["Anna", "Lead | design", "38"], ["Ben", "Assistant", "20"]]
PIPES = "| Name | Role | Hours |\n| --- | --- | --- |\n| Anna | Lead \\| design | 38 |\n| Ben | Assistant | 20 |"


@pytest.mark.parametrize(
    "style",
    [
        pytest.param([("GRID", (0, 0), (-1, -1), 0.5, "black")], id="ruled"),
        pytest.param([], id="without-lines"),
        pytest.param(
            [("LINEABOVE", (0, 0), (-1, 0), 1, "black"), ("LINEBELOW", (0, -1), (-1, -1), 1, "black")], id="rules"
        ),
        pytest.param([("ROWBACKGROUNDS", (0, 0), (-1, -1), ["lightgrey", "white"])], id="shaded-rows"),
        pytest.param([("ALIGN", (0, 0), (-1, -1), "RIGHT")], id="set-to-the-right"),
        pytest.param(
            [("BOX", (0, 0), (-1, -1), 1, "black"), ("INNERGRID", (0, 0), (-1, -1), 0.3, "black")], id="boxed"
        ),
    ],
)
def test_tables_become_pipe_tables_in_their_place(tmp_path: Path, style: list[Any]) -> None:
    from reportlab.lib import colors
    from reportlab.platypus import Table

    named = {"black": colors.black, "lightgrey": colors.lightgrey, "white": colors.white}

    def coloured(value: Any) -> Any:
        if isinstance(value, list):
            return [coloured(each) for each in value]
        return named.get(value, value) if isinstance(value, str) else value

    commands = [tuple(coloured(value) for value in command) for command in style]
    text = text_of(tmp_path, flowing([paragraph("Before it."), Table(CELLS, style=commands), paragraph("After it.")]))
    assert text == f"Before it.\n\n{PIPES}\n\nAfter it."


def test_cells_of_several_lines_and_merged_cells_stay_whole(tmp_path: Path) -> None:
    from reportlab.lib import colors
    from reportlab.platypus import Table

    grid = ("GRID", (0, 0), (-1, -1), 0.5, colors.grey)
    wide = Table(
        [[paragraph("Term"), paragraph("Meaning")], [paragraph("Yield"), paragraph(LOREM)]], [90, 260], style=[grid]
    )
    merged = Table(
        [["Region", "Sales", ""], ["", "2023", "2024"], ["North", "5", "6"]],
        style=[grid, ("SPAN", (1, 0), (2, 0)), ("SPAN", (0, 0), (0, 1))],
    )
    text = text_of(tmp_path, flowing([wide, paragraph("Between."), merged]))
    assert f"| Yield | {LOREM.strip()} |" in text
    assert "| Region | Sales |  |\n| --- | --- | --- |\n|  | 2023 | 2024 |\n| North | 5 | 6 |" in text


def test_code_keeps_its_lines_and_indents(tmp_path: Path) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Preformatted

    code = Preformatted("def f(x):\n    return x  # twice", getSampleStyleSheet()["Code"])
    assert "```\ndef f(x):\n    return x  # twice\n```" in text_of(tmp_path, flowing([paragraph(LOREM), code]))


def test_links_are_kept_where_they_say_more_than_the_text(tmp_path: Path) -> None:
    story = paragraph(
        'See <a href="https://example.org/x?a=1">the site</a>, <a href="https://example.org/">https://example.org/</a>,'
        ' <a href="mailto:a@example.org">a@example.org</a> or <a href="javascript:alert(1)">nothing</a>.'
    )
    text = text_of(tmp_path, flowing([story]))
    assert "[the site](https://example.org/x?a=1)" in text
    assert "javascript" not in text and "mailto:" not in text
    assert text.count("https://example.org/") == 2 and "or nothing." in text


def test_running_heads_and_page_numbers_are_dropped_and_what_only_looks_so_stays(tmp_path: Path) -> None:
    def page(number: int) -> Any:
        def draw(canvas: Any) -> None:
            canvas.setFont("Helvetica", 9)
            canvas.drawString(72, 810, "Handbook of the Meridian")
            canvas.drawRightString(520, 810, f"Chapter {number // 4}")
            canvas.drawCentredString(300, 30, f"Page {number} of 9")
            wrapped(canvas, f"Text of page {number} starts. {LOREM}", 72, 740, 450)
            lines(canvas, [f"Reading of this year {1990 + number * number}"], y=120)

        return draw

    pages = read(tmp_path, drawn(*map(page, range(1, 10))))
    assert [f"Text of page {number} starts." in each.text for number, each in enumerate(pages, 1)] == [True] * 9
    assert not any("of 9" in each.text for each in pages)
    assert ["Handbook of the Meridian" in each.text for each in pages] == [True] + [False] * 8
    assert all(f"this year {1990 + number * number}" in each.text for number, each in enumerate(pages, 1))


def test_the_head_of_a_table_on_every_page_stays(tmp_path: Path) -> None:
    from reportlab.platypus import LongTable

    rows = [["Item", "Quantity", "Price"], *([f"Part {n}", str(n), f"{n}.50"] for n in range(1, 200))]
    pages = read(tmp_path, flowing([LongTable(rows, repeatRows=1)]))
    assert len(pages) > 3
    assert all(page.text.startswith("| Item | Quantity | Price |\n| --- | --- | --- |\n| Part") for page in pages)


def test_turned_pages_are_read_in_the_direction_of_their_text(tmp_path: Path) -> None:
    def turned(canvas: Any) -> None:
        canvas.setPageRotation(90)
        canvas.translate(595, 0)
        canvas.rotate(90)
        lines(
            canvas, ["This page is turned by ninety degrees and reads", "like any other one when it is shown."], y=500
        )

    def stamped(canvas: Any) -> None:
        lines(canvas, ["Upright text of the second page."])
        for angle, text in ((90, "In the margin"), (45, "DRAFT")):
            canvas.saveState()
            canvas.translate(30 + angle, 300)
            canvas.rotate(angle)
            lines(canvas, [text], 0, 0, 40)
            canvas.restoreState()

    first, second = read(tmp_path, drawn(turned, stamped))
    assert first.text == "This page is turned by ninety degrees and reads like any other one when it is shown."
    assert second.text.startswith("Upright text of the second page.")
    assert "In the margin" in second.text and "DRAFT" not in second.text


def test_right_to_left_text_is_in_the_order_in_which_it_is_read(tmp_path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    from tests.loaders.pdf_files import DEJAVU

    pdfmetrics.registerFont(TTFont("DejaVu", DEJAVU))
    hebrew = ["הועדה בחנה את המדידות של העונה האחרונה ומצאה", "כי האידוי מהמאגר היה גדול מהצפוי"]

    def page(canvas: Any) -> None:
        canvas.setFont("DejaVu", 12)
        for index, line in enumerate(hebrew):
            canvas.drawRightString(520, 750 - 18 * index, line[::-1])

    assert text_of(tmp_path, drawn(page)) == " ".join(hebrew)


def test_chinese_and_japanese_lines_join_without_blanks(tmp_path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    japanese = ["委員会は過去の季節の測定値を検討し、貯水池の蒸発が", "予想よりも大きいことを発見した。"]

    def page(canvas: Any) -> None:
        canvas.setFont("HeiseiMin-W3", 12)
        for index, line in enumerate(japanese):
            canvas.drawString(72, 750 - 16 * index, line)

    assert text_of(tmp_path, drawn(page)) == "".join(japanese)


def test_raised_and_lowered_signs_stay_with_their_word(tmp_path: Path) -> None:
    assert "H2O and x2." in text_of(tmp_path, flowing([paragraph("H<sub>2</sub>O and x<super>2</super>.")]))


def test_a_number_sign_at_the_start_of_a_line_makes_no_heading(tmp_path: Path) -> None:
    assert text_of(tmp_path, drawn(lambda canvas: lines(canvas, ["# 12 of the list is missing"]))).startswith("\\# 12")


def test_pages_come_as_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.loaders.pdf_page import PageReader, RawPage

    taken: list[int] = []
    real = PageReader.read

    def counted(reader: PageReader, index: int) -> RawPage:
        taken.append(index)
        return real(reader, index)

    monkeypatch.setattr(PageReader, "read", counted)
    path = tmp_path / "file"
    path.write_bytes(drawn(*[lambda canvas: lines(canvas, ["Some text of this page."])] * 60))
    first = next(itertools.islice(LOADER.load(path), 1))
    assert first.number == 1 and first.form == "markdown" and first.unit == "page"
    assert len(taken) <= 16
