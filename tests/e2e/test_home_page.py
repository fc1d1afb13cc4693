"""The page at ``/`` in a real browser."""

from __future__ import annotations

import re
from decimal import Decimal

import httpx2
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.e2e.demo_process import Demo
from tests.e2e.page import Page
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.e2e


def test_a_question_is_answered_and_its_cost_shown(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    assert page.text("status") == "The answer is complete."
    assert "14:00" in page.last("assistant")
    assert "offline · offline-extractive" in page.last("assistant")
    assert page.text("cost") == "$0"
    assert int(page.text("tokens-in")) > 0
    assert int(page.text("tokens-out")) > 0
    assert [page.step(name) for name in ("signed", "admitted", "routed", "recorded")] == ["done"] * 4
    assert page.complaints() == []


def test_the_wire_is_shown_as_it_was(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("Is the sourdough vegan?")
    page.until_complete()
    request, reply = page.text("request"), page.text("reply")
    assert request.startswith("POST /wp-ai/v1/chat/stream\nAuthorization: Bearer wpst_")
    assert '"content": "Is the sourdough vegan?"' in request
    assert "text/event-stream" in reply
    assert reply.index("event: start") < reply.index('{"delta":') < reply.index("event: done") < reply.index("[DONE]")


def test_the_ledger_link_leads_to_the_row_of_this_call(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.ask("When are you open on Saturday?")
    page.until_complete()
    request_id = re.search(r"X-Request-ID: (\S+)", page.text("reply"))
    assert request_id is not None
    found = (
        f"from django_wp_ai.models import UsageEvent as U; print(U.objects.get(request_id='{request_id[1]}').cost_usd)"
    )
    said = demo.manage("shell", "-v", "0", "-c", found)
    assert Decimal(said.stdout.strip()) == 0, said.stderr
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
    page.ask("[[say=It is vegan.]] Is the bread vegan?")
    page.until_complete()
    page.ask("[[say=Yes, really.]] Really?")
    page.until(lambda: page.last("assistant").startswith("Yes, really."))
    messages = stand_in.last.body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "It is vegan."


def test_a_model_shows_its_name_and_its_price(browser: Chrome, vendor_demo: Demo) -> None:
    page = Page(browser, vendor_demo)
    assert page.text("provider") == "Live provider"
    page.ask("[[usage=1000,500]] Hello")
    page.until_complete()
    assert page.text("provider") == "openai · gpt-4o-mini"
    assert page.text("cost") == "$0.000450"  # 1000 tokens at $0.15 and 500 at $0.60 per million
    assert (page.text("tokens-in"), page.text("tokens-out")) == ("1000", "500")


def test_deltas_appear_one_by_one(browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor) -> None:
    page = Page(browser, vendor_demo)
    stand_in.clear()
    page.ask("[[hold chunks=3]] Hello")
    stand_in.release()
    page.until(lambda: page.last("assistant") == "tok1")
    assert page.text("status") == "Answering."
    stand_in.release()
    page.until(lambda: page.last("assistant") == "tok1 tok2")
    stand_in.release(None)
    page.until_complete()
    assert page.last("assistant").startswith("tok1 tok2 tok3")


def test_the_answer_can_be_stopped(browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor) -> None:
    page = Page(browser, vendor_demo)
    stand_in.clear()
    page.ask("[[hold chunks=5]] Hello")
    stand_in.release()
    page.until(lambda: page.last("assistant") == "tok1")
    page.find("stop").click()
    page.until_complete()
    assert "You stopped the answer" in page.last("assistant")
    assert page.find("send").is_displayed()
    stand_in.release(None)
    page.ask("[[say=Still here.]] Again")
    page.until(lambda: "Still here." in page.last("assistant"))


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
    page.ask(f"[[{directive}]] Hello")
    page.until_complete()
    assert page.last("problem").startswith(sentence)
    assert re.search(r"Request [0-9a-f]{32}$", page.last("problem"))
    assert page.step("admitted") == "failed"


@pytest.mark.parametrize("directive", ["cut_after=2", "error_after=2"])
def test_an_answer_that_breaks_off_keeps_what_arrived(browser: Chrome, vendor_demo: Demo, directive: str) -> None:
    page = Page(browser, vendor_demo)
    page.ask(f"[[{directive} chunks=9]] Hello")
    page.until_complete()
    assert page.last("assistant").startswith("tok1 tok2")
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
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page.text) == []
    assert demo.info["api_key"] not in page.text


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1280])
def test_nothing_scrolls_sideways(browser: Chrome, demo: Demo, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page = Page(browser, demo)
    page.ask("unbreakable" * 40)
    page.until_complete()
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
