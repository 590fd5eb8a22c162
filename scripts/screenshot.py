"""Makes docs/images/answer.png: the page answering from an uploaded PDF, as the built-in model does it.

`python -m scripts.screenshot [FOLDER]` also leaves light, dark and phone pictures in FOLDER, for judging the page.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import chromium
from tests.handbook import handbook_pdf
from tests.server import HearthServer

QUESTION = "How many days of paid holiday does the staff handbook give, and what is 27 * 8?"


def main() -> None:
    target = Path(__file__).resolve().parents[1] / "docs" / "images" / "answer.png"
    target.parent.mkdir(exist_ok=True)
    shots = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as name, HearthServer(Path(name)) as server, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page = context.new_page()
        answer(page, server, Path(name))
        page.screenshot(path=target)
        if shots is not None:
            shots.mkdir(parents=True, exist_ok=True)
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=shots / "dark.png")
            page.set_viewport_size({"width": 390, "height": 844})
            page.screenshot(path=shots / "phone.png")
        context.close()
    print(target)


def answer(page: Page, server: HearthServer, folder: Path) -> None:
    page.goto(server.url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(server.password)
    page.get_by_role("button", name="Sign in").click()
    path = folder / "Staff handbook.pdf"
    path.write_bytes(handbook_pdf())
    page.locator("#file-input").set_input_files(str(path))
    page.locator("#documents-open").click()
    expect(page.locator("#panel")).to_contain_text("34 pages", timeout=60_000)
    page.locator("#prompt").fill(QUESTION)
    page.locator("#prompt").press("Enter")
    expect(page.locator("#thread")).to_contain_text("216", timeout=60_000)
    page.locator("#thread .source, #thread [data-citation], #thread .marker").first.click()
    expect(page.locator("#panel")).to_contain_text("27 days")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
