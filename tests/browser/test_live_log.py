"""A job's page in a real browser: its log live, complete and once, and the page's truth beside it."""

from __future__ import annotations

import os
import signal

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By

from tests.stack import RunningStack, eventually

from .reading import lines, log_box, open_job, press, read_through, seen, seen_numbers, words

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
COUNT = "i=0; while [ $i -lt {most} ]; do i=$((i+1)); echo line $i; sleep {pause}; done"


def test_lines_appear_while_it_runs_and_the_end_is_said(browser: Chrome, stack: RunningStack) -> None:
    gate = stack.data_dir / "gate-live"
    job = stack.submit("sh", "-c", f"echo one; until [ -e {gate} ]; do sleep 0.05; done; echo two; exit 3")
    open_job(browser, stack, job)
    eventually(lambda: lines(browser) == [(1, "one")])
    eventually(lambda: words(browser, "#state") == "running")
    eventually(lambda: words(browser, "#cancel"))
    gate.touch()
    eventually(lambda: lines(browser) == [(1, "one"), (2, "two")])
    eventually(lambda: "End: failed: exit_code, exit code 3. 2 lines, complete." in words(browser, ".log .end"))
    # The summary is the server's own, renewed: state, verdict, time-line, and no more cancel button.
    eventually(lambda: words(browser, "#state") == "failed")
    eventually(lambda: "exit_code" in words(browser, "#why"))
    eventually(lambda: "Attempt 1 failed" in words(browser, "#timeline"))
    assert not words(browser, "#cancel")


def test_after_the_end_nothing_is_asked_for_any_more(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("echo", "done"))
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"))
    # A browser reopens a stream that was not closed after a second: that is what must not come.
    opened = """
      const done = arguments[0];
      const asked = () => performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/logs/")).length;
      const before = asked();
      new PerformanceObserver(() => asked() > before && done(asked() - before)).observe({ type: "resource" });
      setTimeout(() => done(0), 2500);
    """
    assert browser.execute_async_script(opened) == 0


def test_the_streams_are_told_apart_and_output_is_only_ever_text(browser: Chrome, stack: RunningStack) -> None:
    evil = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>"
    job = stack.run(
        "sh", "-c", f"echo '{evil}'; printf '\\033[31mred\\033[0m \\033[38;5;208mhot\\033[0m\\n'; echo err >&2"
    )
    open_job(browser, stack, job)
    eventually(lambda: len(lines(browser)) == 3)
    assert {text for _, text in lines(browser)} == {evil, "red hot", "err"}
    assert words(browser, ".line.stderr .text") == "err"
    assert words(browser, ".ansi-red-fg") == "red"
    assert browser.execute_script("return window.pwned ?? null") is None
    hot = browser.find_element(By.XPATH, "//span[text()='hot']")
    assert hot.value_of_css_property("color") == "rgba(255, 135, 0, 1)"


def test_after_the_web_process_was_killed_it_goes_on_without_gap_or_double(
    browser: Chrome, stack: RunningStack
) -> None:
    job = stack.submit("sh", "-c", COUNT.format(most=120, pause=0.1))
    open_job(browser, stack, job)
    eventually(lambda: len(lines(browser)) >= 10)
    os.kill(stack.pid_of("web"), signal.SIGKILL)
    eventually(lambda: "Trying again" in words(browser, ".log .end"))
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"), 60)
    eventually(lambda: lines(browser) == [(n, f"line {n}") for n in range(1, 121)])


def test_a_long_log_is_shown_through_a_window_without_holes(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("seq", "1", "3000")
    open_job(browser, stack, job)
    eventually(lambda: seen(browser)[-1:] == ["L3000"])
    box = log_box(browser)
    read: set[int] = set()

    def scrolled_back() -> bool:
        shown = [number for number, _ in lines(browser)]
        assert len(shown) <= 400
        assert shown == list(range(shown[0], shown[-1] + 1))
        read.update(seen_numbers(browser))
        browser.execute_script("arguments[0].scrollTop -= 400", box)
        return 1 in read

    eventually(scrolled_back, 60)
    assert read == set(range(1, 3001))
    press(browser, "[data-log-follow]")
    eventually(lambda: seen(browser)[-1:] == ["L3000"])


def test_a_flood_keeps_the_page_small_and_ends_on_the_last_line(browser: Chrome, stack: RunningStack) -> None:
    gate = stack.data_dir / "gate-flood"
    job = stack.submit("sh", "-c", f"echo start; until [ -e {gate} ]; do sleep 0.05; done; seq 2 30000")
    open_job(browser, stack, job)
    eventually(lambda: lines(browser) == [(1, "start")])
    gate.touch()
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"), 60)
    shown = lines(browser)
    assert shown == [(n, str(n)) for n in range(shown[0][0], 30001)]
    assert len(shown) <= 400
    assert seen(browser)[-1] == "L30000"


def test_a_link_to_a_line_shows_that_line(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("seq", "1", "9000")
    open_job(browser, stack, job, "#L1234")
    eventually(lambda: words(browser, ".line.told .text") == "1234")
    eventually(lambda: 1234 in seen_numbers(browser))
    browser.execute_script("location.hash = '#L8000'")
    eventually(lambda: words(browser, ".line.told .text") == "8000")
    eventually(lambda: 8000 in seen_numbers(browser))


def test_pause_holds_still_and_follow_catches_up(browser: Chrome, stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", COUNT.format(most=300, pause=0.03))
    open_job(browser, stack, job)
    eventually(lambda: len(lines(browser)) >= 40)
    box = log_box(browser)
    box.send_keys("f")
    eventually(lambda: words(browser, "[data-log-follow]") == "Follow")
    held = seen(browser)
    eventually(lambda: "new lines" in words(browser, "[data-log-new]:not([hidden])"))
    assert seen(browser) == held
    press(browser, "[data-log-new]")
    eventually(lambda: words(browser, "[data-log-follow]") == "Pause")
    eventually(lambda: not words(browser, "[data-log-new]:not([hidden])"))
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"), 60)
    eventually(lambda: seen(browser)[-1] == "L300")
    assert read_through(browser, 300) == [(n, f"line {n}") for n in range(1, 301)]


@pytest.mark.parametrize("by", ["key", "wheel"])
def test_scrolling_up_pauses_and_down_to_the_end_follows(browser: Chrome, stack: RunningStack, by: str) -> None:
    job = stack.submit("sh", "-c", f"seq 1 200; {COUNT.format(most=600, pause=0.05)}")
    open_job(browser, stack, job)
    eventually(lambda: 200 in seen_numbers(browser))
    box = log_box(browser)
    if by == "key":
        box.send_keys(Keys.PAGE_UP)
    else:
        ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(box), 0, -700).perform()
    eventually(lambda: words(browser, "[data-log-follow]") == "Follow")

    def at_the_end_again() -> bool:
        box.send_keys(Keys.PAGE_DOWN)
        return words(browser, "[data-log-follow]") == "Pause"

    eventually(at_the_end_again)
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    stack.wait(job)


def test_a_retry_is_announced_and_its_log_shown(browser: Chrome, stack: RunningStack) -> None:
    once, gate = stack.data_dir / "once", stack.data_dir / "gate-again"
    first = f"touch {once}; echo first; until [ -e {gate} ]; do sleep 0.05; done; exit 1"
    script = f"if [ -e {once} ]; then echo second; else {first}; fi"
    job = stack.submit("sh", "-c", script, retry={"max_attempts": 2, "backoff": 0.5, "on": ["user"]})
    open_job(browser, stack, job)
    eventually(lambda: lines(browser) == [(1, "first")])
    gate.touch()
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"), 40)
    eventually(lambda: lines(browser) == [(1, "second")])
    eventually(lambda: "Attempt 2 begins" in words(browser, "[data-log-notice]"))
    eventually(lambda: words(browser, ".tabs [aria-current]") == "Attempt 2")
    press(browser, "#attempts tbody tr:last-child a")
    eventually(lambda: lines(browser) == [(1, "first")])
    eventually(lambda: "End: failed: exit_code, exit code 1." in words(browser, ".log .end"))


def test_who_holds_still_stays_at_their_attempt_and_is_told_of_the_next(browser: Chrome, stack: RunningStack) -> None:
    once, gate = stack.data_dir / "once-held", stack.data_dir / "gate-held"
    first = f"touch {once}; echo first; until [ -e {gate} ]; do sleep 0.05; done; exit 1"
    job = stack.submit(
        "sh", "-c", f"if [ -e {once} ]; then echo second; else {first}; fi",
        retry={"max_attempts": 2, "backoff": 0.1, "on": ["user"]},
    )  # fmt: skip
    open_job(browser, stack, job)
    eventually(lambda: lines(browser) == [(1, "first")])
    log_box(browser).send_keys("f")
    gate.touch()
    eventually(lambda: "Attempt 2 has begun." in words(browser, "[data-log-notice]"))
    eventually(lambda: words(browser, "#state") == "succeeded")
    eventually(lambda: lines(browser) == [(1, "first")])
    press(browser, "[data-log-notice] a")
    eventually(lambda: lines(browser) == [(1, "second")])
    eventually(lambda: words(browser, ".tabs [aria-current]") == "Attempt 2")


def test_the_page_of_an_attempt_ends_with_it(browser: Chrome, stack: RunningStack) -> None:
    gate, once = stack.data_dir / "gate-alone", stack.data_dir / "once-alone"
    first = f"touch {once}; echo first; until [ -e {gate} ]; do sleep 0.05; done; exit 1"
    twice = {"max_attempts": 2, "backoff": 0.1, "on": ["user"]}
    job = stack.submit("sh", "-c", f"if [ -e {once} ]; then echo second; else {first}; fi", retry=twice)
    stack.until(job, lambda shown: shown["state"] == "running")
    attempt = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"][0]["id"]
    browser.get(f"{stack.url}/admin/jobs/attempt/{attempt}/change/")
    eventually(lambda: lines(browser) == [(1, "first")])
    gate.touch()
    eventually(lambda: "Attempt 1 is over, attempt 2 has begun." in words(browser, ".log .end"))
    eventually(lambda: words(browser, "#state") == "failed")
    press(browser, "[data-log-notice] a")
    eventually(lambda: lines(browser) == [(1, "second")])


def test_a_waiting_job_says_for_what_and_learns_of_its_cancel(browser: Chrome, stack: RunningStack) -> None:
    job = stack.submit("true", requires={"disk": "unobtainium"})
    open_job(browser, stack, job)
    eventually(lambda: "Waits: no_worker" in words(browser, ".log .end"))
    eventually(lambda: "disk=unobtainium" in words(browser, "#why"))
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    eventually(lambda: words(browser, "#state") == "cancelled")
    eventually(lambda: "End: cancelled" in words(browser, ".log .end"))
