"""Ten documents of different kinds through the page: uploaded, asked about, cited, and opened where the fact stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import chromium
from tests.e2e.ten_documents import TEN, Made
from tests.server import PASSWORD, HearthServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

READ_MS = 60_000
ANSWER_MS = 30_000


@pytest.fixture(scope="module")
def page(offline: HearthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all questions, with the ten documents added through it and read."""
    offline.add_user("ten-documents")
    folder = tmp_path_factory.mktemp("ten")
    for made in TEN:
        (folder / made.filename).write_bytes(made.make())
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        context.set_default_timeout(15_000)
        opened = context.new_page()
        errors: list[str] = []
        foreign: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("request", lambda r: None if r.url.startswith((offline.url, "blob:")) else foreign.append(r.url))
        opened.goto(offline.url)
        opened.get_by_label("User name").fill("ten-documents")
        opened.get_by_label("Password", exact=True).fill(PASSWORD)
        opened.get_by_role("button", name="Sign in").click()
        expect(opened.locator("#prompt")).to_be_visible()
        opened.locator("#file-input").set_input_files([str(folder / made.filename) for made in TEN])
        opened.locator("#documents-open").click()
        expect(opened.locator('.document[data-status="ready"]')).to_have_count(len(TEN), timeout=READ_MS)
        opened.get_by_label("Close documents").click()
        yield opened
        context.close()
    assert (errors, foreign) == ([], [])


@pytest.mark.parametrize("made", TEN, ids=lambda made: made.filename)
def test_document_is_asked_about_and_opens_where_the_fact_stands(page: Page, made: Made) -> None:
    page.locator("#new-chat").click()
    page.locator("#prompt").fill(made.question)
    page.locator("#prompt").press("Enter")
    answer = page.locator(".answer").last
    expect(answer.locator(".answer-foot")).to_be_visible(timeout=ANSWER_MS)
    expect(answer.locator(".md")).to_contain_text(made.fact)
    source = answer.locator(".source").filter(has_text=made.filename).first
    expect(source).to_contain_text(made.fact)
    expect(source).to_contain_text(made.place)
    expect(answer.locator(".support")).to_have_attribute("data-status", "supported")
    answer.locator("button.cite").first.click()
    panel = page.locator("#panel")
    expect(panel.locator(".reader-name")).to_have_text(made.filename)
    expect(panel.locator(".page-text")).to_have_attribute("aria-busy", "false")
    if made.marked is None:
        expect(panel.locator(".sheet-mark.cited").first).to_be_in_viewport()
        expect(panel.get_by_role("status")).to_contain_text("the passage is marked")
    else:
        marked = panel.locator("mark").filter(has_text=made.marked).first
        expect(marked).to_be_in_viewport()
    if os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / f"{made.filename}.png"))


def test_passage_is_found_by_searching_inside_the_documents(page: Page) -> None:
    page.locator("#documents-open").click()
    page.get_by_label("Search inside your documents").fill("astronomical clock")
    hit = page.locator("#panel .found .source").first
    expect(hit).to_contain_text("Clock museum.html")
    hit.click()
    expect(page.locator("#panel mark").first).to_be_in_viewport()
