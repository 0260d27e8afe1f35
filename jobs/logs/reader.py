"""Reading a stored log by line number. Never more in memory than a page of chunks."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.models import LogChunk

from .records import StoredLine, unpack
from .squeezing import expand

PAGE_CHUNKS = 16
PAGE_BYTES = 4 * 1024 * 1024


def read_lines(
    attempt_id: int, *, start: int = 1, limit: int | None = None, stream: str | None = None
) -> Iterator[StoredLine]:
    """Stored lines from number `start` on, at most `limit` of them, of one stream or both."""
    left = limit
    for chunk in _chunks_from(attempt_id, start):
        for line in unpack(expand(chunk.data), expand(chunk.index), chunk.first_line):
            if line.n < start or (stream and line.stream != stream):
                continue
            if left is not None and left <= 0:
                return
            yield line
            left = left - 1 if left is not None else None


def read_page(attempt_id: int, *, start: int, limit: int, stream: str | None = None) -> tuple[list[StoredLine], bool]:
    """At most `limit` lines and about PAGE_BYTES, at least one line; and whether that cut it short of what is stored."""
    page: list[StoredLine] = []
    size = 0
    for line in read_lines(attempt_id, start=start, stream=stream):
        page.append(line)
        size += len(line.data)
        if len(page) >= limit or size >= PAGE_BYTES:
            return page, True
    return page, False


def read_bytes(attempt_id: int, *, start: int = 1) -> Iterator[bytes]:
    """The exact bytes from line `start` on, in pieces."""
    for chunk in _chunks_from(attempt_id, start):
        if chunk.first_line >= start:
            yield expand(chunk.data)
        else:
            lines = unpack(expand(chunk.data), expand(chunk.index), chunk.first_line)
            yield b"".join(line.data for line in lines if line.n >= start)


def tail_start(attempt_id: int, total_lines: int, count: int, stream: str | None = None) -> int:
    """The number of the first of the last `count` lines (of that stream)."""
    if stream is None:
        return max(1, total_lines - count + 1)
    found: list[int] = []
    for chunk in LogChunk.objects.filter(attempt_id=attempt_id).order_by("-first_line").iterator(PAGE_CHUNKS):
        lines = unpack(expand(chunk.data), expand(chunk.index), chunk.first_line)
        found += sorted((line.n for line in lines if line.stream == stream), reverse=True)
        if len(found) >= count:
            break
    return found[:count][-1] if found and count else total_lines + 1


def _chunks_from(attempt_id: int, start: int) -> Iterator[LogChunk]:
    """Chunks holding line `start` and later, a page at a time: each page is a query of its own, nothing stays open."""
    chunks = LogChunk.objects.filter(attempt_id=attempt_id)
    # The one chunk that may hold the line, by the index: a follower at the end of a long log asks this many times a second.
    before = chunks.filter(first_line__lte=start).order_by("-first_line").values_list("first_line", "lines").first()
    after = before[0] if before and before[0] + before[1] > start else start
    while True:
        page = list(chunks.filter(first_line__gte=after).order_by("first_line")[:PAGE_CHUNKS])
        yield from page
        if len(page) < PAGE_CHUNKS:
            return
        after = page[-1].last_line + 1
