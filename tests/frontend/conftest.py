"""The page in real Chromium against the stand-in backend."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.frontend.fake_backend import PASSWORD, Fake, create_fake, fill

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Signals belong to pytest."""


@dataclass
class Site:
    """A running stand-in backend."""

    url: str
    fake: Fake


@dataclass
class Visit:
    """A page with what it did: `foreign` requests left the server, `errors` were thrown or reported in it."""

    page: Page
    site: Site
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def sign_in(self) -> Page:
        self.page.goto(self.site.url)
        self.page.fill("#username", "ada")
        self.page.fill("#password", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#prompt", state="visible")
        return self.page

    def ask(self, text: str, *, wait: bool = True) -> None:
        self.page.fill("#prompt", text)
        self.page.keyboard.press("Enter")
        if wait:
            self.page.wait_for_selector(".answer:last-child:not(.is-running) .answer-foot")
            self.page.wait_for_selector("#stop", state="hidden")


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    fake = Fake()
    config = uvicorn.Config(create_fake(fake), port=0, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 15
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the stand-in backend did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(f"http://127.0.0.1:{port}", fake)
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def site(running: Site) -> Site:
    """The stand-in backend with nothing left in it from another test."""
    fresh = Fake()
    fill(fresh)
    vars(running.fake).update(vars(fresh))
    return running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for one module: Playwright's synchronous side keeps an event loop, which must not outlive it."""
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"Chromium is needed for the page's tests at {CHROMIUM}: install it (Debian: apt-get install chromium)"
        )
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """A fresh browser context on a desktop-sized, light page."""
    yield from open_visit(browser, site)


def open_visit(browser: Browser, site: Site, **options: object) -> Iterator[Visit]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **options})  # type: ignore[arg-type]
    context.set_default_timeout(10_000)
    visit = Visit(context.new_page(), site)

    def note(request: Request) -> None:
        if not request.url.startswith((site.url, "blob:", "data:")):
            visit.foreign.append(request.url)

    context.on("request", note)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on(
        "console",
        lambda message: visit.errors.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield visit
    context.close()
