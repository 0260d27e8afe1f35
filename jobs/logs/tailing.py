"""A job and its log, read once for all who follow it here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from uuid import UUID

from django.db import Error as DatabaseError

from jobs.looks import look
from jobs.models import Attempt, LogChunk

from .feed import Feed
from .prepared import Prepared
from .reader import read_lines
from .records import StoredLine, unpack
from .squeezing import expand
from .standing import Standing, stand
from .steps import Form, Lines
from .watch import Watch
from .window import Window, cost, cut

log = logging.getLogger(__name__)
WINDOW_BYTES = 4 * 1024 * 1024
WINDOWS_BYTES = 64 * 1024 * 1024  # all of them together
LOOK_BYTES = 1024 * 1024  # as windows count them
SMALL_BYTES = 128 * 1024  # a log that is read from its start, rather than from where it is now
RETRY_SECONDS = 1.0
FRESH_CHUNKS = 4
_fresh = Prepared(
    lambda: (
        LogChunk.objects.filter(attempt_id=0, first_line__gte=0)
        .order_by("first_line")
        .values_list("first_line", "data", "index")[:FRESH_CHUNKS]
    )
)
Wire = tuple[str | None, Form]  # a stream, or both, and what is made of its lines
Read = tuple[Lines | None, int]  # lines, if there were any, and where to go on


@dataclass(frozen=True)
class Found:
    """What one look found: of attempt `number` the lines from `start` up to, not including, `upto`."""

    standing: Standing
    number: int | None = None
    pages: tuple[Lines, ...] = ()
    start: int = 1
    upto: int = 1


class Tail(Watch):
    """Its windows are of the newest attempt, and of the one before, which some may still be reading to its end."""

    def __init__(self, ours: Feed, job_id: UUID) -> None:
        super().__init__(ours, job_id)
        self.standing: Standing | None = None
        self.wires: set[Wire] = set()
        self._windows: dict[int, Window] = {}
        self._reading: dict[tuple[int, int], asyncio.Task[Read]] = {}

    def ask(self) -> Found | None:
        """The states are read before the lines: what is final then has all its lines stored."""
        standing = stand(self.job_id, self.standing)
        number = self._to_read(standing) if standing else None
        if standing is None or number is None:
            return Found(standing) if standing else None
        attempt = standing.attempts[number]
        window = self._windows.get(number)
        start = window.next if window else _beginning(attempt)
        pages, size, upto = [], 0, attempt.log_lines + 1
        for page in self._cut(standing, number, start) if start < upto else ():
            pages.append(page)
            size += cost(page)
            if size >= LOOK_BYTES:
                upto = page.last + 1
                break
        return Found(standing, number, tuple(pages), start, upto)

    def take(self, answer: Found | None) -> bool:
        if answer is None:
            self.failed = True
            return False
        self.standing = answer.standing
        if answer.number is None:
            return False
        if answer.number not in self._windows:
            fresh = answer.number, Window(answer.number, answer.start)
            self._windows = dict([*self._windows.items(), fresh][-2:])
        most = min(WINDOW_BYTES, WINDOWS_BYTES // len(self._feed.watches or [0]))
        self._windows[answer.number].add(answer.pages, answer.upto, most)
        return self._to_read(answer.standing) != answer.number or answer.upto <= self._lines(answer.number)

    async def page(self, number: int, n: int) -> Read:
        """The next lines from `n` on, as far as the standing counts them."""
        window = self._windows.get(number)
        if window and n >= window.first:
            page = window.page(n)
            return page, page.last + 1 if page else max(n, window.next)
        return await self._shared(number, n)

    async def _shared(self, number: int, n: int) -> Read:
        """Read for who is behind the window; for several at the same place at once."""
        key = number, n
        if key not in self._reading:
            self._reading[key] = task = asyncio.create_task(self._read(number, n))
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(self._reading[key])

    async def _read(self, number: int, n: int) -> Read:
        standing = self.standing
        assert standing is not None  # noqa: S101 - for the type checker; who asks has seen it
        while True:
            try:
                async with self._feed.catching_up:
                    page = await look(lambda: next(self._cut(standing, number, n), None))
                return page, page.last + 1 if page else standing.attempts[number].log_lines + 1
            except DatabaseError as error:
                log.warning("the log of job %s can't be read just now: %s", self.job_id, error)
                await asyncio.sleep(RETRY_SECONDS)

    def _cut(self, standing: Standing, number: int, start: int) -> Iterator[Lines]:
        """In a thread: pages of what is stored from `start` on, up to what the standing counts, and made for the wire."""
        attempt = standing.attempts[number]
        lines = takewhile(lambda line: line.n <= attempt.log_lines, _lines(attempt.pk, start))
        for page in cut(number, lines, {gap.line for gap in standing.gaps(number)}):
            for stream, form in list(self.wires):
                if wanted := page.only(stream):
                    wanted.made(form)
            yield page

    def _to_read(self, standing: Standing) -> int | None:
        """The attempt whose end the window follows: the newest, once the one before was read to its end."""
        number = next(reversed(self._windows), None)
        if number is None:
            return standing.newest
        attempt = standing.attempts[number]
        done = attempt.is_final and self._windows[number].next > attempt.log_lines
        return number + 1 if done and number + 1 in standing.attempts else number

    def _lines(self, number: int) -> int:
        return self.standing.attempts[number].log_lines if self.standing else 0


def _beginning(attempt: Attempt) -> int:
    return 1 if attempt.log_bytes <= SMALL_BYTES else attempt.log_lines + 1


def _lines(attempt_id: int, start: int) -> Iterator[StoredLine]:
    """Those from `start` on. At the end of a growing log a chunk begins right there, and so few need no search."""
    chunks = _fresh.rows(attempt_id, start)
    if len(chunks) == FRESH_CHUNKS or not chunks or chunks[0][0] != start:
        yield from read_lines(attempt_id, start=start)
        return
    for first_line, data, index in chunks:
        yield from unpack(expand(data), expand(index), first_line)
