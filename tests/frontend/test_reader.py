"""Reading a cited passage: a PDF's page as it looks, everything else as text, the passage marked."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.frontend.conftest import Site, Visit, open_visit
from tests.frontend.scripts import QUOTE

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def open_at(visit: Visit, path: str) -> Page:
    """The reader at an address, after signing in."""
    page = visit.sign_in()
    page.goto(visit.site.url + path)
    expect(page.locator("#viewer .page-text")).to_have_attribute("aria-busy", "false")
    return page


def cite(visit: Visit) -> Page:
    """The panel with the first source of an answer."""
    page = visit.sign_in()
    visit.ask("what does my document say")
    page.click("button.cite >> nth=0")
    expect(page.locator("#panel .sheet")).to_have_attribute("aria-busy", "false")
    return page


def test_cited_page_is_shown_as_it_looks_with_the_passage_marked(visit: Visit) -> None:
    page = cite(visit)
    panel = page.locator("#panel")
    expect(panel.get_by_role("img", name="Page 3 of 32 of staff-handbook.pdf")).to_be_visible()
    expect(panel.locator(".reader-heading")).to_have_text("Staff handbookEnding the employment")
    marks = panel.locator(".sheet-mark")
    expect(marks.first).to_be_in_viewport()
    sheet, mark = panel.locator(".sheet").bounding_box(), marks.first.bounding_box()
    assert sheet and mark
    assert (mark["x"] - sheet["x"]) / sheet["width"] == pytest.approx(0.1, abs=0.01)
    assert mark["width"] / sheet["width"] == pytest.approx(0.8, abs=0.01)
    assert (mark["y"] - sheet["y"]) / sheet["height"] == pytest.approx(0.72, abs=0.01)
    expect(panel.get_by_role("status")).to_have_text("Page 3 of 32, the passage is marked")
    expect(panel.locator(".page-text mark").first).to_contain_text("Either side may end")
    assert visit.site.fake.library.marks[0] == QUOTE
    assert (visit.errors, visit.foreign) == ([], [])


def test_pages_are_turned_by_button_number_and_key_and_the_next_is_there_already(visit: Visit) -> None:
    page = cite(visit)
    panel = page.locator("#panel")
    images = visit.site.fake.library.images
    expect(panel.get_by_label("Page", exact=True)).to_have_value("3")
    panel.get_by_label("Next page").click()
    expect(panel.get_by_role("img", name="Page 4 of 32")).to_be_visible()
    expect(panel.locator(".sheet-mark")).to_have_count(0)
    assert len([each for each in images if each.startswith("doc-1 4 ")]) == 1, "page 4 was fetched before, once"
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("img", name="Page 5 of 32")).to_be_visible()
    panel.get_by_label("Page", exact=True).fill("99")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("img", name="Page 32 of 32")).to_be_visible()
    expect(panel.get_by_label("Next page")).to_be_disabled()
    panel.get_by_label("Page", exact=True).fill("3")
    page.keyboard.press("Enter")
    expect(panel.locator(".sheet-mark").first).to_be_in_viewport()


def test_page_is_enlarged_sharply_and_fits_again(visit: Visit) -> None:
    page = cite(visit)
    panel = page.locator("#panel")
    sheet = panel.locator(".sheet")
    before = sheet.bounding_box()
    for _ in range(3):
        panel.get_by_label("Larger").click()
    expect(panel.locator(".zoom-fit")).to_have_text("200 %")
    after = sheet.bounding_box()
    assert before and after and after["width"] == pytest.approx(before["width"] * 2, rel=0.05)
    expect(sheet).to_have_attribute("aria-busy", "false")
    widths = [int(each.split()[2]) for each in visit.site.fake.library.images if each.startswith("doc-1 3 ")]
    assert widths == sorted(set(widths)) and len(widths) > 1, "a sharper picture for a larger page"
    panel.locator(".reader-scroll").focus()
    page.keyboard.press("0")
    expect(panel.locator(".zoom-fit")).to_have_text("Fit")
    page.keyboard.press("-")
    expect(panel.locator(".zoom-fit")).to_have_text("75 %")


def test_text_of_a_page_is_a_button_away(visit: Visit) -> None:
    page = cite(visit)
    panel = page.locator("#panel")
    panel.get_by_role("button", name="Text", exact=True).click()
    expect(panel.locator(".sheet")).to_be_hidden()
    expect(panel.locator(".page-text mark").first).to_be_in_viewport()
    expect(panel.get_by_role("button", name="Text", exact=True)).to_have_attribute("aria-pressed", "true")
    panel.get_by_label("Next page").click()
    expect(panel.locator(".page-text")).to_contain_text("Page 4")
    expect(panel.locator(".sheet")).to_be_hidden()


@pytest.mark.parametrize(
    ("trouble", "says", "text"),
    [
        pytest.param("broken", "This page is damaged and cannot be shown.", True, id="no-picture"),
        pytest.param("unmarked", "The passage could not be marked here. It reads: Either side", False, id="no-mark"),
    ],
)
def test_passage_is_shown_where_the_page_cannot_be(visit: Visit, trouble: str, says: str, text: bool) -> None:
    setattr(visit.site.fake.library, trouble, True)
    page = visit.sign_in()
    visit.ask("what does my document say")
    page.click("button.cite >> nth=0")
    note = page.locator("#panel .passage-note")
    expect(note).to_be_visible()
    assert says in " ".join(note.inner_text().split())
    expect(page.locator("#panel .page-text mark").first).to_be_visible() if text else None
    expect(page.locator("#panel .sheet")).to_be_visible(visible=not text)


def test_code_opens_at_its_line_with_numbers_and_colours(visit: Visit) -> None:
    page = open_at(visit, "/files/doc-5/view#line=100")
    line = page.locator('#viewer .line[data-line="100"]')
    expect(line).to_have_class(re.compile("is-target"))
    expect(line).to_be_in_viewport()
    expect(page.locator("#viewer .hljs-keyword").first).to_have_text("def")
    expect(page.locator("#viewer .page-nav")).to_be_hidden()
    text = page.locator("#viewer .lines").evaluate("e => e.textContent")
    assert text.endswith("PATIENCE = 17.0  # s\n") and text.count("\n") == 181


def test_place_in_a_file_is_marked_by_its_offsets_and_not_by_its_first_likeness(visit: Visit) -> None:
    text = "float(row[7])"
    visit.site.fake.library.hits = [
        {
            "file_id": "doc-5",
            "filename": "tides.py",
            "line": 23,
            "start": 330,
            "end": 360,
            "text": "return float",
            "score": 0.5,
        },
    ]
    page = visit.sign_in()
    page.click("#documents-open")
    page.get_by_label("Search inside your documents").fill("return")
    page.locator("#panel .found .source").click()
    mark = page.locator("#panel mark").first
    expect(mark).to_be_in_viewport()
    lines = page.locator("#panel .line.is-marked")
    first = int(lines.first.get_attribute("data-line") or 0)
    assert first > 15, "not the first function of the file"
    assert text.split("[")[0] in (lines.first.text_content() or "") + (lines.last.text_content() or "")


def test_plain_text_has_line_numbers_and_copies_without_them(visit: Visit) -> None:
    page = open_at(visit, "/files/doc-6/view")
    expect(page.locator("#viewer .line")).to_have_count(10)
    assert page.locator("#viewer .lines").inner_text().startswith("Line 1 of the letter.")
    expect(page.locator("#viewer .sheet")).to_have_count(0)


def test_xss_1_markdown_of_a_document_is_drawn_and_cannot_run_or_load(visit: Visit) -> None:
    visit.site.fake.library.hits = [
        {
            "file_id": "doc-7",
            "filename": "Kiln manual.md",
            "line": 5,
            "text": "| Clay | Hours |\n|---|---|\n| Porcelain | 26 |",
        },
    ]
    page = visit.sign_in()
    page.click("#documents-open")
    page.get_by_label("Search inside your documents").fill("porcelain")
    page.locator("#panel .found .source").click()
    text = page.locator("#panel .page-text")
    expect(text.locator("h2")).to_have_text("Cooling")
    expect(text.locator("td mark").first).to_have_text("Porcelain")
    expect(text.locator("td mark").nth(1)).to_have_text("26")
    expect(text.locator("td").nth(2)).to_have_text("Stoneware")
    assert text.locator("td").nth(2).locator("mark").count() == 0
    assert text.locator("script, img, iframe, a[href^=javascript]").count() == 0
    assert page.evaluate("window.hacked") is None
    assert (visit.errors, visit.foreign) == ([], [])


@pytest.mark.parametrize(
    ("path", "bar", "heading"),
    [
        pytest.param("/files/doc-8/view#page=4", "Slide of 12", "", id="slide"),
        pytest.param("/files/doc-9/view#page=2", "Sheet of 3", "Q3", id="sheet"),
    ],
)
def test_slides_and_sheets_are_called_so(visit: Visit, path: str, bar: str, heading: str) -> None:
    page = open_at(visit, path)
    nav = page.locator("#viewer .page-nav")
    assert " ".join(nav.inner_text().split()) == bar
    unit = bar.split()[0]
    expect(nav.get_by_label(unit, exact=True)).to_have_value(path[-1])
    expect(nav.get_by_label(f"Next {unit.lower()}")).to_be_enabled()
    expect(page.locator("#viewer .reader-heading")).to_have_text(heading)
    expect(page.locator("#title")).to_have_text({"Slide": "Solar.pptx", "Sheet": "Stock.xlsx"}[unit])


def test_sources_tell_place_headings_and_strength_and_the_answer_how_it_was_checked(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    source = page.locator(".source").first
    expect(source.locator(".source-where")).to_have_text("Page 3")
    expect(source.locator(".source-trail")).to_have_text("Staff handbookEnding the employment")
    expect(source.get_by_role("img", name="Relevance 0.91 of 1")).to_be_visible()
    says = "Checked against your documents: 2 citations. 1 quotation that does not stand there was left out."
    expect(page.locator(".support")).to_have_text(says)
    visit.ask("hello")
    expect(page.locator(".answer").last.locator(".support")).to_be_hidden()


def test_sentence_that_the_answer_repeats_is_marked_most(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    page.locator(".source").nth(1).click()
    expect(page.locator("#panel .sheet")).to_have_attribute("aria-busy", "false")
    assert visit.site.fake.library.marks == ["Open leave is paid out with the last salary."]
    expect(page.locator("#panel .sheet-mark.cited")).to_have_count(2)


def test_narrow_phone_reads_without_sideways_scrolling(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True):
        page = visit.sign_in()
        for path in ("/files/doc-1/view#page=3", "/files/doc-5/view#line=9", "/files/doc-7/view"):
            page.goto(site.url + path)
            expect(page.locator("#viewer .page-text")).to_have_attribute("aria-busy", "false")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            inside = page.locator("#viewer .reader-scroll").evaluate("e => e.scrollWidth - e.clientWidth")
            assert inside <= 0, path
            bar = page.locator("#viewer .reader-bar")
            assert not bar.is_visible() or (bar.bounding_box() or {"height": 0})["height"] < 60, "one line"
