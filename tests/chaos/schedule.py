"""Which fault comes when: drawn from the seed alone, so that a run can be repeated as far as timing lets it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.faults import FAULTS, World

APART_SECONDS = (1.5, 3.0)


@dataclass(frozen=True)
class Injected:
    """`at` is seconds since the epoch, to be laid beside the events of a job."""

    at: float
    name: str
    detail: str

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.gmtime(self.at)) + f".{int(self.at * 1000) % 1000:03d}"
        return f"{clock}  {self.name} {self.detail}"


def plan(seed: int, offered: set[str]) -> Iterator[tuple[float, str]]:
    """For ever: the pause before a fault, and its name. At first each once, in any order, then as often as they say."""
    rng = random.Random(seed)
    names = sorted(name for name, (_, _, needs) in FAULTS.items() if not needs or needs in offered)
    first = rng.sample(names, len(names))
    weights = [FAULTS[name][1] for name in names]
    while True:
        name = first.pop() if first else rng.choices(names, weights)[0]
        yield rng.uniform(*APART_SECONDS), name


def inject(world: World, seed: int, offered: set[str], seconds: float, least: int) -> list[Injected]:
    """Faults for so long, and at least so many."""
    rng = random.Random(seed + 1)
    done: list[Injected] = []
    until = time.monotonic() + seconds
    for pause, name in plan(seed, offered):
        if (time.monotonic() >= until and len(done) >= least) or world.users.troubles:
            break
        time.sleep(pause)
        at = time.time()
        done.append(Injected(at, name, FAULTS[name][0](world, rng)))
    return done
