"""A real browser on a page: Debian's Chromium, driven by Selenium."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@contextmanager
def browser(width=1280, height=900, dark=False):
    """A headless browser without a network; the test is skipped where none is installed, and fails in CI."""
    if not (CHROMIUM and DRIVER):
        why = "no browser: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    if dark:
        options.add_argument("--force-dark-mode")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        yield driver
    finally:
        driver.quit()


def wait_for(driver, script, seconds=60):
    """The first true value of ``script``, a JavaScript expression."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, seconds, poll_frequency=0.02).until(lambda it: it.execute_script(f"return {script}"))


def open_page(driver, path, fragment=""):
    """Wait until the page has opened."""
    driver.get("about:blank")
    driver.get(path.resolve().as_uri() + fragment)
    wait_for(driver, "document.documentElement.dataset.readyMs")
