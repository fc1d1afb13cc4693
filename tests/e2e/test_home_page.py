"""The page at ``/`` in a real browser."""

from __future__ import annotations

import re

import httpx2
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.e2e.demo_process import Demo
from tests.e2e.page import Page
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.e2e

STEPS = ("signed", "admitted", "found", "routed", "checked", "recorded")
#: What holds whichever number the page has among the sources; the other markers of it are taken out.
HOLDS = '[1, 2, 3, 4, 5, 6 "Saturday from 8:00 to 14:00"]'


def test_a_question_is_answered_and_its_cost_shown(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    assert page.text("status") == "The answer is complete."
    assert "Saturday from 8:00 to 14:00. [1]" in page.last("assistant")
    assert "offline · offline-extractive" in page.last("assistant")
    assert page.text("cost") == "$0"
    assert int(page.text("tokens-in")) > 0
    assert int(page.text("tokens-out")) > 0
    assert [page.step(name) for name in STEPS] == ["done"] * 6
    assert page.complaints() == []


def test_a_citation_leads_from_its_marker_to_the_quoted_words_of_the_article(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    (citation,) = page.citations()
    marker = browser.find_element(By.CSS_SELECTOR, ".turn.assistant .marker")
    assert (marker.text, marker.get_dom_attribute("href")) == ("[1]", f"#{citation.get_dom_attribute('id')}")
    quote = citation.find_element(By.TAG_NAME, "q").text.strip("“”")
    title = citation.find_element(By.TAG_NAME, "a")
    assert title.text == "Opening hours and how to find us"
    title.click()
    page.until(lambda: len(browser.window_handles) == 2)
    browser.switch_to.window(browser.window_handles[1])
    page.until(lambda: browser.find_elements(By.CSS_SELECTOR, "article h1"))
    assert browser.current_url.startswith(f"{demo.url}/crumb-and-kettle/visit/")
    article = browser.find_element(By.TAG_NAME, "article").text
    assert "Opening hours and how to find us" in article
    assert quote in article
    assert page.complaints() == []


def test_what_the_site_does_not_say_is_said_and_looks_like_no_answer(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("What is the capital of Mongolia?")
    page.until_complete()
    assert page.text("status") == "The site does not answer this."
    assert page.last("unknown").startswith("The content of this site does not answer this question.")
    assert (page.last("assistant"), page.citations()) == ("", [])
    done, skipped = ["done"], ["skipped"]
    assert [page.step(name) for name in STEPS] == done * 3 + skipped * 2 + done
    assert '"supported":false' in page.text("reply")
    assert page.complaints() == []


def test_what_a_model_says_without_a_source_is_not_shown(browser: Chrome, vendor_demo: Demo) -> None:
    page = Page(browser, vendor_demo)
    page.ask('[[say=We are open all night [1 "open all night"].]] Are you open at night?')
    page.until_complete()
    assert "all night" not in page.last("unknown")
    assert [page.step(name) for name in STEPS] == ["done"] * 6
    assert page.citations() == []


def test_pages_that_wait_for_the_worker_are_said_to_and_can_be_asked_once_they_are_read(
    browser: Chrome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Demo(tmp_path_factory.mktemp("waiting")).wait() as running:
        Page(browser, running)
        with running.suspended("qcluster"):
            _leave_one_page(running)
            page = Page(browser, running, is_read=False)
            assert (page.index("state"), page.index("waiting")) == ("indexing", "1")
            assert "in a few seconds you can ask" in page.text("index")
            assert not page.find("send").is_enabled()
            page.ask("When is the fair?")
            assert (page.last("user"), page.last("problem")) == ("", "")
        page.until(lambda: page.find("send").is_enabled())
        page.find("send").click()
        page.until_complete()
        assert "The fair is in May." in page.last("assistant")
        assert page.text("pages").strip().startswith("The 1 page it answers from")
        assert page.complaints() == []


def _leave_one_page(demo: Demo) -> None:
    documents = f"{demo.url}{demo.info['mount']}v1/documents"
    with httpx2.Client(headers={"X-API-Key": demo.info["api_key"]}, timeout=60) as client:
        for document in client.get(documents).json()["documents"]:
            assert client.delete(f"{documents}/{document['source_id']}").is_success
        fair = {"source_id": "post-99", "title": "The fair", "text": "The fair is in May."}
        assert client.post(documents, json=fair).status_code == 202


def test_the_wire_is_shown_as_it_was(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("Is the sourdough vegan?")
    page.until_complete()
    request, reply = page.text("request"), page.text("reply")
    assert request.startswith("POST /wp-ai/v1/ask\nAuthorization: Bearer wpst_")
    assert '"question": "Is the sourdough vegan?"' in request
    assert "text/event-stream" in reply
    order = ("event: sources", "event: start", '{"delta":', "event: done", '"citations":[{"n":1', "[DONE]")
    places = [reply.index(part) for part in order]
    assert places == sorted(places)


def test_the_ledger_link_leads_to_the_rows_of_this_call(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    request_id = re.search(r"X-Request-ID: (\S+)", page.text("reply"))
    assert request_id is not None
    rows = f"U.objects.filter(request_id='{request_id[1]}').order_by('route').values_list('route', 'cost_usd')"
    said = demo.manage("shell", "-v", "0", "-c", f"from django_wp_ai.models import UsageEvent as U; print(*{rows})")
    assert re.findall(r"\('(\w+)', Decimal\('0E-\d'\)\)", said.stdout) == ["ask", "search"], said.stdout + said.stderr
    assert page.find("ledger").get_attribute("href") == f"{demo.url}/admin/django_wp_ai/usageevent/?q={request_id[1]}"


def test_a_suggested_question_can_be_clicked(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    browser.find_element(By.CSS_SELECTOR, "[data-prompt]").click()
    page.until_complete()
    assert "14:00" in page.last("assistant")
    assert browser.switch_to.active_element.get_attribute("id") == "question"


def test_each_question_takes_a_new_token_and_the_talk_so_far_along(
    browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor
) -> None:
    page = Page(browser, vendor_demo)
    page.ask(f"[[say=Until 14:00 {HOLDS}.]] How long on Saturday?")
    page.until_complete()
    first = page.text("request")
    page.ask(f"[[say=Yes, really {HOLDS}.]] Really?")
    page.until(lambda: page.last("assistant").startswith("Yes, really"))
    assert '"conversation_id": "new"' in first
    assert re.search(r'"conversation_id": "[0-9a-f-]{36}"', page.text("request"))
    messages = stand_in.last.body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "Until 14:00."


def test_a_model_shows_its_name_and_its_price(browser: Chrome, vendor_demo: Demo) -> None:
    page = Page(browser, vendor_demo)
    assert page.text("provider") == "Live provider"
    page.ask("[[usage=1000,500]] When are you open on Saturday?")
    page.until_complete()
    assert page.text("provider") == "openai · gpt-4o-mini"
    assert page.text("cost") == "$0.000450"  # 1000 tokens at $0.15 and 500 at $0.60 per million
    assert (page.text("tokens-in"), page.text("tokens-out")) == ("1000", "500")


def test_deltas_appear_one_by_one_once_a_citation_holds(
    browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor
) -> None:
    page = Page(browser, vendor_demo)
    _ask_and_hold(page, stand_in, f"[[hold]] [[say=Open {HOLDS} one two three]] Hello")
    assert page.text("status") == "Answering."
    stand_in.release()
    page.until(lambda: re.fullmatch(r"Open \[\d\] one two", page.last("assistant")))
    stand_in.release(None)
    page.until_complete()
    assert re.match(r"Open \[\d\] one two three", page.last("assistant"))


def test_the_answer_can_be_stopped(browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor) -> None:
    page = Page(browser, vendor_demo)
    _ask_and_hold(page, stand_in, f"[[hold]] [[say=Open {HOLDS} one two three]] Hello")
    page.find("stop").click()
    page.until_complete()
    assert "You stopped the answer" in page.last("assistant")
    assert page.find("send").is_displayed()
    stand_in.release(None)
    page.ask(f"[[say=Still here {HOLDS}.]] Again")
    page.until(lambda: "Still here" in page.last("assistant"))


def _ask_and_hold(page: Page, stand_in: RunningVendor, question: str) -> None:
    """Ask, and let all pass up to the first word behind the citation: delta by delta."""
    stand_in.clear()
    page.ask(question)
    stand_in.release(1 + len(f"{HOLDS} one".split()))
    page.until(lambda: re.fullmatch(r"Open \[\d\] one", page.last("assistant")))


@pytest.mark.parametrize(
    ("directive", "sentence"),
    [
        ("status=500", "The AI provider failed."),
        ("status=401", "The AI provider failed."),
        ("status=429 retry_after=7", "The AI provider is not available right now. Try again in 7 seconds."),
        ("status=400", "The request was not valid."),
    ],
)
def test_a_failure_is_a_sentence_with_the_request_id(
    browser: Chrome, vendor_demo: Demo, directive: str, sentence: str
) -> None:
    page = Page(browser, vendor_demo)
    page.ask(f"[[{directive}]] When are you open on Saturday?")
    page.until_complete()
    assert page.last("problem").startswith(sentence)
    assert re.search(r"Request [0-9a-f]{32}$", page.last("problem"))
    assert page.step("admitted") == "failed"


@pytest.mark.parametrize("directive", ["cut_after=14", "error_after=14"])
def test_an_answer_that_breaks_off_keeps_what_arrived(browser: Chrome, vendor_demo: Demo, directive: str) -> None:
    page = Page(browser, vendor_demo)
    page.ask(f"[[{directive}]] [[say=Open {HOLDS} one two three]] Hello")
    page.until_complete()
    assert re.match(r"Open \[\d\] one", page.last("assistant"))
    assert page.last("problem").startswith("The AI provider failed.")
    assert page.step("routed") == "failed"


def test_a_server_that_is_gone_is_said_plainly(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Demo(tmp_path_factory.mktemp("gone")).wait() as running:
        page = Page(browser, running)
        running.stop()
        page.ask("Hello")
        page.until_complete()
        assert page.last("problem") == "The server can’t be reached. Is it still running?"


def test_too_many_questions_and_a_spent_budget_are_sentences(
    browser: Chrome, tmp_path_factory: pytest.TempPathFactory, stand_in: RunningVendor
) -> None:
    data = tmp_path_factory.mktemp("limits")
    with Demo(data, OPENAI_BASE_URL=stand_in.openai_url, OPENAI_API_KEY="sk-test").wait() as running:
        said = running.manage("wp_ai_tenant", "set", "demo", "--budget-day-usd", "0")
        assert said.returncode == 0, said.stderr
        page = Page(browser, running)
        page.ask("Hello")
        page.until_complete()
        assert page.last("problem").startswith("The site’s budget is used up, so nothing was sent.")
        _use_up_the_tokens(running)
        page.ask("Hello again")
        page.until(lambda: "Too many questions at once. Try again in 60 seconds." in page.last("problem"))


def _use_up_the_tokens(demo: Demo) -> None:
    with httpx2.Client(base_url=demo.url, timeout=60) as client:
        client.get("/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        while client.post("/stream-token", headers=headers).status_code == 200:
            pass


def test_no_token_without_a_csrf_token(demo: Demo) -> None:
    assert httpx2.post(f"{demo.url}/stream-token", timeout=60).status_code == 403
    assert httpx2.get(f"{demo.url}/stream-token", timeout=60).status_code == 405


def test_the_page_runs_its_own_files_only(demo: Demo) -> None:
    page = httpx2.get(f"{demo.url}/", timeout=60)
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert re.findall(rf'(?:src|href)="(?!{demo.url}/crumb-and-kettle/)(?:https?:)?//', page.text) == []
    assert demo.info["api_key"] not in page.text


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1280])
def test_nothing_scrolls_sideways(browser: Chrome, demo: Demo, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    page.ask("unbreakable" * 40)
    page.until(lambda: page.last("unknown"))
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_everything_is_reached_by_keyboard(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    reached = []
    for _ in range(30):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.text)
    for expected in ("Admin", "API docs", "When are you open on Saturday?", "question", "send", "request", "reply"):
        assert expected in reached
    assert page.complaints() == []
