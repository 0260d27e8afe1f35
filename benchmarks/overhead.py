"""`make bench`: what a job costs over a bare container, measured side by side in one run. See `--help`.

The rounds of the three ways are interleaved, so that a noisy neighbour meets all of them; what counts are medians,
ratios, and differences within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from docker import APIClient
from docker.utils import kwargs_from_env
from rich.console import Console

from workers.drivers.docker.busybox import ensure_demo_image

from .measured import Measured
from .phases import phases
from .report import as_json, as_markdown, show
from .running import platform
from .sections import put
from .ways import Command, Sdk, Towline, Way

TELL = Console(stderr=True)


def measure(options: argparse.Namespace) -> Measured:
    argv = tuple(options.command)
    found = Measured(argv, options.at_once)
    began = os.getloadavg()[0]
    with platform(keep=options.keep) as doors:
        TELL.print(f"Towline is up in {doors.folder}. One at a time, {options.rounds} rounds …")
        towline = Towline(doors, argv)
        ways: list[Way] = [Command(argv), Sdk(argv), towline]
        for way in ways:
            way.run()  # warm: imports, connections
        _measure_alone(ways, options.rounds, found)
        TELL.print(f"{options.at_once} at once, {options.crowded_rounds} rounds of {options.crowd} …")
        _measure_crowded(ways, options, found)
        found.phases = [phases(took, towline.events(took)) for took in found.alone[towline.name]]
        found.crowded_phases = [phases(took, towline.events(took)) for took in found.crowded_took[towline.name]]
    found.load = (began, os.getloadavg()[0])
    return found


def _measure_alone(ways: Sequence[Way], rounds: int, found: Measured) -> None:
    for number in range(rounds):
        for way in _turned(ways, number):
            found.alone.setdefault(way.name, []).append(way.run())


def _measure_crowded(ways: Sequence[Way], options: argparse.Namespace, found: Measured) -> None:
    for number in range(options.crowded_rounds):
        for way in _turned(ways, number):
            began = perf_counter()
            with ThreadPoolExecutor(options.at_once) as crowd:
                took = list(crowd.map(lambda _, way=way: way.run(), range(options.crowd)))
            found.crowded.setdefault(way.name, []).append(options.crowd / (perf_counter() - began))
            found.crowded_took.setdefault(way.name, []).extend(took)


def _turned(ways: Sequence[Way], number: int) -> Iterator[Way]:
    """Each round another way is first, so that none always comes after the same one."""
    start = number % len(ways)
    yield from [*ways[start:], *ways[:start]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="one at a time (default 15)")
    parser.add_argument("--at-once", type=int, default=8, help="how many at once (default 8)")
    parser.add_argument("--crowd", type=int, default=40, help="containers of a crowded round (default 40)")
    parser.add_argument("--crowded-rounds", type=int, default=3, help="(default 3)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write them as Markdown, e.g. docs/benchmarks.md")
    parser.add_argument("--keep", action="store_true", help="leave the platform's data folder")
    parser.add_argument("command", nargs="*", default=["echo", "hi"], help="what to run (default echo hi)")
    return parser.parse_args()


def main() -> int:
    options = _options()
    ensure_demo_image(APIClient(**kwargs_from_env()))
    found = measure(options)
    if options.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        show(found, Console())
    if options.write:
        put(options.write, "Benchmarks", as_markdown(found))
    return 0 if all(reached for _, reached in found.aims) else 1


if __name__ == "__main__":
    sys.exit(main())
