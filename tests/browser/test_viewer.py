"""The log viewer in a real browser: any length, any line, any content; by mouse, by keyboard, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys

from tests.stack import RunningStack, eventually

from .reading import go_to_line, lines, log_box, open_job, press, seen, seen_numbers, words, write_log

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
MANY = 1_600_000
EACH = 100_000  # so many lines have one of stderr among them


@pytest.fixture(scope="module")
def huge(stack: RunningStack) -> dict[str, Any]:
    """A job that is over, with more lines than any browser could lay out."""
    job = stack.run("true")
    write_log(stack, job, (1, MANY), stderr_each=EACH)
    return job


@pytest.fixture(autouse=True)
def as_new(browser: Chrome) -> Iterator[None]:
    """A reader who never chose anything."""
    yield
    browser.execute_script("localStorage.clear()")


def drag_thumb(browser: Chrome, share: float) -> None:
    script = "const [box, share] = arguments; box.scrollTop = share * (box.scrollHeight - box.clientHeight)"
    browser.execute_script(script, log_box(browser), share)


def told(browser: Chrome) -> list[int]:
    rows = "return [...document.querySelectorAll('.line.told')].map((row) => Number(row.id.slice(1)))"
    return list(browser.execute_script(rows))


# --- any length -------------------------------------------------------------------------------------------------------


def test_a_log_of_millions_opens_at_its_end_and_is_never_in_the_page(
    browser: Chrome, stack: RunningStack, huge: dict[str, Any]
) -> None:
    open_job(browser, stack, huge)
    eventually(lambda: seen(browser)[-1:] == [f"L{MANY}"], 10)
    assert browser.execute_script("return document.querySelectorAll('.lines *').length") < 1500
    asked = "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('limit=')).length"
    assert browser.execute_script(asked) <= 2


def test_any_line_of_millions_is_reached_by_number_thumb_and_keys(
    browser: Chrome, stack: RunningStack, huge: dict[str, Any]
) -> None:
    open_job(browser, stack, huge)
    eventually(lambda: seen(browser)[-1:] == [f"L{MANY}"])
    go_to_line(browser, "1,500,000")
    before = eventually(lambda: 1_500_000 in (now := seen_numbers(browser)) and now)
    assert (1_500_000, "line 1500000") in lines(browser)
    log_box(browser).send_keys(Keys.PAGE_UP)
    after = eventually(lambda: (now := seen_numbers(browser)) != before and now)
    assert after[0] < before[0] <= after[-1]  # pages overlap: no line is passed over
    log_box(browser).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    eventually(lambda: seen_numbers(browser)[0] == after[0] + 2)
    for share in (0.25, 0.5, 0.75):
        drag_thumb(browser, share)
        eventually(lambda: (now := seen_numbers(browser)) and now[-1] - now[0] > 10)  # loaded
    assert MANY / 2 < seen_numbers(browser)[0] < MANY
    log_box(browser).send_keys(Keys.HOME)
    eventually(lambda: seen(browser)[:1] == ["L1"])
    log_box(browser).send_keys(Keys.END)
    eventually(lambda: seen(browser)[-1:] == [f"L{MANY}"])


def test_what_is_seen_stays_when_the_thumb_settles(browser: Chrome, stack: RunningStack, huge: dict[str, Any]) -> None:
    open_job(browser, stack, huge, "#L800000")
    eventually(lambda: len(lines(browser)) > 200)
    # The first scroll event is the reader's; the second comes when the thumb goes to where the place is in the log.
    script = """
      const [box, done] = arguments;
      const top = box.getBoundingClientRect().top;
      const first = () => [...box.querySelectorAll(".line")].find((row) => row.getBoundingClientRect().bottom > top + 1).id;
      const found = [];
      box.addEventListener("scroll", () => found.push([first(), box.scrollTop]) === 2 && done(found));
      box.scrollTop -= 3000;
    """
    before = seen_numbers(browser)[0]
    (seen_first, moved), (seen_then, settled) = browser.execute_async_script(script, log_box(browser))
    assert seen_first == seen_then == f"L{before - 150}"
    assert settled > moved + 2000


def test_the_scroll_bar_stands_for_ten_million_lines_and_reaches_each(browser: Chrome, stack: RunningStack) -> None:
    script = """
      const [address, done] = arguments;
      import(address).then(({ Scale }) => {
        const scale = new Scale(10_000_000, 20);
        const wrong = [];
        for (let line = 0; line < 10_000_000; line += 997) {
          if (Math.abs(scale.toLog(scale.toBar(line * 20)) - line * 20) > 1) wrong.push(line);
          if (line && scale.toBar(line * 20) <= scale.toBar((line - 997) * 20)) wrong.push(line);
        }
        done([scale.height, scale.toBar(60), scale.height - scale.toBar(scale.whole - 60), wrong]);
      });
    """
    found = browser.execute_async_script(script, f"{stack.url}/static/towline/log/scale.js")
    assert found == [8_000_000, 60, 60, []]


def test_one_stream_of_millions_is_shown_alone(browser: Chrome, stack: RunningStack, huge: dict[str, Any]) -> None:
    open_job(browser, stack, huge)
    eventually(lambda: seen(browser)[-1:] == [f"L{MANY}"])
    choose(browser, "stream", "stderr")
    every = list(range(EACH, MANY + 1, EACH))
    eventually(lambda: [number for number, _ in lines(browser)] == every, 60)
    choose(browser, "stream", "")
    eventually(lambda: len(lines(browser)) > 50)


def choose(browser: Chrome, name: str, value: str) -> None:
    script = """
      const field = document.querySelector(`[data-log-${arguments[0]}]`);
      field.value = arguments[1];
      field.dispatchEvent(new Event("change"));
    """
    browser.execute_script(script, name, value)


# --- lines and links --------------------------------------------------------------------------------------------------


def test_a_link_to_lines_marks_them_and_holds_still(browser: Chrome, stack: RunningStack) -> None:
    gate = stack.data_dir / "gate-link"
    job = stack.submit("sh", "-c", f"seq 1 2000; until [ -e {gate} ]; do sleep 0.05; done; seq 2001 2100")
    eventually(lambda: stack.job(job["id"])["log"]["lines"] == 2000)
    open_job(browser, stack, job, "#L100-L120")
    eventually(lambda: told(browser) == list(range(100, 121)))
    assert 100 in seen_numbers(browser)
    held = seen(browser)
    gate.touch()
    eventually(lambda: "End: succeeded" in words(browser, ".log .end"))
    assert seen(browser) == held


def test_a_click_on_a_number_makes_a_link_and_with_shift_a_range(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("seq", "1", "50"))
    eventually(lambda: 50 in seen_numbers(browser))
    click = """
      const how = { bubbles: true, cancelable: true, shiftKey: arguments[1] };
      document.querySelector(arguments[0]).dispatchEvent(new MouseEvent("click", how));
    """
    browser.execute_script(click, "#L45 a", False)
    assert browser.current_url.endswith("#L45")
    browser.execute_script(click, "#L42 a", True)
    assert browser.current_url.endswith("#L42-L45")
    assert told(browser) == [42, 43, 44, 45]
    browser.refresh()
    eventually(lambda: told(browser) == [42, 43, 44, 45])


def test_a_line_beyond_the_end_is_the_last_one_and_nonsense_is_marked(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("seq", "1", "300"))
    eventually(lambda: 300 in seen_numbers(browser))
    go_to_line(browser, "7")
    eventually(lambda: told(browser) == [7])
    go_to_line(browser, "999999")
    eventually(lambda: told(browser) == [300])
    go_to_line(browser, "soon")
    assert browser.switch_to.active_element.get_attribute("aria-invalid") is not None


def test_missing_output_is_shown_where_it_is_missing(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("true")
    capped = {"line": 90_001, "reason": "capped", "lines": 89_900, "bytes": 1234567, "since": None, "until": None}
    lost = {"line": 51, "reason": "rotated", "lines": 0, "bytes": None, "since": "2026-11-22T05:00:00Z", "until": None}
    removed = {"line": 90_301, "reason": "removed", "lines": 0, "bytes": None, "since": None, "until": None}
    write_log(stack, job, (1, 100), (90_001, 90_300), gaps=(capped, lost, removed))
    open_job(browser, stack, job)
    eventually(lambda: seen(browser)[-2:] == ["L90300", "G90301"])
    go_to_line(browser, "90001")
    shown = eventually(lambda: "L100" in (found := seen(browser)) and found)
    at = shown.index("G90001")
    assert shown[at - 1 : at + 2] == ["L100", "G90001", "L90001"]
    assert "89,900 lines missing, 101 to 90000 (1,234,567 bytes): more than is kept" in words(browser, "#G90001")
    go_to_line(browser, "51")
    eventually(lambda: "G51" in seen(browser))
    assert "Output missing, from 2026-11-22 05:00:00 UTC: the runtime dropped it" in words(browser, "#G51")
    asked = "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('limit=')).length"
    assert browser.execute_script(asked) <= 3
    # All 400 lines that there are, and nothing else, make the scroll bar.
    assert browser.execute_script("return document.querySelector('.space').offsetHeight") < 400 * 20 + 200


# --- any content ------------------------------------------------------------------------------------------------------


def test_no_output_does_more_than_be_seen(browser: Chrome, stack: RunningStack) -> None:
    script = r"""
      echo '<script>window.pwned=1</script><img src=x onerror=window.pwned=1>'
      printf '10%%\r50%%\r\033[1;32m100%%\033[0m\n'
      printf 'a\007b\000c\033[2Jd\033]0;title\007e\n'
      printf 'torn \033[31'; printf 'm? \033[ok\n'
      printf '\033]8;;javascript:window.pwned=1\033\\click\033]8;;\033\\\n'
      printf '\033[34mblue\nstill blue\033[0m\n'
    """
    open_job(browser, stack, stack.run("sh", "-c", script))
    shown = dict(eventually(lambda: len(found := lines(browser)) == 7 and found))
    assert shown[1] == "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    assert (shown[2], shown[5]) == ("100%", "click")
    assert shown[3] == "a␇b␀cd␛]0;title␇e" or shown[3] == "a␇b␀cd]0;title␇e"
    assert shown[4].startswith("torn ? ")
    assert words(browser, "#L2 .ansi-bold.ansi-green-fg") == "100%"
    assert words(browser, "#L7 .ansi-blue-fg") == "still blue"
    assert browser.execute_script("return [window.pwned ?? null, document.querySelectorAll('.text a').length]") == [
        None,
        0,
    ]


def test_a_line_of_a_mebibyte_is_cut_for_show_and_shown_whole_when_asked(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("sh", "-c", r"head -c 1000000 /dev/zero | tr '\000' x; echo; echo short")
    open_job(browser, stack, job)
    eventually(lambda: "End: succeeded" in words(browser, ".log .end") and len(lines(browser)) == 2)
    assert len(dict(lines(browser))[1]) == 3000
    assert words(browser, "#L1 .rest") == "… show all 1,000,000 characters"
    press(browser, "#L1 .rest")
    eventually(lambda: len(dict(lines(browser))[1]) == 1_000_000)
    log_box(browser).send_keys(Keys.END)
    eventually(lambda: seen(browser)[-1:] == ["L2"])


# --- as the reader likes it -------------------------------------------------------------------------------------------


def test_wrap_and_times_are_kept_from_page_to_page(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "seq -s ' ' 1 400; echo second")
    open_job(browser, stack, job)
    eventually(lambda: seen(browser)[-1:] == ["L2"])
    height = "return document.querySelector('#L1').offsetHeight"
    assert browser.execute_script(height) > 40
    log_box(browser).send_keys("w")
    assert browser.execute_script(height) == 20
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    log_box(browser).send_keys("t")
    assert words(browser, "#L1 time") == stack.lines(job)[0]["time"][11:23]
    log_box(browser).send_keys("t")
    eventually(lambda: words(browser, "#L1 time").startswith("+0."))
    browser.refresh()
    eventually(lambda: words(browser, "#L1 time").startswith("+0."))
    assert browser.execute_script(height) == 20


def test_the_streams_are_shown_together_or_alone(browser: Chrome, stack: RunningStack) -> None:
    gate = stack.data_dir / "gate-streams"
    work = "for i in 1 2 3; do echo out $i; echo err $i >&2; done"
    job = stack.submit("sh", "-c", f"{work}; until [ -e {gate} ]; do sleep 0.05; done; {work}")
    open_job(browser, stack, job)
    eventually(lambda: len(lines(browser)) == 6)
    choose(browser, "stream", "stderr")
    eventually(lambda: [text for _, text in lines(browser)] == ["err 1", "err 2", "err 3"])
    gate.touch()
    eventually(lambda: [text for _, text in lines(browser)] == ["err 1", "err 2", "err 3"] * 2)
    choose(browser, "stream", "")
    eventually(lambda: len(lines(browser)) == 12)


def test_each_attempt_has_a_tab_that_is_a_link(browser: Chrome, stack: RunningStack) -> None:
    twice = {"max_attempts": 2, "backoff": 0.1, "on": ["user"]}
    job = stack.run("sh", "-c", "echo attempt $TOWLINE_ATTEMPT; exit 1", retry=twice)
    open_job(browser, stack, job)
    eventually(lambda: lines(browser) == [(1, "attempt 2")])
    assert words(browser, ".tabs [aria-current]") == "Attempt 2"
    press(browser, ".tabs a:first-child")
    eventually(lambda: lines(browser) == [(1, "attempt 1")])
    assert browser.current_url.endswith("?attempt=1")
    assert words(browser, ".tabs [aria-current]") == "Attempt 1"
    assert browser.execute_script("return document.querySelector('[data-log-download]').href").endswith("?attempt=1")


def test_the_keyboard_does_it_all(browser: Chrome, stack: RunningStack) -> None:
    open_job(browser, stack, stack.run("seq", "1", "1000"))
    eventually(lambda: 1000 in seen_numbers(browser))
    box = log_box(browser)
    box.send_keys("?")
    assert browser.execute_script("return document.querySelector('dialog.keys').open")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    box.send_keys("/")
    assert browser.execute_script("return document.activeElement.matches('[data-log-find]')")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.switch_to.active_element == box
    box.send_keys("z")
    assert browser.execute_script("return document.querySelector('#log').offsetHeight === window.innerHeight")
    eventually(lambda: 1000 in seen_numbers(browser))
    box.send_keys(Keys.ESCAPE)
    assert not browser.execute_script("return document.querySelector('#log').matches('.large')")
    box.send_keys(Keys.HOME)
    eventually(lambda: seen(browser)[:1] == ["L1"])
    assert browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", box) != "none"


def test_on_a_phone_all_tools_are_there_and_the_page_does_not_slide(browser: Chrome, stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "seq -s ' ' 1 400; exit 1", retry={"max_attempts": 2, "backoff": 0.1, "on": ["user"]})
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        open_job(browser, stack, job)
        eventually(lambda: seen(browser) == ["L1"])
        log_box(browser).send_keys("w")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        outside = """
          const tools = [...document.querySelectorAll(".log button, .log input, .log select, .log a.button")];
          return tools.filter((tool) => tool.offsetWidth && tool.getBoundingClientRect().right > 390).length;
        """
        assert browser.execute_script(outside) == 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
