"""The page at ``/`` as a visitor uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.e2e.demo_process import Demo

PATIENCE_S = 60


class Page:
    """What a visitor does and sees; ``is_read`` waits until all pages of the site can be asked."""

    def __init__(self, browser: Chrome, demo: Demo, *, is_read: bool = True) -> None:
        self.browser = browser
        browser.get(f"{demo.url}/")
        if is_read:
            self.until(lambda: (self.index("state"), self.index("waiting")) == ("ready", "0"))

    def index(self, name: str) -> str | None:
        """``state`` of the site's index, or how many pages are ``waiting``."""
        return self.find("index").get_dom_attribute(f"data-{name}")

    def find(self, element_id: str) -> WebElement:
        return self.browser.find_element(By.ID, element_id)

    def text(self, element_id: str) -> str:
        return str(self.find(element_id).get_property("textContent"))

    def ask(self, question: str) -> None:
        self.find("question").send_keys(question + Keys.ENTER)

    def until(self, condition: Callable[[], Any]) -> None:
        replaced = [StaleElementReferenceException]  # by the page, between being found and being read
        wait = WebDriverWait(self.browser, PATIENCE_S, poll_frequency=0.05, ignored_exceptions=replaced)
        wait.until(lambda _: condition())

    def until_complete(self) -> None:
        self.until(lambda: self.text("status") not in {"", "Answering."})

    def last(self, kind: str) -> str:
        turns = self.browser.find_elements(By.CSS_SELECTOR, f".turn.{kind}")
        return turns[-1].text.strip() if turns else ""

    def citations(self) -> list[WebElement]:
        """Those of all answers."""
        return self.browser.find_elements(By.CSS_SELECTOR, ".citations li")

    def step(self, name: str) -> str | None:
        return self.browser.find_element(By.CSS_SELECTOR, f"[data-step={name}]").get_dom_attribute("data-state")

    def complaints(self) -> list[str]:
        """What the console holds: errors of the script and violations of the content security policy."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def hand_in(self, kind: str) -> None:
        """Hand the sample of this kind in, and see it to its end and the callback."""
        chosen = self.browser.find_element(By.CSS_SELECTOR, f"#work input[value={kind}]")
        self.browser.execute_script("arguments[0].click()", chosen)
        self.find("work-text").send_keys("")
        self.browser.execute_script("document.getElementById('work').requestSubmit()")
        self.until(lambda: self.find("hand-in").is_enabled())

    def job_step(self, name: str) -> str | None:
        return self.browser.find_element(By.CSS_SELECTOR, f"[data-job-step={name}]").get_dom_attribute("data-state")
