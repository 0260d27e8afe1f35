"""How long placing takes on paper: `place()` alone, no database, for many waiting jobs and 1,000 workers.

`python -m benchmarks.placement`. Fails when 10,000 jobs take longer than a second in any of the crowds.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from uuid import UUID

from rich.console import Console
from rich.table import Table

from jobs.needs import Needs
from workers.placement import Floor, Plan, Pool, Site, Waiting, place

GIB = 1024**3
WORKERS = 1000
JOBS = (10_000, 100_000)
ALLOWED_SECONDS = 1.0
RUNS = 3
ARCHES = ("amd64", "arm64")
REGIONS = ("eu", "us", "ap", "")

Crowd = Callable[[int], Needs]


def plain(number: int) -> Needs:
    return Needs()


def mixed(number: int) -> Needs:
    """Forty sorts of jobs, a few of which no worker could run."""
    return Needs(
        arch=ARCHES[number % 2],
        region=(*REGIONS[:3], None, "mars")[number % 5],
        cpus=(0.5, 1, 2, 4)[number // 5 % 4],
        memory_bytes=GIB,
    )


def unlike(number: int) -> Needs:
    """No two alike: nothing that was found out for one job holds for the next."""
    return Needs(cpus=0.1 + number / 1e6, memory_bytes=GIB + number)


CROWDS: dict[str, Crowd] = {"all alike": plain, "forty sorts": mixed, "no two alike": unlike}


def sites(count: int) -> list[Site]:
    return [
        Site(
            worker=f"run@host-{number:04}",
            engine=f"engine-{number}",
            pool=f"engine-{number}",
            runtime="docker",
            arch=ARCHES[number % 2],
            cpus=(8, 16, 32)[number % 3],
            memory_bytes=(16, 32, 64)[number % 3] * GIB,
            gpus=0,
            region=REGIONS[number % 4],
        )
        for number in range(count)
    ]


def floor(found: Sequence[Site], slots: int) -> Floor:
    pools = {site.pool: Pool(site.cpus * 4, site.memory_bytes, site.gpus) for site in found}
    return Floor(found, {site.worker: slots for site in found}, pools)


def waiting(count: int, crowd: Crowd) -> list[Waiting]:
    chance = random.Random(1)
    return [Waiting(UUID(int=n), chance.randrange(50), chance.choice((0, 0, 0, 5)), crowd(n)) for n in range(count)]


def timed(jobs: Sequence[Waiting], found: Sequence[Site], slots: int) -> tuple[float, Plan]:
    """The best of a few runs: a busy neighbour only ever adds."""
    best = float("inf")
    for _ in range(RUNS):
        fresh = floor(found, slots)
        began = perf_counter()
        plan = place(jobs, fresh)
        best = min(best, perf_counter() - began)
    return best, plan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument("--slots", type=int, default=8, help="of each worker (default 8)")
    slots = parser.parse_args().slots
    found = sites(WORKERS)
    table = Table(title=f"place() on {WORKERS:,} workers with {slots} slots each", title_justify="left")
    for head in ("waiting jobs", "needs", "placed", "seconds", "µs a job"):
        table.add_column(head, justify="left" if head == "needs" else "right")
    slow = False
    for count in JOBS:
        for name, crowd in CROWDS.items():
            seconds, plan = timed(waiting(count, crowd), found, slots)
            slow |= count == JOBS[0] and seconds > ALLOWED_SECONDS
            figures = f"{seconds:.2f}", f"{seconds / count * 1e6:.0f}"
            table.add_row(f"{count:,}", name, f"{len(plan.assignments):,}", *figures)
    Console().print(table)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
