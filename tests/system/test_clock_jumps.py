"""The machine's clock is set while jobs run. On SQLite it is the database's clock, too, so that every lease is off by an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack import eventually, run_stack

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
COUNT = "i=0; while [ $i -lt 120 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
EXPECTED = b"".join(f"line {n}\n".encode() for n in range(1, 121))

pytestmark = pytest.mark.skipif(
    not FAKETIME.exists(), reason="libfaketime is not installed (apt-get install libfaketime)"
)


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_a_clock_that_is_set_by_an_hour_costs_no_job(tmp_path: Path, offset: str) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with run_stack("process", **faked) as stack:
        job = stack.submit("sh", "-c", COUNT)
        eventually(lambda: stack.output(job))
        clock.write_text(offset)
        ended = stack.wait(job, 60)
        assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
        assert stack.output(job) == EXPECTED
        assert stack.run("echo", "still")["state"] == "succeeded"
