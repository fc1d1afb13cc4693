"""The long work of the page at ``/``, in a real browser, and its receiver of callbacks."""

from __future__ import annotations

import json
import time
import uuid

import httpx2
import pytest
from selenium.webdriver import Chrome, Keys

from django_wp_ai.security import webhook_signatures
from tests.e2e.demo_process import Demo
from tests.e2e.page import Page
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.e2e

STEPS = ("created", "running", "ended", "called")
EXPECTED = {"summary": "buckwheat", "classify": "It is: Class", "extract": "Ada Winter"}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_job_is_handed_in_watched_and_told(browser: Chrome, demo: Demo, kind: str) -> None:
    page = Page(browser, demo)
    page.hand_in(kind)
    assert EXPECTED[kind] in page.text("result")
    assert [page.job_step(name) for name in STEPS] == ["done"] * 4
    assert page.text("job-cost") == "$0"
    assert int(page.text("job-tokens-in")) > 0
    assert page.text("callback-state") == "✓ signature verified"
    assert "webhook-signature: v1," in page.text("callback")
    assert '"type":"job.succeeded"' in page.text("callback")
    assert page.text("events").index("event: progress") < page.text("events").index("event: done")
    assert page.text("work-status") == "The signed callback arrived and is verified."
    assert page.complaints() == []


def test_the_link_leads_to_the_job_in_the_admin(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    page.hand_in("classify")
    job_id = json.loads(page.text("callback").partition("\n\n")[2])["data"]["id"]
    assert page.find("job-link").get_attribute("href") == f"{demo.url}/admin/django_wp_ai/job/{job_id}/change/"


def test_a_job_is_handed_in_by_keyboard(browser: Chrome, demo: Demo) -> None:
    page = Page(browser, demo)
    browser.execute_script("document.querySelector('#work [name=kind]').focus()")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "Marta teaches" in str(page.find("work-text").get_property("value"))
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "work-text"
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "hand-in"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    page.until(lambda: page.job_step("called") == "done")
    assert page.text("result") == "It is: Class"
    assert page.complaints() == []


def test_a_job_that_fails_is_a_sentence_and_is_told_too(
    browser: Chrome, vendor_demo: Demo, stand_in: RunningVendor
) -> None:
    stand_in.clear()
    page = Page(browser, vendor_demo)
    page.find("work-text").clear()
    page.find("work-text").send_keys("[[refusal]] Sum this up.")
    page.find("hand-in").click()
    page.until(lambda: page.job_step("called") == "done")
    assert (page.job_step("running"), page.job_step("ended")) == ("failed", "failed")
    assert page.text("result").strip()
    assert '"type":"job.failed"' in page.text("callback")


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_of_it_scrolls_sideways(browser: Chrome, demo: Demo, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wished = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wished)
    page = Page(browser, demo)
    page.hand_in("extract")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    overflow = "return document.getElementById('callback').getBoundingClientRect().bottom"
    card = "return document.getElementById('callback').closest('.card').getBoundingClientRect().bottom"
    assert browser.execute_script(overflow) <= browser.execute_script(card)
    assert page.complaints() == []


def test_no_job_without_a_csrf_token(demo: Demo) -> None:
    assert httpx2.post(f"{demo.url}/demo/jobs", data={"kind": "summary", "text": "x"}, timeout=60).status_code == 403


@pytest.mark.parametrize("sent", [{"kind": "batch", "text": "x"}, {"kind": "summary", "text": " "}, {}])
def test_only_the_kinds_of_the_page_are_taken(demo: Demo, sent: dict[str, str]) -> None:
    with httpx2.Client(base_url=demo.url, timeout=60) as client:
        client.get("/")
        reply = client.post("/demo/jobs", data=sent, headers={"X-CSRFToken": client.cookies["csrftoken"]})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid")


def test_the_receiver_takes_only_what_is_signed(demo: Demo) -> None:
    job_id = str(uuid.uuid4())
    body = json.dumps({"type": "job.succeeded", "data": {"id": job_id}}).encode()
    secret = demo.info["callback_secret"]
    good = webhook_signatures.sign(body, [secret], message_id="msg_1", timestamp=int(time.time()))
    old = webhook_signatures.sign(body, [secret], message_id="msg_1", timestamp=int(time.time()) - 600)
    url, arrived = f"{demo.url}/demo/callback", f"{demo.url}/demo/callback/{job_id}"
    for headers, content in (({}, body), (old, body), (good, body.replace(b"job.", b"jab."))):
        assert httpx2.post(url, content=content, headers=headers, timeout=60).status_code == 401
    assert httpx2.get(arrived, timeout=60).status_code == 204
    for _ in range(2):
        assert httpx2.post(url, content=body, headers=good, timeout=60).status_code == 204
    assert httpx2.get(arrived, timeout=60).json()["headers"]["webhook-id"] == "msg_1"
