"""The page of a trace that goes on renews itself, and whoever reads it keeps their place."""

from __future__ import annotations

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.stack import RunningStack, eventually

from .filled import GoingTrace
from .test_trace_page import focused, names, press

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
RENEWED_WITHIN = 90  # seconds: on a busy machine it asks the less often, up to every twenty
TOOK = "return document.getElementById(arguments[0]).querySelector('.took').textContent"
TOP = "return document.activeElement.getBoundingClientRect().top"
# What a screen reader reads out by itself: each change of it is counted.
LISTEN = """
  window.spoken = 0;
  for (const region of document.querySelectorAll("output, [role=status], [role=alert], [aria-live]"))
    new MutationObserver(() => { window.spoken += 1; }).observe(region, { childList: true, characterData: true, subtree: true });
"""
# As a browser tells it of a tab behind others.
SEEN = """
  const hidden = arguments[0];
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
"""
REQUESTS = "return performance.getEntriesByType('resource').filter((each) => each.initiatorType === 'fetch').length"


@pytest.fixture
def trace(stack: RunningStack) -> GoingTrace:
    return GoingTrace(stack)


@pytest.fixture
def opened(browser: Chrome, trace: GoingTrace) -> Chrome:
    trace.begin()
    browser.get(trace.page)
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, '[role=row][tabindex="0"]'), RENEWED_WITHIN)
    return browser


def line(browser: Chrome, name: str) -> WebElement:
    shown = browser.find_elements(By.CSS_SELECTOR, "[role=row]:not([hidden])")
    return shown[names(browser).index(name)]


def test_new_spans_appear_and_open_ones_grow(opened: Chrome, trace: GoingTrace) -> None:
    upload = line(opened, "upload").get_attribute("id")
    before = opened.execute_script(TOOK, upload)
    trace.add("evaluate")
    eventually(lambda: "evaluate" in names(opened), RENEWED_WITHIN)
    assert opened.execute_script(TOOK, upload) != before
    assert "1 open" in opened.find_element(By.ID, "head").text


def test_who_reads_keeps_focus_folds_and_place(opened: Chrome, trace: GoingTrace) -> None:
    line(opened, "step …").send_keys(Keys.ARROW_RIGHT)
    eventually(lambda: "step 29" in names(opened), RENEWED_WITHIN)
    press(opened, Keys.HOME)
    line(opened, "run").send_keys(Keys.ARROW_LEFT)
    line(opened, "step 27").send_keys(Keys.ENTER)
    eventually(lambda: "step 27" in opened.find_element(By.ID, "details").text, RENEWED_WITHIN)
    press(opened, Keys.ESCAPE)
    assert focused(opened) == "step 27"
    top, went = opened.execute_script(TOP), names(opened)
    opened.execute_script(LISTEN)
    trace.add("evaluate", "step 30")
    eventually(lambda: "evaluate" in names(opened), RENEWED_WITHIN)
    assert focused(opened) == "step 27"
    assert abs(opened.execute_script(TOP) - top) < 2
    assert sorted([*went, "evaluate", "step 30"]) == sorted(
        names(opened)
    )  # what was closed is closed, what was open is open
    assert line(opened, "run").get_attribute("aria-expanded") == "false"
    assert "chosen" in str(line(opened, "step 27").get_attribute("class"))
    assert "step 27" in opened.find_element(By.ID, "details").text
    assert len(opened.find_elements(By.CSS_SELECTOR, '.lines [tabindex="0"]')) == 1
    assert opened.execute_script("return window.spoken") == 0


def test_a_card_beside_the_pointer_stays(opened: Chrome, trace: GoingTrace) -> None:
    at = line(opened, "create").find_element(By.CSS_SELECTOR, ".strip")
    ActionChains(opened).move_to_element(at).perform()
    card = opened.find_element(By.CSS_SELECTOR, ".card")
    eventually(lambda: "create" in card.text, RENEWED_WITHIN)
    trace.add("evaluate")
    eventually(lambda: "evaluate" in names(opened), RENEWED_WITHIN)
    assert card.is_displayed() and "create" in card.text


def test_a_line_that_has_the_keyboard_is_not_swallowed_by_a_fold(browser: Chrome, stack: RunningStack) -> None:
    few = GoingTrace(stack, steps=14)
    few.begin()
    browser.get(few.page)
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, '[role=row][tabindex="0"]'), RENEWED_WITHIN)
    line(browser, "step 5").send_keys(Keys.ARROW_DOWN)
    assert focused(browser) == "step 6"
    few.add("step 14", "step 15")
    eventually(lambda: "step …" in names(browser), RENEWED_WITHIN)
    assert focused(browser) == "step 6"
    assert "step 15" in names(browser)


def test_a_filter_holds_for_what_comes(opened: Chrome, trace: GoingTrace) -> None:
    opened.find_element(By.TAG_NAME, "body").send_keys("/")
    press(opened, "step 2")
    eventually(lambda: names(opened)[-1:] == ["step 29"], RENEWED_WITHIN)
    trace.add("evaluate", "step 200")
    eventually(lambda: "step 200" in names(opened), RENEWED_WITHIN)
    assert "evaluate" not in names(opened)
    assert opened.execute_script("return document.activeElement.value") == "step 2"


def test_paused_it_stands_still_and_goes_on_when_told(opened: Chrome, trace: GoingTrace) -> None:
    button = opened.find_element(By.CSS_SELECTOR, "[data-hold]")
    button.click()
    asked = opened.execute_script(REQUESTS)
    trace.add("evaluate")  # which takes longer than a renewal is waited for
    assert opened.execute_script(REQUESTS) <= asked + 1
    assert "evaluate" not in names(opened)
    button.click()
    eventually(lambda: "evaluate" in names(opened), RENEWED_WITHIN)


def test_it_ends_with_the_trace(opened: Chrome, trace: GoingTrace) -> None:
    button = opened.find_element(By.CSS_SELECTOR, "[data-hold]")
    assert button.is_displayed()
    trace.close()
    eventually(lambda: not button.is_displayed(), RENEWED_WITHIN)
    assert "open" not in opened.find_element(By.ID, "head").text
    opened.refresh()
    assert not opened.find_element(By.CSS_SELECTOR, "[data-hold]").is_displayed()


def test_a_page_from_before_the_first_span_becomes_the_waterfall(browser: Chrome, stack: RunningStack) -> None:
    trace = GoingTrace(stack)
    trace.promise()
    browser.get(trace.page)
    assert browser.find_elements(By.ID, "missing")
    trace.begin()
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, "[data-waterfall]"), RENEWED_WITHIN)


def test_a_window_that_nobody_sees_asks_for_nothing(opened: Chrome, trace: GoingTrace) -> None:
    opened.execute_script(SEEN, True)
    asked = opened.execute_script(REQUESTS)
    trace.add("evaluate")
    assert opened.execute_script(REQUESTS) <= asked + 1
    opened.execute_script(SEEN, False)
    eventually(lambda: "evaluate" in names(opened), RENEWED_WITHIN)
