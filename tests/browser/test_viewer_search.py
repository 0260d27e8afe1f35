"""Searching a log from its page: hits in lines that were never loaded, marks, counts, and going from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.stack import RunningStack, eventually

from .reading import lines, log_box, open_job, press, seen, seen_numbers, words, write_log

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
LAST = 300_000


@pytest.fixture(scope="module")
def long(stack: RunningStack) -> dict[str, Any]:
    """A job that is over, with a long log: `line 1`, `line 2`, …"""
    job = stack.run("true")
    write_log(stack, job, (1, LAST), stderr_each=100_000)
    return job


@pytest.fixture(autouse=True)
def as_new(browser: Chrome) -> Iterator[None]:
    """A reader who never chose anything."""
    yield
    browser.execute_script("localStorage.clear()")


def search(browser: Chrome, text: str) -> None:
    """By the keyboard alone."""
    log_box(browser).send_keys("/")
    field = browser.switch_to.active_element
    field.clear()
    field.send_keys(text)


def found(browser: Chrome) -> str:
    return words(browser, "[data-log-found]")


def now(browser: Chrome) -> str:
    return words(browser, ".line.now .text")


def marks(browser: Chrome) -> list[str]:
    return list(browser.execute_script("return [...document.querySelectorAll('mark')].map((mark) => mark.textContent)"))


def test_hits_in_lines_that_were_never_loaded_are_counted_and_gone_through(
    browser: Chrome, stack: RunningStack, long: dict[str, Any]
) -> None:
    open_job(browser, stack, long)
    eventually(lambda: seen(browser)[-1:] == [f"L{LAST}"])
    search(browser, "77777")
    # At the end of the log: the first hit behind it is the first of all.
    eventually(lambda: found(browser) == "1 of 3" and now(browser) == "line 77777")
    eventually(lambda: marks(browser) == ["77777"])
    assert 77777 in seen_numbers(browser)
    field = browser.switch_to.active_element
    field.send_keys(Keys.ENTER)
    eventually(lambda: now(browser) == "line 177777" and found(browser) == "2 of 3")
    field.send_keys(Keys.SHIFT, Keys.ENTER)
    eventually(lambda: now(browser) == "line 77777")
    log_box(browser).send_keys("N")  # round the beginning
    eventually(lambda: now(browser) == "line 277777" and found(browser) == "3 of 3")
    log_box(browser).send_keys("n")
    eventually(lambda: now(browser) == "line 77777")
    search(browser, Keys.ESCAPE)
    eventually(lambda: not found(browser) and not marks(browser))
    assert browser.switch_to.active_element == log_box(browser)


def test_more_hits_than_are_listed_come_when_they_are_gone_to(
    browser: Chrome, stack: RunningStack, long: dict[str, Any]
) -> None:
    open_job(browser, stack, long, "#L1")
    eventually(lambda: 1 in seen_numbers(browser))
    search(browser, "9")
    eventually(lambda: found(browser) == "1 of 2,000+")
    log_box(browser).send_keys("N")
    eventually(lambda: found(browser) == "2,000 of 2,000+")
    before = int(eventually(lambda: now(browser)).removeprefix("line "))
    log_box(browser).send_keys("n")
    eventually(lambda: found(browser) == "2,001 of 4,000+")
    after = next(n for n in range(before + 1, LAST) if "9" in str(n))
    eventually(lambda: now(browser) == f"line {after}")


def test_case_and_expressions_are_asked_for(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("sh", "-c", "echo Error 1; echo error 22; echo 'a.c'; echo abc"))
    eventually(lambda: len(lines(browser)) == 4)
    search(browser, "ERROR")
    eventually(lambda: found(browser) == "1 of 2" and marks(browser) == ["Error", "error"])
    press(browser, "[data-log-case]")
    eventually(lambda: found(browser) == "No lines")
    search(browser, "a.c")
    eventually(lambda: marks(browser) == ["a.c"])
    press(browser, "[data-log-regex]")
    eventually(lambda: found(browser) == "1 of 2" and marks(browser) == ["a.c", "abc"])
    search(browser, "[Ee]rror (")
    eventually(lambda: browser.find_elements(By.CSS_SELECTOR, "[data-log-found].failed"))
    browser.get_log("browser")  # the refusal is noted there


def test_an_expression_that_only_the_server_knows_still_finds_its_lines(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("sh", "-c", "echo one; echo TWO; echo three"))
    eventually(lambda: len(lines(browser)) == 3)
    press(browser, "[data-log-regex]")
    search(browser, "(?P<what>two)")
    eventually(lambda: now(browser) == "TWO")
    assert marks(browser) == []
    assert len(browser.find_elements(By.CSS_SELECTOR, ".line.found")) == 1


def test_new_lines_are_looked_through_as_they_come(browser: Chrome, stack: RunningStack) -> None:
    gate = stack.data_dir / "gate-search"
    job = stack.submit("sh", "-c", f"echo hit one; until [ -e {gate} ]; do sleep 0.05; done; echo miss; echo hit two")
    open_job(browser, stack, job)
    eventually(lambda: len(lines(browser)) == 1)
    search(browser, "hit")
    eventually(lambda: found(browser) == "1 of 1")
    gate.touch()
    eventually(lambda: found(browser) == "1 of 2" and marks(browser) == ["hit", "hit"])  # drawn in the next frame


def test_a_search_keeps_to_the_stream_that_is_shown(browser: Chrome, stack: RunningStack, long: dict[str, Any]) -> None:
    open_job(browser, stack, long)
    eventually(lambda: seen(browser)[-1:] == [f"L{LAST}"])
    search(browser, "00000")
    eventually(lambda: found(browser) == "3 of 3")
    choose = """
      const field = document.querySelector("[data-log-stream]");
      field.value = "stdout";
      field.dispatchEvent(new Event("change"));
    """
    browser.execute_script(choose)
    eventually(lambda: found(browser) == "No lines")
