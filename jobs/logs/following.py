"""A job's log from some line on, followed over its attempts until the job is over. Runs in an event loop.

All followers of a job in one event loop share one reader of the database, see `Tail`; each has only its place here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from jobs.models import Attempt

from .gaps import Gap
from .standing import Standing, ending
from .steps import Form, Lines, Missing, News, Over, Silence, Step
from .tailing import Tail
from .watch import HEARTBEAT_SECONDS, joined

__all__ = ["Lines", "Missing", "News", "Over", "Silence", "Step", "follow"]


async def follow(
    job_id: UUID,
    *,
    attempt: int | None = None,
    start: int = 1,
    stream: str | None = None,
    alone: bool = False,
    form: Form | None = None,
) -> AsyncGenerator[Step, None]:
    """Everything from line `start` of that attempt (None: the newest) on, then live, then of its retries; ends with Over.

    `alone`: of that attempt only. `form`: what the caller will have made of lines; it is made where they are read. Ends
    without Over when the process shuts down: the client comes back with the last number it saw.
    """
    place = _Place(attempt, start, stream, alone)
    async with joined(Tail, job_id) as tail:
        if form:
            tail.wires.add((stream, form))
        quiet_since = time.monotonic()
        while not tail.over:
            turn = tail.turn  # taken before anything is looked at: what comes meanwhile is not slept through
            steps, moved = await _steps(tail, place)
            for step in steps:
                yield step
                if isinstance(step, Over):
                    return
            if steps:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                quiet_since = time.monotonic()
                yield Silence()
            if not moved:
                await tail.next(turn)


async def _steps(tail: Tail, place: _Place) -> tuple[list[Step], bool]:
    """What is told now, and whether that moved the place: then there may be more."""
    if tail.standing is None:
        return [], False
    before = place.attempt, place.next_line
    steps = list(place.look(tail.standing))
    if (number := place.behind(tail.standing)) is not None:
        page, upto = await tail.page(number, place.next_line)
        steps += place.read(page, upto, tail.standing.gaps(number))
    return steps, before != (place.attempt, place.next_line)


@dataclass
class _Place:
    """Where one follower is. `attempt` None: no attempt yet."""

    attempt: int | None
    next_line: int
    stream: str | None
    alone: bool
    _expected: int = 0  # what comes next if nothing is missing; `next_line` may be past it, where nothing was found
    _shown: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._move(self.attempt, self.next_line)

    def _move(self, attempt: int | None, line: int) -> None:
        self.attempt, self.next_line, self._expected = attempt, line, line

    def look(self, standing: Standing) -> Iterator[Step]:
        """A state that is another than before, and the end of what was read to its end."""
        self.attempt = self.attempt or standing.newest
        news = standing.news(self.attempt)
        # How many lines there are is told along, and is no news by itself: the lines come.
        facts = {**news.data, "log_lines": None}
        if facts != self._shown:
            self._shown = facts
            yield news
        attempt = standing.attempts.get(self.attempt or 0)
        if attempt is None:
            if standing.job.is_final:
                yield Over(ending(standing.job, None))
        elif attempt.is_final and self.next_line > attempt.log_lines:
            yield from self._end(attempt, standing)

    def _end(self, attempt: Attempt, standing: Standing) -> Iterator[Step]:
        for gap in standing.gaps(attempt.number):
            if not gap.lines and gap.line >= self._expected:
                yield Missing(attempt.number, gap)
        if not self.alone and attempt.number + 1 in standing.attempts:
            self._move(attempt.number + 1, 1)
        elif self.alone or standing.job.is_final:
            yield Over(ending(standing.job, attempt))
        else:
            self._move(attempt.number, attempt.log_lines + 2)  # behind a gap at the end, too: it is told once

    def behind(self, standing: Standing) -> int | None:
        """The attempt, when it has lines for us."""
        attempt = standing.attempts.get(self.attempt or 0)
        return attempt.number if attempt and self.next_line <= attempt.log_lines else None

    def read(self, page: Lines | None, upto: int, gaps: list[Gap]) -> Iterator[Step]:
        """The page, told as far as it is of our stream, behind what is missing before it. `upto`: where to go on."""
        if page:
            for gap in missing(self._expected, page.first, gaps):
                yield Missing(page.attempt, gap)
            if wanted := page.only(self.stream):
                yield wanted
            self._expected = upto
        self.next_line = upto


def missing(expected: int, first: int, gaps: list[Gap]) -> list[Gap]:
    """What to tell a reader who expects line `expected` and is given line `first` next.

    A gap of numbered lines is told by the numbers that this reader misses: those of a cut may have moved on since, and
    whoever saw some of its lines while they were there misses fewer.
    """
    told = [gap for gap in gaps if not gap.lines and expected <= gap.line <= first]
    if first > expected:
        hole = first - expected
        cut = next((gap for gap in gaps if gap.lines and gap.line - gap.lines < first and gap.line > expected), None)
        cut = cut or Gap(first, "capped", hole)
        told.append(cut if (cut.line, cut.lines) == (first, hole) else replace(cut, line=first, lines=hole, bytes=None))
    return told
