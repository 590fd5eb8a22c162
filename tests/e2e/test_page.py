"""The page against a real server with no Ollama: sign in, upload a PDF, ask, see steps and a cited page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.server import PASSWORD, HearthServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, offline: HearthServer) -> Iterator[Page]:
    """A fresh page; any request to elsewhere and any script error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    opened = context.new_page()
    foreign: list[str] = []
    errors: list[str] = []
    opened.on(
        "request", lambda r: foreign.append(r.url) if not r.url.startswith((offline.url, "blob:", "data:")) else None
    )
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(offline.url)
    yield opened
    context.close()
    assert foreign == [] and errors == []


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#prompt")).to_be_visible()


def new_user(offline: HearthServer, name: str) -> str:
    offline.add_user(name)
    return name


def ask(page: Page, text: str) -> None:
    page.locator("#prompt").fill(text)
    page.locator("#prompt").press("Enter")


def upload(page: Page, path: Path) -> None:
    page.locator("#file-input").set_input_files(str(path))


def test_upload_a_pdf_and_ask_about_it(page: Page, offline: HearthServer, handbook: bytes, tmp_path: Path) -> None:
    sign_in(page, new_user(offline, "page-reader"), PASSWORD)
    expect(page.locator("#banner")).to_contain_text("built-in model")
    path = tmp_path / "Staff handbook.pdf"
    path.write_bytes(handbook)
    upload(page, path)
    page.locator("#documents-open").click()
    expect(page.locator("#panel")).to_contain_text("Staff handbook.pdf")
    expect(page.locator("#panel")).to_contain_text("34 pages", timeout=30_000)
    ask(page, "How many days of paid holiday does the staff handbook give per year?")
    thread = page.locator("#thread")
    expect(thread).to_contain_text("27 days", timeout=30_000)
    expect(thread).to_contain_text("Staff handbook.pdf")
    expect(thread).to_contain_text("rag_retrieval")
    page.locator("#thread .source, #thread [data-citation], #thread .marker").first.click()
    expect(page.locator("#panel")).to_contain_text("27 days of paid holiday")
    expect(page.locator("#panel").get_by_label("Page", exact=True)).to_have_value("3")


def test_cited_page_opens_at_its_own_address(page: Page, offline: HearthServer, handbook: bytes) -> None:
    sign_in(page, new_user(offline, "page-viewer"), PASSWORD)
    made = offline.run("keys", "create", "--user", "page-viewer").stdout.strip()
    with offline.client(made) as client:
        from tests.server import upload_and_wait

        document = upload_and_wait(client, "Staff handbook.pdf", handbook)
    page.goto(f"{offline.url}/files/{document['file_id']}/view#page=12")
    expect(page.locator("#viewer")).to_contain_text("140 euros per night")
    expect(page.locator("#viewer")).to_contain_text("Staff handbook.pdf")


def test_wrong_password_is_said_and_the_name_stays(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#signin-error")).to_contain_text("wrong")
    expect(page.get_by_label("User name")).to_have_value("admin")


def test_conversations_come_back_after_a_reload(page: Page, offline: HearthServer) -> None:
    sign_in(page, new_user(offline, "page-returner"), PASSWORD)
    ask(page, "What is 18% of 2450?")
    expect(page.locator("#thread")).to_contain_text("441", timeout=30_000)
    page.reload()
    page.locator("#conversations").get_by_text("What is 18% of 2450?").click()
    expect(page.locator("#thread")).to_contain_text("441")


def test_docs_page_lists_the_routes_without_foreign_requests(page: Page, offline: HearthServer) -> None:
    page.goto(f"{offline.url}/docs")
    expect(page.locator("#routes")).to_contain_text("/v1/chat/completions")


def test_xss_1_hostile_file_name_and_text_stay_text(page: Page, offline: HearthServer, tmp_path: Path) -> None:
    sign_in(page, new_user(offline, "page-attacked"), PASSWORD)
    path = tmp_path / "<img src=x onerror=window.pwned=1>.md"
    path.write_text("The secret colour is teal. <script>window.pwned=1</script> ![x](http://evil.example/x.png)")
    upload(page, path)
    page.locator("#documents-open").click()
    expect(page.locator("#panel")).to_contain_text("<img src=x", timeout=30_000)
    expect(page.locator("#panel")).to_contain_text("1 passage", timeout=30_000)
    ask(page, "According to my documents, what is the secret colour?")
    expect(page.locator("#thread")).to_contain_text("teal", timeout=30_000)
    assert page.evaluate("window.pwned") is None
