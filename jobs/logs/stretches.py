"""A stored log as stretches of lines, wherever they lie: in chunks of the database, or, once packed, in the storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from jobs.models import Attempt, LogChunk

from . import vault
from .records import StoredLine, unpack
from .sealed import Row, Sealed
from .squeezing import expand

PAGE_CHUNKS = 16


@dataclass(frozen=True)
class Stretch:
    """Lines without a hole, of which those before `begin` are somebody else's. `read` fetches them: (data, index)."""

    first_line: int
    lines: int
    size: int  # bytes of output
    read: Callable[[], tuple[bytes, bytes]]
    read_data: Callable[[], bytes]
    begin: int = 1

    def from_line(self, start: int = 1) -> Iterator[StoredLine]:
        data, index = self.read()
        return unpack(data, index, self.first_line, max(start, self.begin))

    def data_from(self, start: int) -> bytes:
        """The exact bytes of those of its lines."""
        if max(start, self.begin) <= self.first_line:
            return self.read_data()
        return b"".join(line.data for line in self.from_line(start))


def stretches(attempt_id: int, start: int = 1) -> Iterator[Stretch]:
    """Those that hold line `start` and later ones. Raises `vault.Unreadable`.

    Each page of chunks is a query of its own, nothing stays open. Whoever packs the log meanwhile names the object
    first and then takes the chunks away from behind: behind a page that is short, it goes on in the object.
    """
    last = start - 1
    for last, stretch in _chunks(attempt_id, start):  # noqa: B007 - where it ended is what we need
        yield stretch
    if sealed := of_object(attempt_id):
        yield from (of_row(sealed, row, last + 1) for row in sealed.from_line(last + 1))


def backwards(attempt_id: int) -> Iterator[Stretch]:
    """All of them, the last first."""
    if sealed := of_object(attempt_id):
        yield from (of_row(sealed, row) for row in reversed(sealed.rows))
        return
    for chunk in LogChunk.objects.filter(attempt_id=attempt_id).order_by("-first_line").iterator(PAGE_CHUNKS):
        yield _of_chunk(chunk)


def place_of(attempt_id: int, offset: int) -> tuple[int, int]:
    """(line, its offset) where a stretch begins that holds the byte at `offset` of what is stored, or one before it."""
    if sealed := of_object(attempt_id):
        row = next(iter(sealed.from_offset(offset)), None)
        return (row.first_line, row.first_offset) if row else (1, 0)
    line, begins, ends = 1, 0, 0
    chunks = LogChunk.objects.filter(attempt_id=attempt_id).order_by("first_line")
    for first_line, size in chunks.values_list("first_line", "bytes").iterator():
        line, begins, ends = first_line, ends, ends + size
        if ends > offset:
            break
    return line, begins


def of_object(attempt_id: int) -> Sealed | None:
    """None: the log is not packed. Raises `vault.Unreadable`."""
    attempt = Attempt.objects.only("log_object", "log_object_bytes").get(pk=attempt_id)
    return vault.opened(attempt) if attempt.log_object else None


def _chunks(attempt_id: int, start: int) -> Iterator[tuple[int, Stretch]]:
    """Each with the number of its last line."""
    chunks = LogChunk.objects.filter(attempt_id=attempt_id)
    after = _first_from(chunks, start)
    while True:
        page = list(chunks.filter(first_line__gte=after).order_by("first_line")[:PAGE_CHUNKS])
        for chunk in page:
            yield chunk.last_line, _of_chunk(chunk)
        if len(page) < PAGE_CHUNKS:
            return
        after = page[-1].last_line + 1


def _first_from(chunks: QuerySet[LogChunk], start: int) -> int:
    """The first line of the one chunk that may hold the line, by the index: a follower at the end of a long log asks this
    many times a second.
    """
    before = chunks.filter(first_line__lte=start).order_by("-first_line").values_list("first_line", "lines").first()
    return before[0] if before and before[0] + before[1] > start else start


def _of_chunk(chunk: LogChunk) -> Stretch:
    def data() -> bytes:
        return expand(chunk.data)

    return Stretch(chunk.first_line, chunk.lines, chunk.bytes, lambda: (data(), expand(chunk.index)), data)


def of_row(sealed: Sealed, row: Row, begin: int = 1) -> Stretch:
    return Stretch(row.first_line, row.lines, row.bytes, lambda: sealed.read(row), lambda: sealed.data(row), begin)
