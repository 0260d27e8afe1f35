"""Failpoints: named in one table, reached in the code, and harmless unless asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jobs.failpoints import KILLED, POINTS, Failure, parse

ROOT = Path(__file__).resolve().parents[3]


def python(code: str, failpoints: str) -> subprocess.CompletedProcess[str]:
    armed = (
        f"from jobs.failpoints import *\nfrom jobs.failpoints import parse, arm, reach\narm(parse({failpoints!r}))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", armed + code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


def test_the_table_names_what_the_code_reaches_and_nothing_else() -> None:
    sources = [path for folder in ("jobs", "workers") for path in (ROOT / folder).rglob("*.py")]
    reached = Counter(name for path in sources for name in re.findall(r'\breach\("(\w+)"\)', path.read_text()))
    assert set(reached) == set(POINTS)
    # Each runtime has one place between making a container and starting it.
    assert {name: count for name, count in reached.items() if count > 1} == {"created": 3}


def test_what_fails_and_how_is_read_from_one_line(tmp_path: Path) -> None:
    assert parse(f"claimed=exit@{tmp_path}/once, created=sleep:1.5,running=stop,") == {
        "claimed": Failure("exit", once=tmp_path / "once"),
        "created": Failure("sleep", 1.5),
        "running": Failure("stop"),
    }


@pytest.mark.parametrize("text", ["nowhere=exit", "claimed", "claimed=burn", "claimed=sleep", "claimed=exit:3"])
def test_what_can_not_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("=")[0]):
        parse(text)


def test_a_process_dies_where_it_is_told_to_and_nowhere_else() -> None:
    died = python("reach('created'); print('on', flush=True); reach('claimed'); print('never')", "claimed=exit")
    assert (died.returncode, died.stdout) == (KILLED, "on\n")
    assert "claimed" in died.stderr


def test_once_is_once_for_all_processes(tmp_path: Path) -> None:
    once = f"claimed=exit@{tmp_path}/once"
    assert [python("reach('claimed')", once).returncode for _ in range(2)] == [KILLED, 0]


def test_it_may_fail_or_be_late_instead() -> None:
    assert "FailpointError" in python("reach('claimed')", "claimed=error").stderr
    late = python(
        "import time; at = time.monotonic(); reach('claimed'); print(time.monotonic() - at)", "claimed=sleep:0.2"
    )
    assert float(late.stdout) >= 0.2
