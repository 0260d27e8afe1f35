"""A log's page as a reader has it: open it, read what is shown, press what is there. And logs too long to be run for."""

from __future__ import annotations

from typing import Any

from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.stack import RunningStack, eventually

# Numbers and texts of the lines in the page, in order; read in one go, as lines come and go.
READ = """
  return [...document.querySelectorAll(".lines .line")]
    .map((row) => [Number(row.id.slice(1)), row.querySelector(".text").textContent]);
"""
# Ids of the rows that can be seen, the gaps' too.
SEEN = """
  const box = document.querySelector(".lines").getBoundingClientRect();
  const within = ({ top, bottom }) => bottom > box.top + 1 && top < box.bottom - 1;
  return [...document.querySelectorAll(".rows > *")].filter((row) => within(row.getBoundingClientRect())).map((row) => row.id);
"""
WRITE = """
from jobs.logs.packing import pack
from jobs.logs.store import Position, append, sealing
from jobs.models import Attempt

attempt = Attempt.objects.get(job={job!r})
attempt.chunks.all().delete()
Attempt.objects.filter(pk=attempt.pk).update(log_sealed_at=None, log_packed_at=None, log_bytes=0, log_gaps={gaps!r})
at = Position()
for first, last in {stretches!r}:
    at = Position(first - 1, at.bytes)
    Attempt.objects.filter(pk=attempt.pk).update(log_lines=at.lines)
    for start in range(first, last + 1, 5000):
        numbers = range(start, min(start + 5000, last + 1))
        lines = [(b"line %d\\n" % n, "stdout" if n % {stderr_each} else "stderr", n * 10**6) for n in numbers]
        at = append(attempt, attempt.fence, at, lines, "")
Attempt.objects.filter(pk=attempt.pk).update(**sealing(attempt)[1])
attempt.refresh_from_db()
pack(attempt)
"""


def open_job(browser: Chrome, stack: RunningStack, job: dict[str, Any], fragment: str = "") -> None:
    """Its page; `fragment` may begin with a query."""
    browser.get("about:blank")  # else a fragment alone would not load the page anew
    browser.get(f"{stack.url}/admin/jobs/job/{job['id']}/change/{fragment}")


def lines(browser: Chrome) -> list[tuple[int, str]]:
    """Those in the page, also the ones beyond the edges of the box."""
    return [(number, text) for number, text in browser.execute_script(READ)]


def seen(browser: Chrome) -> list[str]:
    return list(browser.execute_script(SEEN))


def seen_numbers(browser: Chrome) -> list[int]:
    return [int(row[1:]) for row in seen(browser)]


def words(browser: Chrome, part: str) -> str:
    found = browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", part)
    return " ".join(str(found).split())


def press(browser: Chrome, part: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", part)  # in one go: parts are renewed


def log_box(browser: Chrome) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, ".lines")


def go_to_line(browser: Chrome, typed: str) -> None:
    """By the keyboard alone."""
    log_box(browser).send_keys("g")
    browser.switch_to.active_element.send_keys(typed, Keys.ENTER)


def read_through(browser: Chrome, last: int) -> list[tuple[int, str]]:
    """All lines, by paging down from the first one to number `last`."""
    box = log_box(browser)
    box.send_keys(Keys.HOME)
    eventually(lambda: 1 in seen_numbers(browser))
    found = dict(lines(browser))

    def paged() -> bool:
        found.update(lines(browser))
        box.send_keys(Keys.PAGE_DOWN)
        return last in found

    eventually(paged)
    return sorted(found.items())


def write_log(
    stack: RunningStack,
    job: dict[str, Any],
    *stretches: tuple[int, int],
    stderr_each: int = 10**9,
    gaps: tuple[dict[str, Any], ...] = (),
) -> None:
    """Give a job that is over another log: `line N` for each number of the stretches, with gaps as they are told."""
    code = WRITE.format(job=job["id"], stretches=stretches, stderr_each=stderr_each, gaps=list(gaps))
    done = stack.manage("shell", "-c", code)
    assert done.returncode == 0, done.stderr
