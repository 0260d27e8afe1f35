"""The page that searches all logs."""

from __future__ import annotations

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.stack import RunningStack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_hits_are_marked_and_lead_to_their_line(browser: Chrome, stack: RunningStack) -> None:
    script = "echo one; echo '<b>needle-77</b> and needle-77'; echo three >&2; echo a needle-77 >&2"
    job = stack.run("sh", "-c", script, name="haystack")
    browser.get(f"{stack.url}/admin/")
    browser.find_element(By.CSS_SELECTOR, ".search-logs input[type=search]").send_keys("needle-77\n")
    eventually(lambda: "2 lines" in browser.find_element(By.CSS_SELECTOR, ".hits .status").text)
    assert browser.find_element(By.CSS_SELECTOR, ".hits h2 a").text == "haystack"
    lines = browser.find_elements(By.CSS_SELECTOR, ".hits li")
    assert [line.find_element(By.CSS_SELECTOR, ".text").text for line in lines] == [
        "<b>needle-77</b> and needle-77",
        "a needle-77",
    ]
    assert [len(line.find_elements(By.TAG_NAME, "mark")) for line in lines] == [2, 1]
    assert "stderr" in lines[1].get_attribute("class")
    address = lines[0].find_element(By.TAG_NAME, "a").get_attribute("href")
    assert address.endswith(f"/admin/jobs/job/{job['id']}/change/?attempt=1#L2")


def test_what_is_wrong_and_what_is_not_there_is_said(browser: Chrome, stack: RunningStack) -> None:
    browser.get(f"{stack.url}/admin/jobs/job/logs/?q=nobody+ever+printed+this")
    eventually(lambda: browser.find_element(By.CSS_SELECTOR, ".hits .status").text.startswith("No line has it"))
    browser.get(f"{stack.url}/admin/jobs/job/logs/?q=(&regex=on")
    assert "Text: is no regular expression" in browser.find_element(By.CSS_SELECTOR, ".errornote").text
    assert not browser.find_elements(By.CSS_SELECTOR, ".hits")
