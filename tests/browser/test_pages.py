"""The admin in a real browser: nothing breaks the policy, nothing overflows, and jobs are submitted and cancelled by hand."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.stack import RunningStack, eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def pages(stack: RunningStack) -> list[str]:
    job = stack.run("sh", "-c", "echo a long line: $(seq 1 200); exit 3", name="n" * 150, labels={"l" * 200: "v" * 200})
    attempt = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"][0]["id"]
    lists = [
        "jobs/job/", "jobs/attempt/", "jobs/event/", "jobs/project/", "workers/worker/", "django_celery_results/taskresult/",
        "auth/user/", "knox/authtoken/",
    ]  # fmt: skip
    single = [f"jobs/job/{job['id']}/change/", f"jobs/attempt/{attempt}/change/", f"jobs/job/{job['id']}/cancel/"]
    return [
        "",
        *lists,
        *single,
        "jobs/job/add/",
        "jobs/job/logs/?q=a+long&ignore_case=on",
        "jobs/project/1/change/",
        "jobs/project/add/",
        "workers/worker/1/change/",
        "statistics/",
    ]


@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_is_wider_than_the_screen_nor_breaks_the_policy(
    browser: Chrome, stack: RunningStack, width: int
) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        for page in pages(stack):
            browser.get(f"{stack.url}/admin/{page}")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
            assert browser.find_elements(By.TAG_NAME, "h1"), page
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(browser: Chrome, stack: RunningStack, theme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    browser.get(f"{stack.url}/admin/jobs/job/")
    stack.run("true")
    browser.refresh()
    background = luminance(browser, "body", "background-color")
    for part in ("#content h1", ".job-name", ".badge", "#result_list .image", "#changelist-filter a"):
        low, high = sorted((background, luminance(browser, part, "color")))
        assert (high + 0.05) / (low + 0.05) >= 4.5, part


def luminance(browser: Chrome, part: str, kind: str) -> float:
    """WCAG's relative luminance; a canvas turns whatever colour syntax into bytes."""
    script = """
      const c = document.createElement("canvas").getContext("2d");
      c.fillStyle = getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1]);
      c.fillRect(0, 0, 1, 1);
      return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3);
    """
    shares = [byte / 255 for byte in browser.execute_script(script, part, kind)]
    red, green, blue = (s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def fill(browser: Chrome, **fields: Any) -> None:
    for name, value in fields.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)


def test_a_job_is_submitted_by_hand_and_its_log_appears(browser: Chrome, stack: RunningStack) -> None:
    browser.get(f"{stack.url}/admin/jobs/job/add/")
    fill(
        browser,
        image="demo/hand:1",
        script="#!/bin/sh\necho from $WHO",
        env="WHO=the form",
        name="By hand",
        memory="32Mi",
    )
    browser.find_element(By.CSS_SELECTOR, "input.default").click()
    eventually(lambda: said(browser, ".line .text") == "from the form")
    assert "By hand is submitted." in browser.find_element(By.CSS_SELECTOR, ".messagelist").text


def said(browser: Chrome, part: str) -> str:
    """Its text, read in one go: a page that is still coming, or being renewed, has no such part."""
    return str(browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", part))


def test_a_mistake_is_marked_at_its_field_and_nothing_is_lost(browser: Chrome, stack: RunningStack) -> None:
    browser.get(f"{stack.url}/admin/jobs/job/add/")
    fill(browser, image="busybox:1", command="echo 'open", name="kept")
    browser.find_element(By.CSS_SELECTOR, "input.default").click()
    (marked,) = eventually(lambda: browser.find_elements(By.CSS_SELECTOR, ".form-row.errors.field-command"))
    assert "Close every quote" in marked.text
    assert browser.find_element(By.NAME, "name").get_attribute("value") == "kept"


def test_a_running_job_is_cancelled_from_its_page(browser: Chrome, stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "echo up; sleep 60", timeouts={"grace": 1})
    browser.get(f"{stack.url}/admin/jobs/job/{job['id']}/change/")
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, ".line .text"))
    browser.execute_script("document.querySelector('#cancel').click()")
    eventually(lambda: browser.find_elements(By.ID, "confirm"))[0].click()
    eventually(lambda: "is asked to end" in said(browser, ".messagelist"))
    eventually(lambda: "End: cancelled" in said(browser, ".log .end"))
    assert stack.job(job["id"])["state"] == "cancelled"


def test_the_keyboard_reaches_the_log_and_its_buttons(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("seq", "1", "500")
    browser.get(f"{stack.url}/admin/jobs/job/{job['id']}/change/")
    eventually(lambda: browser.find_elements(By.ID, "L500"))
    eventually(lambda: said(browser, "[data-log-follow]") == "Last line")
    reached = []
    browser.find_element(By.CSS_SELECTOR, ".skip-to-content-link").send_keys(Keys.ENTER)
    for _ in range(25):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            browser.execute_script(
                "const a = document.activeElement; return a.matches('.lines') ? 'the lines' : a.textContent"
            )
        )
    assert "the lines" in reached
    assert "Last line" in reached
    box = browser.find_element(By.CSS_SELECTOR, ".lines")
    box.send_keys(Keys.HOME)
    eventually(lambda: browser.execute_script("return arguments[0].scrollTop", box) < 10)
