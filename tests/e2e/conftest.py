"""One demo for all tests that only use it, one with a vendor behind it, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.e2e.demo_process import Demo
from tests.vendor.running import RunningVendor, vendor

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
    "--window-size=1280,800",
)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo on the offline provider."""
    with Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running.wait()


@pytest.fixture(scope="session")
def stand_in() -> Iterator[RunningVendor]:
    """A vendor that speaks OpenAI's wire."""
    with vendor() as running:
        yield running


@pytest.fixture(scope="session")
def vendor_demo(tmp_path_factory: pytest.TempPathFactory, stand_in: RunningVendor) -> Iterator[Demo]:
    """A running demo whose provider is the vendor."""
    data = tmp_path_factory.mktemp("vendor-demo")
    with Demo(data, OPENAI_BASE_URL=stand_in.openai_url, OPENAI_API_KEY="sk-test") as running:
        yield running.wait()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A fresh Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()
