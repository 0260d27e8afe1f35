"""`make bench-delivery`: how long a line takes from the job that writes it to those who follow it, on the whole platform.

Some chatty jobs, each of which writes the time over and over, and many followers of their event streams, all in one
event loop. What is measured is client's clock minus the time in the line: both are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from .figures import median, percentile
from .running import Doors, platform
from .sections import put

TELL = Console(stderr=True)
MEDIAN_MS, P99_MS = 100.0, 300.0
WARM_SECONDS = 3.0
IMAGE = "towline/demo:1"


@dataclass
class Delivered:
    options: argparse.Namespace
    late_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    load: tuple[float, float] = (0.0, 0.0)
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def aims(self) -> list[tuple[str, bool]]:
        return [
            (f"median at most {MEDIAN_MS:g} ms", median(self.late_ms) <= MEDIAN_MS),
            (f"99th percentile at most {P99_MS:g} ms", percentile(self.late_ms, 0.99) <= P99_MS),
        ]

    def rows(self) -> list[tuple[str, str]]:
        shares = {"median": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "most": 1.0}
        busy = ", ".join(f"{name} {share:.0%}" for name, share in self.cpu.items())
        return [
            *((f"{name} ms", f"{percentile(self.late_ms, share):.0f}") for name, share in shares.items()),
            ("lines delivered a second", f"{len(self.late_ms) / self.seconds:.0f}"),
            ("of a core, while measured", busy),
        ]

    @property
    def title(self) -> str:
        o = self.options
        return f"{o.jobs} jobs on {o.runtime} writing {o.rate:g} lines a second each, {o.followers} followers"


def measure(options: argparse.Namespace) -> Delivered:
    found = Delivered(options)
    began = os.getloadavg()[0]
    with platform(runtime=options.runtime, slots=options.jobs, keep=options.keep) as doors:
        http = httpx.Client(
            base_url=f"{doors.url}/api/v1", headers={"Authorization": f"Bearer {doors.token}"}, timeout=60
        )
        TELL.print(f"Towline is up in {doors.folder}. {found.title} …")
        jobs = [_submit(http, options) for _ in range(options.jobs)]
        asyncio.run(_follow(doors, jobs, found))
        for job in jobs:
            http.post(f"/jobs/{job}/cancel/")
    found.load = (began, os.getloadavg()[0])
    return found


def _submit(http: httpx.Client, options: argparse.Namespace) -> str:
    pause = 1 / options.rate
    small = {"cpus": 0.1, "memory": "64Mi"}
    if options.runtime == "process":
        chat = f"import time\nwhile 1: print(f'{{time.time():.6f}}', flush=True); time.sleep({pause})"
        command = [sys.executable, "-c", chat]
    else:
        command = ["sh", "-c", f"while :; do read up rest </proc/uptime; echo $up; sleep {pause}; done"]
    spec = {"image": IMAGE, "runtime": options.runtime, "command": command, "resources": small}
    job: str = http.post("/jobs/", json=spec).raise_for_status().json()["id"]
    return job


async def _follow(doors: Doors, jobs: Sequence[str], found: Delivered) -> None:
    options = found.options
    readers = [Reader(doors, jobs[number % len(jobs)], options.runtime) for number in range(options.followers)]
    tasks = [asyncio.create_task(reader.read()) for reader in readers]
    for reader in readers:
        await asyncio.wait_for(reader.heard.wait(), 120)
    await asyncio.sleep(WARM_SECONDS)
    for reader in readers:
        reader.late_ms.clear()
    began, used = time.monotonic(), _cpu(doors)
    await asyncio.sleep(options.seconds)
    found.seconds = time.monotonic() - began
    found.cpu = {name: (seconds - used.get(name, 0)) / found.seconds for name, seconds in _cpu(doors).items()}
    found.late_ms = [late for reader in readers for late in reader.late_ms]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Reader:
    """One follower: as little as reads server-sent events in chunks."""

    def __init__(self, doors: Doors, job: str, runtime: str) -> None:
        self.late_ms: list[float] = []
        self.heard = asyncio.Event()
        self._doors = doors
        self._job = job
        # A container of busybox knows no parts of a second but those of the uptime, in hundredths.
        self._clock = time.time if runtime == "process" else lambda: time.clock_gettime(time.CLOCK_BOOTTIME)

    async def read(self) -> None:
        address = urlsplit(self._doors.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        asked = f"GET /api/v1/jobs/{self._job}/logs/?tail=1 HTTP/1.1\r\nHost: {address.netloc}\r\n"
        headers = f"Authorization: Bearer {self._doors.token}\r\nAccept: text/event-stream\r\n\r\n"
        writer.write((asked + headers).encode())
        status = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in status.split(b"\r\n")[0], status
        waiting = b""
        while size := int(await reader.readline(), 16):
            waiting += (await reader.readexactly(size + 2))[:-2]
            *events, waiting = waiting.split(b"\n\n")
            for event in events:
                self._take(event)

    def _take(self, event: bytes) -> None:
        now = self._clock()
        if event.startswith(b"event: lines\n"):
            lines = orjson.loads(event.partition(b"\ndata: ")[2])
            self.late_ms += [(now - float(line["text"])) * 1000 for line in lines]
            self.heard.set()


def _cpu(doors: Doors) -> dict[str, float]:
    """Seconds used so far by the platform's processes, by their role, and by this one."""
    used = {"clients": time.process_time()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes()
            ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        except OSError:  # it has ended, or is somebody else's
            continue
        if str(doors.folder).encode() in environment and b"serve" in words:
            role = words[words.index(b"serve") + 1].decode()
            used[role] = used.get(role, 0) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return used


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--runtime", choices=["process", "docker"], default="process", help="(default process)")
    parser.add_argument("--jobs", type=int, default=20, help="(default 20)")
    parser.add_argument("--rate", type=float, default=5, help="lines a second of each job (default 5)")
    parser.add_argument("--followers", type=int, default=100, help="spread over the jobs (default 100)")
    parser.add_argument("--seconds", type=float, default=20, help="how long to measure (default 20)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put them into a Markdown file")
    parser.add_argument("--keep", action="store_true", help="leave the platform's data folder")
    return parser.parse_args()


def show(found: Delivered, console: Console) -> None:
    table = Table(title=found.title, title_justify="left", title_style="bold", show_header=False)
    for name, figure in found.rows():
        table.add_row(name, figure)
    console.print(table)
    for aim, reached in found.aims:
        console.print(f"[{'green' if reached else 'red'}]{'pass' if reached else 'FAIL'}[/]  {aim}")
    console.print(f"load before and after: {found.load[0]:.1f}, {found.load[1]:.1f}", style="dim")


def as_markdown(found: Delivered) -> list[str]:
    lines = [
        f"`make bench-delivery`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {found.title}; from the write in the job to the line "
        f"in the client. {os.cpu_count()} cpus, load before and after: {found.load[0]:.1f}, {found.load[1]:.1f}.",
        "",
        "|  |  |",
        "|---|---:|",
        *(f"| {name} | {figure} |" for name, figure in found.rows()),
        "",
    ]
    return lines + [f"* {'reached' if reached else 'missed'}: {aim}" for aim, reached in found.aims]


def as_json(found: Delivered) -> dict[str, object]:
    return {"what": found.title, **dict(found.rows()), "aims": dict(found.aims)}


def main() -> int:
    options = _options()
    found = measure(options)
    if options.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        show(found, Console())
    if options.write:
        put(options.write, f"Delivery of lines, {options.runtime} runtime", as_markdown(found))
    return 0 if all(reached for _, reached in found.aims) else 1


if __name__ == "__main__":
    sys.exit(main())
