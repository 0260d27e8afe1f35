"""`make bench-tracing`: what tracing adds to an execution, beside a platform that does not trace, in one run. See `--help`.

Two platforms are up, alike but for `ENABLE_DB_TRACING`; their crowded rounds take turns, so that a noisy neighbour meets both.
Said are the time of an execution as its user sees it, and the processor time that all processes of the platform took for it:
that one does not depend on who else is on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from docker import APIClient
from docker.utils import kwargs_from_env
from rich.console import Console

from workers.drivers.docker.busybox import ensure_demo_image

from .figures import differences, median, percentile
from .running import Doors, platform
from .sections import put
from .ways import Towline

TELL = Console(stderr=True)
MOST_MS, MOST_SHARE = 2.0, 0.03  # added to an execution, at so many at once
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 1.0  # what is still being written belongs to the round


@dataclass
class Side:
    """Of one platform, by round: the median of an execution as its user waits for it; the time of the round by execution, as
    so many run at once; and processor time by execution. Milliseconds.
    """

    took: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass
class Figures:
    runtime: str
    at_once: int
    crowd: int
    off: Side = field(default_factory=Side)
    on: Side = field(default_factory=Side)

    @property
    def waited_ms(self) -> float:
        """By the median of all rounds, each with its neighbour."""
        return median(differences(self.on.took, self.off.took))

    @property
    def added_ms(self) -> float:
        return median(differences(self.on.share, self.off.share))

    @property
    def added_share(self) -> float:
        return self.added_ms / median(self.off.share)

    @property
    def added_cpu_ms(self) -> float:
        return median(differences(self.on.cpu, self.off.cpu))

    @property
    def reached(self) -> bool:
        return self.added_ms < MOST_MS and self.added_share < MOST_SHARE


def measure(options: argparse.Namespace) -> Figures:
    found = Figures(options.runtime, options.at_once, options.crowd)
    with ExitStack() as up:
        sides = [
            (side, up.enter_context(platform(runtime=options.runtime, slots=options.at_once, ENABLE_DB_TRACING=flag)))
            for side, flag in ((found.off, "0"), (found.on, "1"))
        ]
        ways = [(side, doors, Towline(doors, ("echo", "hi"))) for side, doors in sides]
        for _, _, way in ways:
            _crowd(way, options)  # warm: imports, connections
        for number in range(options.rounds):
            for side, doors, way in _turned(ways, number):
                _measure(side, doors, way, options)
            TELL.print(f"round {number + 1} of {options.rounds}: {found.added_ms:+.2f} ms so far")
    return found


def _turned(ways: Sequence[tuple[Side, Doors, Towline]], number: int) -> Iterator[tuple[Side, Doors, Towline]]:
    yield from ways if number % 2 else reversed(ways)


def _measure(side: Side, doors: Doors, way: Towline, options: argparse.Namespace) -> None:
    before = _cpu_ms(doors.pid)
    began = time.perf_counter()
    took = _crowd(way, options)
    side.share.append((time.perf_counter() - began) * 1000 / options.crowd)
    time.sleep(SETTLE_SECONDS)
    side.took.append(median(took))
    side.cpu.append((_cpu_ms(doors.pid) - before) / options.crowd)


def _crowd(way: Towline, options: argparse.Namespace) -> list[float]:
    with ThreadPoolExecutor(options.at_once) as crowd:
        return [took.total for took in crowd.map(lambda _: way.run(), range(options.crowd))]


def _cpu_ms(pid: int) -> float:
    """Of the process and all below it."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += _cpu_ms(int(child))
    behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return total + (int(behind_name[11]) + int(behind_name[12])) * TICK_MS


def as_markdown(found: Figures) -> list[str]:
    off, on = found.off, found.on
    return [
        f"`make bench-tracing`: {len(on.took)} rounds of {found.crowd} executions, {found.at_once} at once, on the "
        f"{found.runtime} runtime; two platforms side by side in turn. Milliseconds by execution.",
        "",
        "| | tracing off | on | added (median of paired rounds) |",
        "|---|---|---|---|",
        f"| the round's time by execution, median | {median(off.share):.1f} | {median(on.share):.1f} | {found.added_ms:+.2f} "
        f"({found.added_share:+.1%}; wanted: under {MOST_MS:g} ms and {MOST_SHARE:.0%}) |",
        f"| submit → final as its user waits, median | {median(off.took):.1f} | {median(on.took):.1f} | {found.waited_ms:+.2f} "
        f"({found.waited_ms / median(off.took):+.1%}) |",
        f"| the same, 90th percentile of rounds | {percentile(off.took, 0.9):.1f} | {percentile(on.took, 0.9):.1f} | |",
        f"| processor time, all processes | {median(off.cpu):.1f} | {median(on.cpu):.1f} | {found.added_cpu_ms:+.2f} |",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description=__doc__)
    parser.add_argument("--runtime", default="docker", help="(default docker)")
    parser.add_argument("--rounds", type=int, default=12, help="of each platform (default 12)")
    parser.add_argument("--at-once", type=int, default=8, help="(default 8)")
    parser.add_argument("--crowd", type=int, default=40, help="executions of a round (default 40)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write them as Markdown, e.g. docs/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    options = _options()
    if options.runtime == "docker":
        ensure_demo_image(APIClient(**kwargs_from_env()))
    found = measure(options)
    print(json.dumps(asdict(found), indent=1) if options.json else "\n".join(as_markdown(found)))
    if options.write:
        put(options.write, "Tracing", as_markdown(found))
    return 0 if found.reached else 1


if __name__ == "__main__":
    sys.exit(main())
