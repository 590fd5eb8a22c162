"""The page against a real server with no Ollama: sign in, upload a PDF, ask, see steps and a cited page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.server import PASSWORD, HearthServer, upload_and_wait

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


def test_planned_answer_shows_its_steps_and_its_trace(page: Page, offline: HearthServer, handbook: bytes) -> None:
    with offline.client(offline.add_user("page-planner")) as client:
        upload_and_wait(client, "Staff handbook.pdf", handbook)
    sign_in(page, "page-planner", PASSWORD)
    page.locator("#agent").select_option("plan_execute")
    question = "How many days of paid holiday does the staff handbook give, and what is 27 * 8?"
    ask(page, question)
    answer = page.locator("#thread .answer")
    expect(answer).to_contain_text("216", timeout=30_000)
    expect(answer.locator(".way")).to_contain_text("Planned")
    expect(answer.locator('.step[data-status="completed"]')).to_have_count(2)
    answer.get_by_role("link", name="Trace").click()
    page.wait_for_url("**/#/runs/run_*")
    trace = page.locator("#runs")
    expect(trace.locator("h2")).to_have_text(question)
    facts = trace.locator(".facts")
    expect(facts).to_contain_text("Completed")
    expect(facts).to_contain_text("hearth-builtin")
    expect(facts.locator("div", has_text="Tool calls").locator("dd")).to_have_text("2")
    assert int(facts.locator("div", has_text="Tokens").locator("dd").inner_text().replace(",", "")) > 0
    steps = trace.locator(".step:not(.call)")
    for step in steps.all():
        step.locator("summary").click()
    expect(steps.filter(has_text="math_calc").get_by_label("Input")).to_contain_text("27")
    expect(steps.filter(has_text="math_calc").get_by_label("Output")).to_contain_text("216")
    expect(steps.filter(has_text="rag_retrieval").get_by_label("Output")).to_contain_text("27 days")
    call = trace.locator(".call").first
    expect(call).to_contain_text(re.compile(r"\d+ → \d+ tokens"))
    call.locator("summary").first.click()
    expect(call.locator('.message[data-role="user"]').first).to_contain_text(question)
    assert trace.locator(".bars li").count() >= 3
    page.reload()
    expect(facts).to_contain_text("Completed")
    page.get_by_role("link", name="Runs").click()
    expect(page.locator(".run")).to_have_count(1)
    expect(page.locator(".run")).to_contain_text(question)
    page.locator(".run a").click()
    trace.get_by_role("link", name="Conversation").click()
    expect(answer).to_contain_text("216")


DRAW = """Run this:
```python
shape = '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60"><rect width="120" height="60"/></svg>'
open("drawing.svg", "w").write(shape)
open("rows.csv", "w").write("a,b\\n1,2\\n")
print("drawn")
```"""


def test_files_that_code_made_are_shown_and_downloaded(page: Page, offline: HearthServer) -> None:
    sign_in(page, new_user(offline, "page-drawer"), PASSWORD)
    ask(page, DRAW)
    files = page.locator("#thread .answer-files")
    picture = files.get_by_role("img", name="drawing.svg")
    expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") == 120
    with page.expect_download() as download:
        files.get_by_role("button", name="Download rows.csv").click()
    assert download.value.path().read_bytes() == b"a,b\n1,2\n"
    page.reload()
    expect(picture).to_be_visible()
    page.locator("#thread").get_by_role("link", name="Trace").click()
    expect(page.locator("#runs").get_by_role("img", name="drawing.svg").last).to_be_visible()


def test_tool_switched_off_on_the_page_does_not_run(page: Page, offline: HearthServer) -> None:
    sign_in(page, new_user(offline, "page-switcher"), PASSWORD)
    page.locator("#tools-open").click()
    switch = page.get_by_role("switch", name="Calculate")
    expect(switch).to_be_checked()
    with page.expect_response("**/api/tools/settings") as kept:
        switch.click()
    assert kept.value.status == 200
    page.reload()
    page.get_by_role("button", name="Tools, 1 off").click()
    expect(switch).not_to_be_checked()
    page.locator("#agent").select_option("react")
    ask(page, "What is 18% of 2450?")
    answer = page.locator("#thread .answer:not(.is-running)")
    expect(answer.locator(".answer-foot")).to_be_visible(timeout=30_000)
    expect(page.locator("#thread .step").filter(has_text="Calculate")).to_have_count(0)


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
