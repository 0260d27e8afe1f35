"""The page of a trace in Chromium: from the start of the navigation until its bars are on the screen.

`python -m benchmarks.pages [--spans 3000] [--rounds 10] [--json]`, against a platform of its own. Fails when the page of a trace
takes longer than what was promised.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.browser.conftest import FLAGS
from tests.browser.filled import traced_job
from tests.stack import RunningStack, eventually, run_stack

from .figures import median, percentile

ALLOWED_MS = 1000.0
# Seen is what is parsed, laid out and painted, the later of both; a headless browser does not always make a frame when asked.
SEEN = """
  const [page] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  if (!paint || !page.loadEventEnd) return null;
  const drawn = document.querySelector(".strip .bar").getBoundingClientRect().width > 0;
  const bars = drawn ? document.querySelectorAll(".strip .bar").length : 0;
  const seen = Math.max(paint.startTime, page.loadEventEnd);
  return { seen, server: page.responseStart, bytes: page.decodedBodySize, bars };
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with run_stack("process") as stack, chromium() as browser:
        log_in(browser, stack)
        figures = measure(browser, stack, options.spans, options.rounds)
    figures["load"] = os.getloadavg()[0]
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        show(figures, options.spans)
    return 0 if figures["one operation"]["seen ms"] <= ALLOWED_MS and figures["unlike"]["seen ms"] <= ALLOWED_MS else 1


def measure(browser: Chrome, stack: RunningStack, spans: int, rounds: int) -> dict[str, Any]:
    """Many spans of one operation, which fold; as many unlike; each with a line of its own; and a small trace."""
    alike, _ = traced_job(stack, more=spans, name="step")
    unlike, _ = traced_job(stack, more=spans, name="{0:x} of {0:b}")
    small, _ = traced_job(stack)
    pages = {"one operation": alike, "unlike": unlike, "every line": f"{alike}?all=on", "15 spans": small}
    return {name: of_page(browser, url, rounds) for name, url in pages.items()}


def of_page(browser: Chrome, url: str, rounds: int) -> dict[str, float]:
    """The median of its visits, but for the first."""
    visits = [visit(browser, url) for _ in range(rounds + 1)][1:]
    seen = [each["seen"] for each in visits]
    return {
        "seen ms": median(seen),
        "p90 ms": percentile(seen, 0.9),
        "server ms": median([each["server"] for each in visits]),
        "KiB": visits[0]["bytes"] / 1024,
        "bars": visits[0]["bars"],
    }


def visit(browser: Chrome, url: str) -> dict[str, float]:
    browser.get("about:blank")
    browser.get(url)
    return dict(eventually(lambda: browser.execute_script(SEEN)))


@contextmanager
def chromium() -> Iterator[Chrome]:
    profile = tempfile.mkdtemp(prefix="tl-chromium-")
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def log_in(browser: Chrome, stack: RunningStack) -> None:
    browser.get(f"{stack.url}/admin/")
    browser.find_element(By.NAME, "username").send_keys("admin")
    browser.find_element(By.NAME, "password").send_keys(stack.admin_password)
    browser.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    eventually(lambda: browser.find_elements(By.ID, "user-tools"))


def show(figures: dict[str, Any], spans: int) -> None:
    table = Table(title=f"A trace of {spans:,} spans in Chromium (load {figures.pop('load'):.1f})")
    columns = ("seen ms", "p90 ms", "server ms", "KiB", "bars")
    for column in ("page", *columns):
        table.add_column(column, justify="left" if column == "page" else "right")
    for name, found in figures.items():
        table.add_row(name, *(f"{found[column]:,.0f}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
