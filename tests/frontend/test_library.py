"""Searching inside documents, collections, and what a conversation searches."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.frontend.conftest import Site, Visit, open_visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_search_finds_passages_opens_them_and_leads_back(visit: Visit) -> None:
    page = visit.sign_in()
    page.click("#documents-open")
    field = page.get_by_label("Search inside your documents")
    field.fill("notice period")
    hit = page.locator("#panel .found .source")
    expect(hit).to_contain_text("staff-handbook.pdf")
    expect(hit).to_contain_text("Page 3")
    expect(hit.locator("mark").first).to_have_text("notice")
    expect(page.locator("#panel .documents").first).to_be_hidden()
    hit.click()
    expect(page.locator("#panel .sheet-mark").first).to_be_in_viewport()
    page.locator("#panel").get_by_label("Back to the documents").click()
    expect(field).to_have_value("notice period")
    expect(hit).to_be_visible()
    assert visit.site.fake.library.searched[-1]["query"] == "notice period"
    field.press("Escape")
    expect(page.locator("#panel .document").first).to_be_visible()
    expect(page.locator("#panel")).to_be_visible()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("nothing at all", "No passage found. Try other words.", id="nothing"),
        pytest.param("please fail", "The search is busy. Try again in a moment.", id="failure"),
    ],
)
def test_search_says_when_there_is_nothing_to_show(visit: Visit, query: str, says: str) -> None:
    page = visit.sign_in()
    page.click("#documents-open")
    page.get_by_label("Search inside your documents").fill(query)
    expect(page.locator("#panel .found")).to_have_text(says)


def test_accepted_kinds_are_named_and_progress_tells_what_can_be_searched_already(visit: Visit) -> None:
    documents = visit.site.fake.documents
    documents["doc-1"] |= {"status": "processing", "progress": 0.45, "chunks": 120}
    visit.site.fake.pace = 0.5
    page = visit.sign_in()
    page.click("#documents-open")
    for kind in (
        "PDF",
        "Word",
        "PowerPoint",
        "Excel",
        "OpenDocument",
        "RTF",
        "EPUB",
        "HTML",
        "Markdown",
        "e-mail",
        "SQLite",
    ):
        expect(page.locator("#panel .dropzone")).to_contain_text(kind)
    row = page.locator(".document").filter(has_text="staff-handbook.pdf")
    expect(row).to_contain_text("120 passages searchable so far")
    expect(page.locator(".document").filter(has_text="Solar.pptx")).to_contain_text("12 slides")


def test_collection_is_made_filled_shared_renamed_and_deleted(visit: Visit) -> None:
    library = visit.site.fake.library
    page = visit.sign_in()
    page.click("#documents-open")
    panel = page.locator("#panel")
    panel.get_by_role("button", name="Collections", exact=True).click()
    panel.get_by_role("button", name="New collection").click()
    page.fill("#dialog-field", "Kiln <b>papers</b>")
    page.keyboard.press("Enter")
    expect(panel.locator("h3")).to_have_text("Kiln <b>papers</b>")
    panel.get_by_role("checkbox", name="Kiln manual.md").check()
    panel.get_by_role("checkbox", name="tides.py").check()
    panel.get_by_role("checkbox", name="tides.py").uncheck()
    panel.get_by_label("User to share with").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("There is no user named")
    expect(panel.get_by_label("User to share with")).to_have_value("nobody")
    panel.get_by_label("User to share with").fill("bob")
    page.keyboard.press("Enter")
    expect(panel.get_by_label("Stop sharing with bob")).to_be_visible()
    expect(panel.get_by_label("User to share with")).to_be_focused()
    assert (library.collections["vs_3"]["files"], library.collections["vs_3"]["readers"]) == (["doc-7"], ["bob"])
    panel.get_by_label("Stop sharing with bob").click()
    expect(panel).to_contain_text("only you can see this collection")
    panel.get_by_label("Options for Kiln").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.fill("#dialog-field", "Kiln")
    page.keyboard.press("Enter")
    expect(panel.locator("h3")).to_have_text("Kiln")
    panel.get_by_role("button", name="All collections").click()
    expect(panel.locator(".collection").filter(has_text="Kiln")).to_contain_text("1 document")
    panel.get_by_label("Options for Kiln").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.locator("#dialog").get_by_text("Delete", exact=True).click()
    expect(panel.locator(".collection").filter(has_text="Kiln")).to_have_count(0)
    assert set(library.collections) == {"vs_1", "vs_2"}


def test_documents_of_a_collection_are_ticked_however_many_pages_they_come_in(visit: Visit) -> None:
    page = visit.sign_in()
    page.click("#documents-open")
    panel = page.locator("#panel")
    panel.get_by_role("button", name="Collections", exact=True).click()
    panel.get_by_role("button", name="Harbour papers", exact=True).click()
    for name in ("staff-handbook.pdf", "Sales 2026 Q1.csv", "measurements-2026.xlsx"):
        expect(panel.get_by_role("checkbox", name=name)).to_be_checked()
    expect(panel.get_by_role("checkbox", name="tides.py")).not_to_be_checked()


def test_shared_collection_names_its_owner_and_cannot_be_changed(visit: Visit) -> None:
    page = visit.sign_in()
    page.click("#documents-open")
    panel = page.locator("#panel")
    panel.get_by_role("button", name="Collections", exact=True).click()
    row = panel.locator(".collection").filter(has_text="Town archive")
    expect(row).to_contain_text("2 documents · from carol")
    expect(row).to_contain_text("Read only")
    expect(row.get_by_label("Options")).to_have_count(0)
    row.get_by_role("button", name="Town archive").click()
    expect(panel).to_contain_text("carol shares 2 documents with you here")
    assert panel.locator("input[type=checkbox], .reader-add, .collections [aria-haspopup]").count() == 0


def test_conversation_searches_the_chosen_collections_and_keeps_the_choice(visit: Visit) -> None:
    page = visit.sign_in()
    scope = page.locator("#scope-open")
    expect(scope).to_have_text("All documents")
    visit.ask("hello everybody")
    scope.click()
    page.get_by_role("menuitemcheckbox", name="Harbour papers").click()
    expect(page.get_by_role("menuitemcheckbox", name="Harbour papers")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("menuitemcheckbox", name="All documents")).to_have_attribute("aria-checked", "false")
    page.keyboard.press("Escape")
    expect(scope).to_be_focused()
    expect(scope).to_have_text("Harbour papers")
    visit.ask("hello again")
    page.reload()
    expect(scope).to_have_text("Harbour papers")
    page.click("#new-chat")
    expect(scope).to_have_text("All documents")
    scope.click()
    page.get_by_role("menuitemcheckbox", name="Town archive").click()
    page.get_by_role("menuitemcheckbox", name="Harbour papers").click()
    page.keyboard.press("Escape")
    expect(scope).to_have_text("2 collections")
    visit.ask("and now")
    assert [body.get("collections") for body in visit.site.fake.asked] == [None, ["vs_1"], ["vs_1", "vs_2"]]


def test_collection_that_is_shared_no_longer_is_told_of_and_searched_no_more(visit: Visit) -> None:
    page = visit.sign_in()
    scope = page.locator("#scope-open")
    scope.click()
    page.get_by_role("menuitemcheckbox", name="Town archive").click()
    page.keyboard.press("Escape")
    expect(scope).to_have_text("Town archive")
    gone = next(id_ for id_, each in visit.site.fake.library.collections.items() if each["name"] == "Town archive")
    del visit.site.fake.library.collections[gone]
    page.fill("#prompt", "hello there")
    page.press("#prompt", "Enter")
    answer = page.locator(".answer").last
    expect(answer).to_contain_text("no longer shared with you")
    expect(scope).to_have_text("All documents")
    answer.get_by_role("button", name="Try again").last.click()
    expect(answer).not_to_contain_text("no longer shared with you")
    assert [body.get("collections") for body in visit.site.fake.asked] == [[gone], []]


def test_every_control_of_documents_collections_and_reader_has_a_name(visit: Visit) -> None:
    page = visit.sign_in()
    nameless = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, [role=img], img')]
        .filter(e => e.checkVisibility())
        .filter(e => !(e.getAttribute('aria-label') || e.alt || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    page.click("#documents-open")
    page.get_by_role("button", name="Collections", exact=True).click()
    page.get_by_role("button", name="Harbour papers", exact=True).click()
    expect(page.get_by_label("Stop sharing with bob")).to_be_visible()
    assert page.evaluate(nameless) == []
    page.get_by_label("Search inside your documents").fill("notice")
    page.locator("#panel .found .source").click()
    expect(page.locator("#panel .sheet")).to_have_attribute("aria-busy", "false")
    assert page.evaluate(nameless) == []


def test_choice_is_not_offered_while_there_is_nothing_to_choose(visit: Visit) -> None:
    visit.site.fake.library.collections = {}
    page = visit.sign_in()
    expect(page.locator("#documents-count")).to_be_visible()
    expect(page.locator("#scope-open")).to_be_hidden()


def test_narrow_phone_shows_documents_and_collections_without_sideways_scrolling(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True):
        page = visit.sign_in()
        page.click("#sidebar-open")
        page.click("#documents-open")
        page.get_by_role("button", name="Collections", exact=True).click()
        page.get_by_role("button", name="Harbour papers", exact=True).click()
        expect(page.get_by_role("checkbox", name="staff-handbook.pdf")).to_be_checked()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("Close documents").click()
        page.click("#scope-open")
        page.get_by_role("menuitemcheckbox", name="Harbour papers").click()
        box = page.locator("#menu").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
