"""The page of a trace in a real browser: read by mouse and keyboard, at 3 spans and at 3,000, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.stack import RunningStack, eventually

from .filled import traced_job
from .test_pages import luminance

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
MANY = 3000
# A figure of the benchmark is 1 s; here only what is broken is to be noticed, on a busy machine too.
OPENS_WITHIN_MS = 5000
OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
EDGES = """
  return [...document.querySelectorAll(".axis svg, [role=row]:first-child .strip svg, .lane svg")].map((each) => {
    const { left, right } = each.getBoundingClientRect();
    return [Math.round(left), Math.round(right)];
  });
"""
NAMES = """
  return [...document.querySelectorAll("[role=row]:not([hidden])")].map((row) => row.querySelector("a, .operation").textContent);
"""
FOCUSED = "return document.activeElement.querySelector('.name a, .operation')?.textContent ?? ''"


def rows(browser: Chrome) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, "[role=row]:not([hidden])")


def names(browser: Chrome) -> list[str]:
    """Of the lines that are shown; read in one go."""
    return list(browser.execute_script(NAMES))


def focused(browser: Chrome) -> str:
    return str(browser.execute_script(FOCUSED))


def press(browser: Chrome, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


@pytest.fixture(scope="module")
def typical(stack: RunningStack) -> str:
    return traced_job(stack, "sh", "-c", "echo a line; echo another; exit 3")[0]


@pytest.fixture(scope="module")
def large(stack: RunningStack) -> str:
    return traced_job(stack, more=MANY)[0]


@pytest.fixture
def opened(browser: Chrome, typical: str) -> Chrome:
    browser.get(typical)
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, '[role=row][tabindex="0"]'))
    return browser


@pytest.fixture
def narrow(browser: Chrome) -> Iterator[Chrome]:
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_keyboard_walks_the_tree_and_closes_and_opens_it(opened: Chrome) -> None:
    whole = names(opened)
    rows(opened)[0].send_keys(Keys.HOME)
    assert focused(opened) == whole[0]
    press(opened, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert focused(opened) == whole[2]
    press(opened, Keys.END)
    assert focused(opened) == whole[-1]
    press(opened, Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
    assert names(opened) == whole[:2]
    assert opened.switch_to.active_element.get_attribute("aria-expanded") == "false"
    press(opened, Keys.ARROW_RIGHT)
    assert names(opened) == whole
    press(opened, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert focused(opened) == whole[1]


def test_exactly_one_line_can_be_reached_with_the_tab_key(opened: Chrome) -> None:
    press(opened, Keys.NULL)
    rows(opened)[0].send_keys(Keys.END)
    assert len(opened.find_elements(By.CSS_SELECTOR, '.lines [tabindex="0"]')) == 1
    assert not opened.find_elements(By.CSS_SELECTOR, ".lines a:not([tabindex])")


def test_enter_tells_all_of_a_span_and_escape_goes_back(opened: Chrome) -> None:
    at = names(opened).index("resolve image")
    rows(opened)[at].send_keys(Keys.ENTER)
    eventually(lambda: "cache_hit" in opened.find_element(By.ID, "details").text)
    eventually(lambda: opened.switch_to.active_element.get_attribute("id") == "details")
    assert "span=" in opened.current_url
    press(opened, Keys.ESCAPE)
    assert focused(opened) == "resolve image"
    opened.refresh()
    assert "cache_hit" in opened.find_element(By.ID, "details").text


def test_a_line_that_is_pointed_at_tells_what_it_is(opened: Chrome) -> None:
    at = names(opened).index("execute")
    ActionChains(opened).move_to_element(rows(opened)[at].find_element(By.CSS_SELECTOR, ".strip")).perform()
    card = opened.find_element(By.CSS_SELECTOR, ".card")
    eventually(lambda: "execute" in card.text)
    assert "exit_code" in card.text and "failed" in card.text
    ActionChains(opened).move_to_element(opened.find_element(By.TAG_NAME, "h1")).perform()
    eventually(lambda: not card.is_displayed())


def test_a_slash_filters_and_keeps_what_is_above(opened: Chrome) -> None:
    whole = names(opened)
    opened.find_element(By.TAG_NAME, "body").send_keys("/")
    press(opened, "create")
    eventually(lambda: names(opened) == [*whole[:2], "attempt", "send", "run", "create"])
    press(opened, Keys.ENTER)
    eventually(lambda: focused(opened) == "create")
    press(opened, "/", Keys.ESCAPE)
    eventually(lambda: names(opened) == whole)


def test_a_line_of_the_log_is_one_click_away(opened: Chrome) -> None:
    (link, *_) = opened.find_elements(By.CSS_SELECTOR, ".lane.logs a")
    assert str(opened.execute_script("return arguments[0].href.baseVal", link)).endswith("?attempt=1#L1")
    opened.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", link)
    eventually(lambda: opened.find_elements(By.CSS_SELECTOR, ".line.told"))


def test_log_and_usage_are_on_the_axis_of_the_bars(opened: Chrome) -> None:
    edges = opened.execute_script(EDGES)
    assert len(edges) >= 3
    assert len({tuple(edge) for edge in edges}) == 1, edges


def test_on_a_phone_they_are_too(narrow: Chrome, typical: str) -> None:
    narrow.get(typical)
    edges = narrow.execute_script(EDGES)
    assert len({tuple(edge) for edge in edges}) == 1, edges


def test_three_thousand_spans_open_at_once_and_read_as_a_few_lines(browser: Chrome, large: str) -> None:
    browser.get(large)
    assert eventually(lambda: browser.execute_script(OPENED)) < OPENS_WITHIN_MS
    shown = names(browser)
    assert len(shown) < 40
    assert "step …" in shown


def test_a_fold_opens_with_every_span_in_it(browser: Chrome, large: str) -> None:
    browser.get(large)
    before = len(names(browser))
    fold = browser.find_element(By.CSS_SELECTOR, ".fold")
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, '[role=row][tabindex="0"]'))
    fold.click()
    eventually(lambda: len(names(browser)) == before + MANY)
    assert "step 2999" in names(browser)
    fold.send_keys(Keys.ARROW_LEFT)
    eventually(lambda: len(names(browser)) == before)


def test_the_filter_finds_what_is_folded(browser: Chrome, large: str) -> None:
    browser.get(large)
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, '[role=row][tabindex="0"]'))
    browser.find_element(By.TAG_NAME, "body").send_keys("/")
    press(browser, "step 2718")
    eventually(lambda: names(browser)[-1:] == ["step 2718"])
    assert browser.find_element(By.CSS_SELECTOR, "[data-filtered]").text == "1 span"


def test_on_a_phone_names_stand_above_their_bars(narrow: Chrome, typical: str) -> None:
    narrow.get(typical)
    assert narrow.execute_script("return document.documentElement.scrollWidth") <= 390
    row = rows(narrow)[2]
    name, strip = row.find_element(By.CSS_SELECTOR, ".name"), row.find_element(By.CSS_SELECTOR, ".strip")
    assert strip.rect["y"] >= name.rect["y"] + name.rect["height"] - 1
    assert strip.rect["width"] > 300


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_stand_out_in_both_themes(browser: Chrome, typical: str, theme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(typical)
    background = luminance(browser, ".waterfall", "background-color")
    for service in ("web", "job", "control", "worker", "engine", "container"):
        low, high = sorted((background, luminance(browser, f".service-{service} .bar", "fill")))
        assert (high + 0.05) / (low + 0.05) >= 3, service
    for part in (".lines .name a", ".lines .service", ".lines .took", ".lines .sign"):
        low, high = sorted((background, luminance(browser, part, "color")))
        assert (high + 0.05) / (low + 0.05) >= 4.5, part


@pytest.mark.parametrize("width", [1440, 390])
def test_spans_and_the_stores_page_fit_the_screen(
    browser: Chrome, stack: RunningStack, typical: str, width: int
) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        for place in ("tracing/span/", "tracing/span/health/", "jobs/job/"):
            browser.get(f"{stack.url}/admin/{place}")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width, place
        browser.get(typical)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
