"""A headless Chromium, logged in, that may not break the content security policy."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.stack import RunningStack

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1440,1000",
)  # fmt: skip
# What a test does to the connection on purpose, and what a browser says of it.
EXPECTED = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    profile = tempfile.mkdtemp(prefix="tl-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def browser(chromium: webdriver.Chrome, stack: RunningStack) -> Iterator[webdriver.Chrome]:
    """Logged in as the admin; the test fails on whatever the console complains of, the CSP's violations too."""
    chromium.get(f"{stack.url}/admin/")
    if chromium.find_elements(By.NAME, "username"):
        chromium.find_element(By.NAME, "username").send_keys("admin")
        chromium.find_element(By.NAME, "password").send_keys(stack.admin_password)
        chromium.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
        WebDriverWait(chromium, 20).until(lambda driver: driver.find_elements(By.ID, "user-tools"))
    chromium.get_log("browser")
    yield chromium
    complaints = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] != "INFO"]
    chromium.get("about:blank")
    assert [text for text in complaints if not any(word in text for word in EXPECTED)] == []
