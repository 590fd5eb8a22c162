"""Makes the pictures in docs/images: the page answering from an uploaded PDF, and the trace of that answer.

The built-in model answers, so nothing but this repository and Chromium is needed. `python -m scripts.screenshot
[FOLDER]` also leaves light, dark and phone pictures of both, of the list of runs, the tools and a drawing in FOLDER,
for judging the page.
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
DRAWING = """Run this:
```python
bars = "".join(f'<rect x="{30 + 90 * n}" y="{200 - h}" width="60" height="{h}" fill="#3f7189"/>'
               for n, h in enumerate([70, 160, 120, 90]))
open("bars.svg", "w").write(
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 220" width="400" height="220">{bars}</svg>')
open("bars.csv", "w").write("bar,height\\n1,70\\n2,160\\n3,120\\n4,90\\n")
print("drawn")
```"""


def main() -> None:
    images = Path(__file__).resolve().parents[1] / "docs" / "images"
    images.mkdir(exist_ok=True)
    shots = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as name, HearthServer(Path(name)) as server, chromium() as browser:
        with server.client() as client:
            # A first answer, so that the pictures do not show what is loaded but once.
            ask = {
                "model": "hearth-plan",
                "messages": [{"role": "user", "content": "What is 6 * 7, and what is 9 - 4?"}],
            }
            first = client.post("/v1/chat/completions", json=ask).raise_for_status().json()
            client.delete(f"/api/conversations/{first['session_id']}").raise_for_status()
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page = context.new_page()
        answer(page, server, Path(name))
        take(page, "answer", images, shots)
        page.keyboard.press("Escape")
        trace(page)
        take(page, "trace", images, shots)
        page.goto(f"{server.url}/#/runs")
        expect(page.locator(".run")).to_have_count(1)
        take(page, "runs", None, shots)
        drawing(page, server)
        take(page, "drawing", None, shots)
        page.locator("#tools-open").click()
        take(page, "tools", None, shots)
        context.close()


def take(page: Page, name: str, images: Path | None, shots: Path | None) -> None:
    """The light picture for the docs; dark and phone ones besides when there is a folder for them."""
    page.wait_for_timeout(500)
    if images is not None:
        page.screenshot(path=images / f"{name}.png")
        print(images / f"{name}.png")
    if shots is None:
        return
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / f"{name}-light.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=shots / f"{name}-dark.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=shots / f"{name}-phone.png")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")


def drawing(page: Page, server: HearthServer) -> None:
    page.goto(server.url)
    page.locator("#new-chat").click()
    page.locator("#prompt").fill(DRAWING)
    page.locator("#prompt").press("Enter")
    expect(page.locator(".answer-files img")).to_be_visible(timeout=60_000)


def trace(page: Page) -> None:
    page.get_by_label("Hide this note").click()
    page.locator(".trace-link").click()
    expect(page.locator("#runs .facts")).to_contain_text("Completed")
    page.mouse.move(0, 0)


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


if __name__ == "__main__":
    main()
