"""Searching stored logs, the newest attempts first and each from its first line on.

Of a sealed log the filters say which blocks can't hold what is searched for; those are not read. It goes on step by step,
so that whoever searches may stop at any time, and go on later behind any hit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from jobs.models import Attempt

from . import grams, vault
from .query import Query
from .records import StoredLine, unpack
from .sealed import Row, Sealed
from .stretches import Stretch, of_row, stretches

ATTEMPTS_AT_ONCE = 200
# The runtime's clock stamps lines, the database's attempts.
CLOCKS_APART = timedelta(hours=1)


@dataclass(frozen=True)
class Place:
    """Behind that line of that attempt (its execution id); line 0: before its first."""

    attempt: int
    line: int = 0


@dataclass(frozen=True)
class Wanted:
    """`since` and `until` bound the times of lines, the second excluded."""

    query: Query
    stream: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Place | None = None


@dataclass(frozen=True)
class Hit:
    job: UUID
    name: str  # of the job
    number: int
    attempt: int
    line: StoredLine

    @property
    def place(self) -> Place:
        return Place(self.attempt, self.line.n)

    def as_json(self) -> dict[str, object]:
        shown = self.line.as_json()
        return {"job": str(self.job), "name": self.name, "attempt": self.number, "line": shown.pop("n"), **shown}


@dataclass
class Searched:
    """What was done so far. Bytes are of output: read, and passed over thanks to the filters."""

    attempts: int = 0
    bytes: int = 0
    passed_over_bytes: int = 0
    unreadable: list[str] = field(default_factory=list)  # what the storage does not give, in words; the first few
    place: Place | None = None  # everything before it is done


def search(attempts: QuerySet[Attempt], wanted: Wanted, searched: Searched) -> Iterator[Hit | None]:
    """Hits as they are found; None at every step that found nothing, so that the caller may stop. `searched` is kept up."""
    for attempt in _newest_first(_within(attempts, wanted), wanted.after):
        start = wanted.after.line + 1 if wanted.after and attempt.pk == wanted.after.attempt else 1
        searched.place = Place(attempt.pk, start - 1)
        try:
            yield from _in_attempt(attempt, start, wanted, searched)
        except vault.Unreadable as error:
            if len(searched.unreadable) < 3:
                searched.unreadable.append(str(error))
        searched.attempts += 1
        yield None
    searched.place = None


def _within(attempts: QuerySet[Attempt], wanted: Wanted) -> QuerySet[Attempt]:
    attempts = attempts.filter(log_lines__gt=0, log_dropped_at=None)
    if wanted.since:
        attempts = attempts.filter(Q(finished_at=None) | Q(finished_at__gte=wanted.since - CLOCKS_APART))
    if wanted.until:
        attempts = attempts.filter(created_at__lt=wanted.until + CLOCKS_APART)
    return attempts.select_related("job").only("number", "log_object", "log_object_bytes", "job__name")


def _newest_first(attempts: QuerySet[Attempt], after: Place | None) -> Iterator[Attempt]:
    below = after.attempt + 1 if after else None
    while True:
        rest = attempts.filter(pk__lt=below) if below is not None else attempts
        page = list(rest.order_by("-pk")[:ATTEMPTS_AT_ONCE])
        yield from page
        if len(page) < ATTEMPTS_AT_ONCE:
            return
        below = page[-1].pk


def _in_attempt(attempt: Attempt, start: int, wanted: Wanted, searched: Searched) -> Iterator[Hit | None]:
    for stretch in _worth_reading(attempt, start, wanted, searched):
        found = False
        for line in _in_stretch(stretch, start, wanted):
            found = True
            yield Hit(attempt.job_id, attempt.job.name, attempt.number, attempt.pk, line)
        searched.bytes += stretch.size
        searched.place = Place(attempt.pk, stretch.first_line + stretch.lines - 1)
        if not found:
            yield None


def _worth_reading(attempt: Attempt, start: int, wanted: Wanted, searched: Searched) -> Iterator[Stretch]:
    if not attempt.log_object:
        yield from stretches(attempt.pk, start)
        return
    sealed = vault.opened(attempt)
    rows = sealed.from_line(start)
    worth = _candidates(sealed, rows, wanted)
    for row, read in zip(rows, worth, strict=True):
        if read:
            yield of_row(sealed, row)
        else:
            searched.passed_over_bytes += row.bytes


def _candidates(sealed: Sealed, rows: list[Row], wanted: Wanted) -> list[bool]:
    timely = [_is_timely(row, wanted) for row in rows]
    if not wanted.query.needles or not any(timely):
        return timely
    filters = list(sealed.filters())[len(sealed.rows) - len(rows) :]
    return [both[0] and both[1] for both in zip(timely, grams.may_hold(filters, wanted.query.needles), strict=True)]


def _is_timely(row: Row, wanted: Wanted) -> bool:
    early = wanted.until is not None and row.least_us >= wanted.until.timestamp() * 1_000_000
    late = wanted.since is not None and row.most_us < wanted.since.timestamp() * 1_000_000
    return not (early or late)


def _in_stretch(stretch: Stretch, start: int, wanted: Wanted) -> Iterator[StoredLine]:
    """The lines of it that match. Its index is read only if there is one."""
    places = wanted.query.places(stretch.read_data())
    place = next(places, None)
    if place is None:
        return
    end, start = 0, max(start, stretch.begin)
    for line in unpack(*stretch.read(), stretch.first_line):
        end += len(line.data)
        if place >= end:
            continue
        if line.n >= start and _is_wanted(line, wanted):
            yield line
        while place is not None and place < end:
            place = next(places, None)
        if place is None:
            return


def _is_wanted(line: StoredLine, wanted: Wanted) -> bool:
    if wanted.stream and line.stream != wanted.stream:
        return False
    seconds = line.at_ns / 1e9
    since, until = wanted.since, wanted.until
    return not (since and seconds < since.timestamp()) and not (until and seconds >= until.timestamp())
