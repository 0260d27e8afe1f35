"""A long waterfall made short: many siblings alike, one after another, become two of them and one line for the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from .models import Status
from .questions.waterfall import Step

SHOWN = 2
FEWEST = 3  # folded at once: a line for fewer saves nothing


@dataclass(frozen=True)
class Folded:
    """`count` siblings of one service and operation, with all that lies below them; none of it failed or is open."""

    steps: tuple[Step, ...]  # the siblings themselves

    @property
    def count(self) -> int:
        return len(self.steps)

    @property
    def depth(self) -> int:
        return self.steps[0].depth

    @property
    def service(self) -> str:
        return self.steps[0].row.service

    @property
    def critical(self) -> bool:
        return any(step.critical for step in self.steps)

    @property
    def start(self) -> datetime:
        return min(step.row.started_at for step in self.steps)

    def end(self, now: datetime) -> datetime:
        return max(step.row.end(now) for step in self.steps)

    def seconds(self, now: datetime) -> tuple[float, float]:
        """The shortest and the longest."""
        took = [step.row.seconds(now) for step in self.steps]
        return min(took), max(took)


def fold(steps: Sequence[Step]) -> list[Step | Folded]:
    """In the same order."""
    ends, folded = _ends(steps), {}
    for run in _runs(steps, ends):
        rest = run[SHOWN:]
        if len(rest) >= FEWEST:
            folded[rest[0]] = Folded(tuple(steps[place] for place in rest)), ends[rest[-1]]
    found: list[Step | Folded] = []
    place = 0
    while place < len(steps):
        line, after = folded.get(place, (steps[place], place + 1))
        found.append(line)
        place = after
    return found


def _ends(steps: Sequence[Step]) -> list[int]:
    """Where what lies below each step is over."""
    ends = [len(steps)] * len(steps)
    under: list[int] = []
    for place, step in enumerate(steps):
        while under and steps[under[-1]].depth >= step.depth:
            ends[under.pop()] = place
        under.append(place)
    return ends


def _runs(steps: Sequence[Step], ends: Sequence[int]) -> Iterator[list[int]]:
    """Places of siblings, side by side, that are alike and well."""
    well = _well(steps, ends)
    taken: set[int] = set()
    for place in range(len(steps)):
        if place in taken or not well[place]:
            continue
        run = [place]
        while (after := ends[run[-1]]) < len(steps) and well[after] and _alike(steps[place], steps[after]):
            run.append(after)
        taken.update(run)
        yield run


def _well(steps: Sequence[Step], ends: Sequence[int]) -> list[bool]:
    """Itself, and all below it: the next that is not lies behind."""
    well, trouble = [True] * len(steps), len(steps)
    for place in range(len(steps) - 1, -1, -1):
        if steps[place].row.status != Status.COMPLETED:
            trouble = place
        well[place] = trouble >= ends[place]
    return well


def _alike(one: Step, other: Step) -> bool:
    return (one.depth, one.row.service, one.row.operation) == (other.depth, other.row.service, other.row.operation)
