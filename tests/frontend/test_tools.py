"""The page's tool switches, the files tools made, and asking for the user's leave, in Chromium."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Browser, expect

from tests.frontend.conftest import Site, Visit, open_visit
from tests.frontend.fake_tools import CSV, PNG, tool

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ATTACK = "<img src=https://evil.example/x onerror=window.hacked=1>"


def saved(visit: Visit, number: int) -> list[list[str]]:
    """The settings the server was sent, once there are `number` of them."""
    deadline = time.monotonic() + 5
    while len(visit.site.fake.tools.saved) < number and time.monotonic() < deadline:
        time.sleep(0.02)
    return visit.site.fake.tools.saved


def test_switch_is_kept_by_the_server_and_shown_again(visit: Visit) -> None:
    page = visit.sign_in()
    page.get_by_role("button", name="Tools", exact=True).click()
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text("Tools")
    weather = panel.get_by_role("switch", name="Check the weather")
    expect(weather).to_be_checked()
    row = panel.locator(".tool").filter(has_text="Check the weather")
    expect(row).to_contain_text("Sends something off this machine")
    expect(row.locator(".tool-about")).to_have_text(
        "Tells the current weather and the forecast for any place in the world."
    )
    expect(panel.locator(".tool").filter(has_text="send_mail")).to_contain_text("Asks you first")
    weather.click()
    assert saved(visit, 1) == [["weather"]]
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("button", name="Tools, 1 off").click()
    expect(weather).not_to_be_checked()
    panel.locator("label", has_text="Check the weather").click()
    assert saved(visit, 2)[1] == []
    assert (visit.errors, visit.foreign) == ([], [])


def test_tool_that_cannot_work_here_says_why_and_cannot_be_switched(visit: Visit) -> None:
    page = visit.sign_in()
    page.click("#tools-open")
    row = page.locator(".tool[data-available=false]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Needs the Python package duckdb, which is not installed.")
    expect(row.get_by_role("switch")).to_be_disabled()


def test_switches_work_by_keyboard_and_the_focus_comes_back(visit: Visit) -> None:
    page = visit.sign_in()
    page.locator("#tools-open").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    first = page.get_by_role("switch").first
    expect(first).to_be_focused()
    page.keyboard.press("Space")
    expect(first).not_to_be_checked()
    assert saved(visit, 1) == [["data_analysis"]]
    expect(page.locator("#announcer")).to_have_text("Analyse data: off")
    page.keyboard.press("Escape")
    expect(page.locator("#tools-open")).to_be_focused()


def test_quick_turns_end_with_the_last_one(visit: Visit) -> None:
    visit.site.fake.tools.pace = 0.15
    page = visit.sign_in()
    page.click("#tools-open")
    switches = page.get_by_role("switch")
    for number in (0, 1, 0, 2):
        switches.nth(number).click()
    wanted = ["math_calc", "rag_retrieval"]
    deadline = time.monotonic() + 5
    while visit.site.fake.tools.saved[-1:] != [wanted] and time.monotonic() < deadline:
        time.sleep(0.02)
    page.wait_for_timeout(400)
    assert visit.site.fake.tools.saved[-1] == wanted
    assert [each["enabled"] for each in visit.site.fake.tools.items[:3]] == [True, False, False]
    expect(switches.nth(0)).to_be_checked()
    expect(switches.nth(1)).not_to_be_checked()


def test_switch_that_was_not_kept_goes_back(visit: Visit) -> None:
    visit.site.fake.tools.fails = True
    page = visit.sign_in()
    page.click("#tools-open")
    page.get_by_role("switch").first.click()
    expect(page.locator(".toast")).to_contain_text("The switch was not kept. The disk is full.")
    expect(page.get_by_role("switch").first).to_be_checked()


def test_list_that_does_not_come_can_be_asked_for_again(visit: Visit) -> None:
    visit.page.route("**/api/tools", lambda route: route.abort())
    page = visit.sign_in()
    page.click("#tools-open")
    expect(page.locator("#panel")).to_contain_text("Hearth cannot be reached")
    page.unroute("**/api/tools")
    page.locator("#panel").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("switch")).to_have_count(6)


def test_xss_1_tool_names_descriptions_and_reasons_are_text(visit: Visit) -> None:
    visit.site.fake.tools.items = [
        tool(ATTACK, ATTACK),
        tool("x", ATTACK, available=False, reason=ATTACK),
        tool('"]', "It ends a selector."),
    ]
    page = visit.sign_in()
    page.click("#tools-open")
    expect(page.locator(".tool-about").first).to_have_text(ATTACK)
    expect(page.locator(".tool-reason")).to_contain_text(ATTACK)
    page.get_by_role("switch").nth(1).click()
    page.get_by_role("switch").nth(0).click()
    assert saved(visit, 2)[-1] == [ATTACK, '"]']
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hacked") is None
    assert (visit.errors, visit.foreign) == ([], [])


def test_picture_and_file_stand_under_the_answer_and_in_the_step(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("a chart please")
    shelf = page.locator(".answer-files")
    picture = shelf.get_by_role("img", name="sales by city.svg")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") == 640
    with page.expect_download() as download:
        shelf.get_by_role("button", name="Download sales.csv").click()
    assert download.value.suggested_filename == "sales.csv"
    assert download.value.path().read_bytes() == CSV
    with page.expect_download() as download:
        shelf.get_by_role("button", name="Download sales by city.svg").click()
    assert download.value.suggested_filename == "sales by city.svg"
    page.click(".steps > summary")
    expect(page.locator(".step-brief")).to_contain_text("2 files")
    page.click(".step summary")
    expect(page.locator(".step").get_by_role("img", name="sales by city.svg")).to_be_visible()
    assert sorted(visit.site.fake.tools.fetched) == ["chart1", "table1"]
    page.reload()
    expect(shelf.get_by_role("img", name="sales by city.svg")).to_be_visible()
    assert (visit.errors, visit.foreign) == ([], [])


def test_trace_shows_the_files_of_its_steps(visit: Visit) -> None:
    runs = visit.site.fake.runs
    run_id = next(iter(runs.traces))
    runs.traces[run_id]["steps"][0]["files"] = [{"id": "chart1", "name": "c.svg", "content_type": "image/svg+xml"}]
    page = visit.sign_in()
    page.goto(f"{visit.site.url}/#/runs/{run_id}")
    page.locator("#runs .trace-part > div > .files").scroll_into_view_if_needed()
    expect(page.locator("#runs .files").get_by_role("img", name="c.svg").last).to_be_visible()


def test_file_that_is_gone_is_told(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what is gone")
    shelf = page.locator(".answer-files")
    expect(shelf.locator(".file-picture")).to_contain_text("This file is not there any more")
    expect(shelf.locator(".file-picture").get_by_role("button")).to_have_count(0)
    chip = shelf.get_by_role("button", name="Download lost.csv")
    chip.click()
    expect(shelf.locator(".file-chips")).to_contain_text("This file is not there any more")
    expect(chip).to_be_disabled()


def test_picture_that_did_not_come_can_be_asked_for_again(visit: Visit) -> None:
    page = visit.sign_in()
    page.route("**/api/artifacts/*", lambda route: route.abort())
    visit.ask("a chart please")
    frame = page.locator(".answer-files .file-picture")
    expect(frame).to_contain_text("Hearth cannot be reached")
    page.unroute("**/api/artifacts/*")
    frame.get_by_role("button", name="Try again").click()
    expect(frame.get_by_role("img", name="sales by city.svg")).to_be_visible()


def test_picture_that_is_none_is_told(visit: Visit) -> None:
    visit.site.fake.tools.files["chart1"] = ("image/svg+xml", b"<html>not a picture")
    page = visit.sign_in()
    visit.ask("a chart please")
    expect(page.locator(".answer-files")).to_contain_text("This picture cannot be shown")


def test_xss_1_hostile_picture_and_file_names_do_nothing(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("something hostile")
    shelf = page.locator(".answer-files")
    expect(shelf.locator("img")).to_have_count(1)
    expect(shelf.locator(".file-name").first).to_contain_text("<img src=https:")
    assert shelf.evaluate("node => node.querySelectorAll('svg script, iframe, object, embed, b').length") == 0
    with page.expect_download() as download:
        shelf.locator(".file-chip").click()
    assert download.value.suggested_filename.endswith("gpj.exe")
    assert "\u202e" not in shelf.inner_text()
    expect(shelf.locator(".file-chip")).to_have_count(1)
    assert page.evaluate("window.hacked") is None
    assert visit.foreign == []
    assert visit.site.fake.tools.fetched == ["evil1", "table1"]
    # A reader may open the picture in a tab of its own: there it must have nothing of this site.
    alone = page.context.new_page()
    alone.goto(shelf.locator("img").get_attribute("src") or "")
    assert alone.evaluate("window.origin") == "null"


def test_files_of_another_user_are_not_left_on_the_page(visit: Visit) -> None:
    page = visit.sign_in()
    visit.site.fake.tools.files["chart1"] = ("image/png", PNG)
    visit.ask("a photo please")
    source = page.locator(".answer-files img").get_attribute("src") or ""
    assert source.startswith("blob:")
    page.click("#signout")
    expect(page.locator("#signin")).to_be_visible()
    assert page.evaluate("url => fetch(url).then(() => 'there', () => 'gone')", source) == "gone"


def test_leave_for_a_tool_is_asked_for_and_holds_for_one_answer(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("write a letter")
    consent = page.locator(".consent")
    expect(consent).to_contain_text("This tool runs only if you allow it.")
    expect(consent).to_contain_text("to: bob@example.com, text: <b>Good morning</b>, Bob")
    consent.get_by_role("button", name="Allow and try again").click()
    expect(page.locator(".md")).to_contain_text("The letter is on its way.")
    expect(consent).to_be_hidden()
    page.locator(".answer").get_by_label("Ask again").click()
    expect(page.locator(".pager")).to_contain_text("3/3")
    expect(consent).to_be_visible()
    sent = [(body["messages"][-1]["content"], body.get("confirmed_tools")) for body in visit.site.fake.asked]
    assert sent == [("write a letter", None), ("write a letter", ["send_mail"]), ("write a letter", None)]


def test_narrow_phone_shows_switches_and_pictures_without_sideways_scrolling(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True):
        page = visit.sign_in()
        fits = "document.documentElement.scrollWidth <= 320"
        page.fill("#prompt", "a chart and a letter")
        page.tap("#send")
        expect(page.locator(".answer-files img")).to_be_visible()
        assert page.evaluate(fits)
        expect(page.locator("#send")).to_be_in_viewport()
        page.tap("#tools-open")
        expect(page.locator("#panel h2")).to_have_text("Tools")
        assert page.evaluate(fits)
        page.get_by_role("switch").nth(1).tap()
        assert saved(visit, 1) == [["math_calc"]]
