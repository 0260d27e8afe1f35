"""Using a driver as the runner does: follow to the end, wait for a thing with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.verdicts import Verdict
from workers.drivers.output import Batch, Line
from workers.drivers.protocol import ContainerSpec, Driver, Handle, Observation, Phase, Refused

LIMIT_SECONDS = 40.0
UNDER_WAY = {Phase.PENDING, Phase.RUNNING}


def read(driver: Driver, handle: Handle, after: str | None) -> Iterator[Line]:
    """One reading, line by line; nothing may be missing in it, but of a container that is gone."""
    for output in driver.logs(handle, after):
        if isinstance(output, Batch):
            yield from output
        else:
            assert output.reason == "removed", output


def follow(driver: Driver, handle: Handle, after: str | None = None) -> list[Line]:
    """Everything behind `after`, to the end. A look before each read; the stream's own end says nothing."""
    lines: list[Line] = []
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        over = driver.inspect(handle).phase not in UNDER_WAY
        for line in read(driver, handle, after):
            lines.append(line)
            after = line.cursor
        if over:
            return lines
        assert time.monotonic() < limit, "it does not end"


def run(driver: Driver, spec: ContainerSpec) -> tuple[bytes, bytes, Observation]:
    """Its stdout, its stderr, its end."""
    handle = driver.start(spec)
    lines = follow(driver, handle)
    return text(lines, "stdout"), text(lines, "stderr"), driver.inspect(handle)


def text(lines: list[Line], stream: str) -> bytes:
    """What of an unknown stream is, counts as stdout."""
    told = {stream, "unknown"} if stream == "stdout" else {stream}
    return b"".join(line.data for line in lines if line.stream in told)


def is_running(driver: Driver, handle: Handle) -> bool:
    """Told to start means that it does, soon."""
    eventually(lambda: driver.inspect(handle).phase is not Phase.PENDING)
    return driver.inspect(handle).phase is Phase.RUNNING


def verdict_of(driver: Driver, spec: ContainerSpec) -> Verdict:
    """Refused at the start or judged at the end: for a user it is the same."""
    try:
        handle = driver.start(spec)
    except Refused as refused:
        return refused.verdict
    return judged(driver, until_over(driver, handle))


def judged(driver: Driver, seen: Observation) -> Verdict:
    verdict = driver.judge(seen)
    assert verdict is not None, "a success"
    return verdict


def until_over(driver: Driver, handle: Handle) -> Observation:
    eventually(lambda: driver.inspect(handle).phase not in UNDER_WAY)
    return driver.inspect(handle)


def until_said(driver: Driver, handle: Handle, word: bytes) -> Line:
    """The first line with this word in it, read live."""
    after, limit = None, time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit:
        for line in read(driver, handle, after):
            after = line.cursor
            if word in line.data:
                return line
    raise AssertionError(f"it never said {word!r}")


def eventually(holds: Callable[[], bool], limit_seconds: float = LIMIT_SECONDS) -> None:
    limit = time.monotonic() + limit_seconds
    while not holds():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def processes_with(tag: str) -> list[int]:
    """Of this machine, those with `tag` in their command line; those of containers are among them."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if tag.encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found
