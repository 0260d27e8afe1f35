"""How many lines of a log were written when: counted over equal stretches of time. Only indexes are read, never the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.models import LogChunk

from .records import ENTRIES
from .sealed import Row, Sealed
from .squeezing import expand
from .stretches import of_object

EXACT_LINES = 2_000_000  # behind so many, lines are taken to lie evenly within their block


@dataclass(frozen=True)
class Bucket:
    """Lines of one stretch of time: how many, and the number of the first."""

    place: int
    lines: int
    first_line: int


@dataclass(frozen=True)
class Density:
    """`whole`: every line is counted. Of a very long log that is still in the database, the last are not."""

    buckets: list[Bucket]
    whole: bool


def density(attempt_id: int, begin_ns: int, step_ns: int, count: int, exact: int = EXACT_LINES) -> Density:
    """Stretches with a line in them, of `count` that are `step_ns` long each; what lies outside is in the outermost.

    After `exact` lines the rest is not looked at one by one. Raises `vault.Unreadable`.
    """
    lines = np.zeros(count, "i8")
    first = np.full(count, np.iinfo("i8").max)
    seen = 0
    for first_line, times in _times(attempt_id, exact):
        seen += len(times)
        places = np.clip((times - begin_ns) // step_ns, 0, count - 1)
        np.add.at(lines, places, 1)
        np.minimum.at(first, places, first_line + np.arange(len(times)))
    found = [Bucket(int(place), int(lines[place]), int(first[place])) for place in np.flatnonzero(lines)]
    return Density(found, seen < exact or of_object(attempt_id) is not None)


def _times(attempt_id: int, exact: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(number of the first, when each was written) by stretches."""
    if sealed := of_object(attempt_id):
        yield from _of_object(sealed, exact)
        return
    seen = 0
    chunks = LogChunk.objects.filter(attempt_id=attempt_id).order_by("first_line")
    for first_line, index in chunks.values_list("first_line", "index").iterator(64):
        times = np.frombuffer(expand(bytes(index)), ENTRIES)["at_ns"]
        yield first_line, times
        seen += len(times)
        if seen >= exact:
            return


def _of_object(sealed: Sealed, exact: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    seen = 0
    for row in sealed.rows:
        yield row.first_line, _evenly(row) if seen >= exact else _exactly(sealed, row)
        seen += row.lines


def _exactly(sealed: Sealed, row: Row) -> NDArray[np.int64]:
    times: NDArray[np.int64] = np.frombuffer(sealed.index(row), ENTRIES)["at_ns"]
    return times


def _evenly(row: Row) -> NDArray[np.int64]:
    return np.linspace(row.least_us, row.most_us, row.lines).astype("i8") * 1000
