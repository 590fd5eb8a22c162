"""Runs on the page: the plan as it happens, the trace of an answer, the list of runs."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.frontend.conftest import Site, Visit, open_visit
from tests.frontend.fake_runs import QUESTION, planned_run, trace_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ATTACK = "<img src=https://evil.example/x onerror=window.hacked=1><script>window.hacked=1</script>"


def open_trace(visit: Visit, run_id: str = "run_1") -> Page:
    """Sign in and go to the address of a run."""
    page = visit.sign_in()
    page.goto(f"{visit.site.url}/#/runs/{run_id}")
    expect(page.locator("#runs .facts")).to_be_visible()
    return page


def unfold_all(page: Page) -> None:
    """Open everything that can be opened; what is drawn on opening may hold more to open."""
    for _ in range(2):
        page.evaluate("document.querySelectorAll('.trace details').forEach(each => each.open = true)")
        page.wait_for_timeout(100)


def test_plan_is_a_checklist_with_purpose_tool_and_what_it_waits_for(visit: Visit) -> None:
    visit.site.fake.pace = 0.03
    page = visit.sign_in()
    visit.ask("what does my document say", wait=False)
    steps = page.locator(".answer .step")
    expect(page.locator('.step[data-status="running"]').first).to_be_visible()
    expect(page.locator(".steps > summary")).to_contain_text("of 3 done")
    expect(steps.nth(2)).to_have_attribute("data-status", "planned")
    expect(steps.nth(2).locator(".step-title")).to_have_text("3. Find out about part 3")
    expect(steps.nth(2).locator(".step-brief")).to_contain_text("Search the web · notice period law · after step 1")
    expect(page.locator(".way-facts")).to_have_text("93 % sure · 4 ms")
    expect(page.locator(".sources")).to_be_visible()
    assert [step.get_attribute("data-status") for step in steps.all()] == ["completed", "completed", "failed"]
    page.reload()
    expect(steps.nth(2).locator(".step-title")).to_have_text("3. Find out about part 3")


def test_stopping_a_plan_marks_what_did_not_happen(visit: Visit) -> None:
    visit.site.fake.pace = 0.05
    page = visit.sign_in()
    visit.ask("what does my document say", wait=False)
    expect(page.locator('.step[data-status="running"]').first).to_be_visible()
    page.click("#stop")
    expect(page.locator(".problem")).to_contain_text("Stopped before the answer was complete")
    expect(page.locator('.answer .step[data-status="cancelled"]').last).to_be_visible()
    expect(page.locator(".trace-link")).to_have_attribute("href", "/#/runs/run_1")


def test_used_up_budget_is_a_quiet_note_also_after_a_reload(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say, on a small budget")
    note = page.locator(".problem")
    expect(note).to_have_text("The time for this answer is used up.")
    expect(note).not_to_have_class(re.compile("is-bad"))
    expect(note).to_have_attribute("role", "status")
    page.reload()
    expect(note).to_have_text("The time for this answer is used up.")


def test_trace_of_an_answer_opens_and_leads_back(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    visit.ask("a long answer")
    expect(page.locator(".trace-link")).to_have_count(1)
    page.locator(".trace-link").click()
    page.wait_for_url("**/#/runs/run_1")
    facts = page.locator(".facts")
    for text in ("Completed", "Planned", "4.8 s", "3,345", "llama3.2:3b"):
        expect(facts).to_contain_text(text)
    expect(page.locator("#runs h2")).to_have_text(QUESTION)
    expect(page.locator("#runs h2")).to_be_focused()
    expect(page.locator("#runs .problem")).to_contain_text("The budget of tool calls (4) is used up")
    expect(page.locator(".trace-way")).to_contain_text("agentic · 93 % sure · 4 ms")
    expect(page.locator("#chat")).to_be_hidden()
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#chat")).to_be_visible()
    expect(page.locator(".question-text")).to_have_count(2)
    assert re.search(r"#/c/session-\d+$", page.url)
    assert (visit.errors, visit.foreign) == ([], [])


def test_chat_is_found_where_it_was_left(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    visit.ask("a long answer")
    page.evaluate("document.querySelector('#scroller').scrollTop = 300")
    expect(page.locator("#to-latest")).to_be_visible()
    page.locator(".trace-link").click()
    expect(page.locator(".facts")).to_be_visible()
    page.go_back()
    expect(page.locator("#chat")).to_be_visible()
    assert abs(page.evaluate("document.querySelector('#scroller').scrollTop") - 300) < 3


def test_trace_shows_steps_with_inputs_outputs_and_errors(visit: Visit) -> None:
    page = open_trace(visit)
    steps = page.locator(".trace .step:not(.call)")
    expect(steps).to_have_count(4)
    expect(steps.nth(3).locator(".step-brief")).to_contain_text("after steps 1 and 2")
    steps.nth(1).locator("summary").click()
    expect(steps.nth(1)).to_contain_text('"expression": "2340 * 17.5 / 100"')
    expect(steps.nth(1)).to_contain_text("409.500000000000")
    steps.nth(2).locator("summary").click()
    expect(steps.nth(2)).to_contain_text("Web search is switched off on this server.")
    expect(page.locator(".trace-answer")).to_contain_text("three months")
    page.locator(".trace-answer button.cite").first.click()
    expect(page.locator("#panel mark")).to_contain_text("Either side may end the employment")


def test_trace_shows_the_prompt_thinking_text_and_tokens_of_each_model_call(visit: Visit) -> None:
    page = open_trace(visit)
    calls = page.locator(".call")
    expect(calls).to_have_count(3)
    expect(calls.nth(0)).to_contain_text("612 → 141 tokens")
    calls.nth(0).locator("summary").first.click()
    system = calls.nth(0).locator('[data-role="system"]')
    expect(system.locator("pre")).to_be_hidden()
    system.locator("summary").click()
    expect(system.locator("pre")).to_contain_text("You plan the work of an agent.")
    expect(calls.nth(0)).to_contain_text("so they can run side by side")
    expect(calls.nth(0).get_by_label("Text", exact=True)).to_contain_text('"tool": "rag_retrieval"')
    calls.nth(2).locator("summary").first.click()
    expect(calls.nth(2)).to_contain_text("Prompt · 6 messages")
    calls.nth(2).get_by_text("4 messages as in model call 2").click()
    expect(calls.nth(2).locator('.earlier [data-role="tool"]')).to_have_count(2)


def test_steps_that_ran_side_by_side_stand_side_by_side_and_a_bar_opens_its_step(visit: Visit) -> None:
    page = open_trace(visit)
    boxes = [bar.bounding_box() for bar in page.locator(".bar").all()]
    assert len(boxes) == 7
    plan, *steps = [box for box in boxes if box is not None]
    first, second, third, fourth = steps[:4]
    assert first["x"] >= plan["x"] + plan["width"] - 2
    assert abs(first["x"] - second["x"]) < 2 and abs(first["x"] - third["x"]) < 4
    assert third["x"] + third["width"] > fourth["x"] > first["x"]
    page.get_by_role("button", name=re.compile(r"^Tool call: 2\. Work out 17\.5 % of 2340, completed")).click()
    opened = page.locator(".trace .step").nth(1)
    expect(opened.locator("summary")).to_be_focused()
    expect(opened.locator(".step-detail")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Model call: Check")).click()
    expect(page.locator(".call").nth(2).locator("summary").first).to_be_focused()


def test_trace_comes_back_after_a_reload_and_its_back_button_knows_the_conversation(visit: Visit) -> None:
    page = open_trace(visit)
    page.reload()
    expect(page.locator("#runs .facts")).to_contain_text("Completed")
    page.get_by_role("button", name="Back").click()
    page.wait_for_url("**/#/c/old-0")
    expect(page.locator("#thread .md")).to_contain_text("Earlier")


def test_whole_trace_can_be_copied_as_json(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_trace(visit)
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied == json.loads(json.dumps(visit.site.fake.runs.traces["run_1"]))


def test_running_run_is_followed_over_a_broken_line_to_its_end(visit: Visit) -> None:
    runs = visit.site.fake.runs
    runs.start("run_live")
    runs.pace, runs.break_after = 0.1, 8
    page = open_trace(visit, "run_live")
    expect(page.locator(".facts")).to_contain_text("Running")
    expect(page.locator(".trace .step")).to_have_count(4 + 1)
    expect(page.locator('.trace .step[data-status="planned"]').last).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("Completed", timeout=15_000)
    expect(page.locator(".call")).to_have_count(3)
    expect(page.locator(".trace-answer")).to_contain_text("three months")
    page.locator(".call summary").first.click()
    expect(page.locator(".call").first).to_contain_text("Prompt · 2 messages")
    expect(page.get_by_role("button", name="Cancel run")).to_be_hidden()
    assert runs.asked_after == [0, 8]


def test_running_run_can_be_cancelled(visit: Visit) -> None:
    runs = visit.site.fake.runs
    runs.start("run_live")
    runs.pace = 0.3
    page = open_trace(visit, "run_live")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator(".facts")).to_contain_text("Cancelled")
    expect(page.locator("#runs .problem")).to_have_text("The run was cancelled.")
    assert runs.cancelled == ["run_live"]


def test_leaving_a_running_trace_stops_following_it(visit: Visit) -> None:
    runs = visit.site.fake.runs
    runs.start("run_live")
    runs.pace, runs.break_after = 0.05, 3
    page = open_trace(visit, "run_live")
    page.click("#new-chat")
    expect(page.locator("#chat")).to_be_visible()
    asked = len(runs.asked_after)
    page.wait_for_timeout(2000)
    assert len(runs.asked_after) == asked


def test_missing_run_is_said_with_a_way_on(visit: Visit) -> None:
    page = visit.sign_in()
    page.goto(f"{visit.site.url}/#/runs/run_none")
    expect(page.locator("#runs")).to_contain_text("There is no trace of this run here")
    page.get_by_role("link", name="All runs").click()
    expect(page.locator(".run")).to_have_count(25)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param(
            {"status": "failed", "error": {"message": "The model stopped in mid-answer.", "code": "x"}, "answer": ""},
            "The model stopped in mid-answer.",
            id="failed",
        ),
        pytest.param(
            {"status": "waiting", "tool_calls": [{"id": "c", "name": "book_room", "arguments": "{}"}], "answer": ""},
            "It goes on when its caller sends the results of: book_room.",
            id="waiting",
        ),
        pytest.param({"status": "completed", "steps": [], "calls": [], "route": None}, "", id="bare"),
    ],
)
def test_trace_of_an_unusual_run_is_shown(visit: Visit, fields: dict[str, object], says: str) -> None:
    visit.site.fake.runs.add(trace_of("run_odd", time.time(), **fields))
    page = open_trace(visit, "run_odd")
    expect(page.locator("#runs .problem span")).to_have_text(says)
    assert visit.errors == []


def test_runs_are_listed_newest_first_in_pages(visit: Visit) -> None:
    page = visit.sign_in()
    page.get_by_role("link", name="Runs").click()
    rows = page.locator(".run")
    expect(rows).to_have_count(25)
    expect(rows.nth(0)).to_contain_text(QUESTION)
    expect(rows.nth(0)).to_contain_text("Planned · 4 steps")
    expect(rows.nth(0)).to_contain_text("3,345 tokens")
    expect(rows.nth(0)).to_contain_text("4.8 s")
    expect(rows.nth(2).locator(".step-state")).to_have_text("Failed: ")
    expect(page.locator("#runs-open")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(14)
    expect(page.locator(".run-pager")).to_contain_text("26–39 of 39")
    page.get_by_role("link", name="Newer").click()
    rows.nth(1).get_by_role("link").click()
    page.wait_for_url("**/#/runs/run_2")
    expect(page.locator("#runs h2")).to_have_text("What is 17 * 23?")
    page.get_by_role("button", name="Back").click()
    expect(rows).to_have_count(25)
    assert (visit.errors, visit.foreign) == ([], [])


def test_list_of_runs_says_when_there_are_none_and_when_it_cannot_be_loaded(visit: Visit) -> None:
    visit.site.fake.runs.traces.clear()
    page = visit.sign_in()
    page.route("**/api/runs?*", lambda route: route.abort())
    page.get_by_role("link", name="Runs").click()
    expect(page.locator("#runs")).to_contain_text("Hearth cannot be reached")
    page.unroute("**/api/runs?*")
    page.locator("#runs").get_by_role("button", name="Try again").click()
    expect(page.locator("#runs")).to_contain_text("No runs yet")


def test_another_user_finds_nothing_of_the_last_ones_trace(visit: Visit) -> None:
    page = open_trace(visit)
    page.click("#signout")
    expect(page.locator("#signin")).to_be_visible()
    assert QUESTION not in page.locator("#runs").inner_text()


def test_xss_1_everything_in_a_trace_is_text(visit: Visit) -> None:
    hostile = planned_run("run_bad", time.time())
    hostile |= {
        "reasoning": ATTACK,
        "query": ATTACK,
        "model": ATTACK,
        "answer": ATTACK,
        "status": ATTACK,
        "stopped_because": ATTACK,
    }
    hostile["route"] |= {"reason": ATTACK, "agent": ATTACK, "task": ATTACK}
    for step in [*hostile["steps"], *hostile["plan"]]:
        step |= {"name": ATTACK, "purpose": ATTACK, "arguments": {ATTACK: ATTACK}}
    for step in hostile["steps"]:
        step |= {"output": ATTACK, "error": ATTACK, "status": ATTACK}
    for call in hostile["calls"]:
        call |= {
            "step": ATTACK,
            "text": ATTACK,
            "reasoning": ATTACK,
            "error": ATTACK,
            "tools": [ATTACK],
            "finish": ATTACK,
        }
        call["tool_calls"] = [{"id": ATTACK, "name": ATTACK, "arguments": ATTACK}]
        call["messages"] = [{"role": ATTACK, "name": ATTACK, "content": ATTACK}]
    for citation in hostile["citations"]:
        citation |= {"filename": ATTACK, "quote": ATTACK, "title": ATTACK}
    hostile["citations"].append({"index": 9, "kind": "web", "title": ATTACK, "url": "javascript:window.hacked=1"})
    visit.site.fake.runs.add(hostile)
    page = visit.sign_in()
    page.goto(f"{visit.site.url}/#/runs")
    expect(page.locator(".run").first).to_contain_text(ATTACK)
    page.locator(".run a").first.click()
    expect(page.locator(".facts")).to_contain_text(ATTACK)
    unfold_all(page)
    for place in (
        "h2",
        ".problem",
        ".trace-way",
        ".thinking-text",
        ".bars",
        ".trace .step",
        ".call",
        ".message",
        ".trace-answer",
        ".sources",
    ):
        expect(page.locator(f"#runs {place}").first).to_contain_text(ATTACK)
    assert page.locator("#runs :is(script, img, iframe, style, form, object, embed, a[href^=javascript])").count() == 0
    names = page.evaluate("[...document.querySelectorAll('#runs *')].flatMap(each => each.getAttributeNames())")
    assert [name for name in names if name.startswith("on")] == []
    assert page.evaluate("window.hacked") is None
    assert (visit.errors, visit.foreign) == ([], [])


def test_narrow_phone_scrolls_only_the_timeline_sideways(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, viewport={"width": 360, "height": 700}, has_touch=True, is_mobile=True):
        fits = "document.documentElement.scrollWidth <= 360 && document.querySelector('#runs').scrollWidth <= 360"
        word = "x" * 300
        wide = planned_run("run_wide", time.time())
        wide |= {"query": word, "model": word, "answer": f"`{word}`"}
        for step in wide["steps"]:
            step |= {"purpose": word, "name": word, "output": word}
        for call in wide["calls"]:
            call |= {"step": word, "tools": [word]}
        site.fake.runs.add(wide)
        page = visit.sign_in()
        for run_id in ("run_1", "run_wide"):
            page.goto(f"{site.url}/#/runs/{run_id}")
            expect(page.locator("#runs h2")).to_have_text(site.fake.runs.traces[run_id]["query"])
            expect(page.locator(".call")).to_have_count(3)
            unfold_all(page)
            assert page.evaluate(fits)
            assert page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.timeline'))")
        page.goto(f"{site.url}/#/runs")
        expect(page.locator(".run").first).to_be_visible()
        assert page.evaluate(fits)
        page.tap("#sidebar-open")
        page.tap("#runs-open")
        expect(page.locator("#sidebar")).not_to_be_in_viewport()


def test_trace_by_keyboard_and_every_control_has_a_name(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.trace-link')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#runs h2")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.trace .step summary')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".trace .step-detail").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    nameless = """() => [...document.querySelectorAll('button, a[href], input, select, summary, [tabindex="0"]')]
        .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    page.go_back()
    expect(page.locator(".trace-link")).to_be_focused()
