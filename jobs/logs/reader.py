"""Reading a stored log by line number or by offset. Never more in memory than a page of it."""

from __future__ import annotations

from collections.abc import Iterator

from .records import StoredLine
from .stretches import backwards, place_of, stretches

PAGE_BYTES = 4 * 1024 * 1024


def read_lines(
    attempt_id: int, *, start: int = 1, limit: int | None = None, stream: str | None = None
) -> Iterator[StoredLine]:
    """Stored lines from number `start` on, at most `limit` of them, of one stream or both."""
    left = limit
    for stretch in stretches(attempt_id, start):
        for line in stretch.from_line(start):
            if stream and line.stream != stream:
                continue
            if left is not None and left <= 0:
                return
            yield line
            left = left - 1 if left is not None else None
        if left == 0:
            return


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
    for stretch in stretches(attempt_id, start):
        yield stretch.data_from(start)


def read_range(attempt_id: int, first: int, size: int) -> Iterator[bytes]:
    """So many of the exact bytes from offset `first` on, from 0, of what is stored."""
    line, offset = place_of(attempt_id, first)
    left = size
    for stretch in stretches(attempt_id, line):
        data = stretch.data_from(line)
        piece = data[max(0, first - offset) :][:left]
        offset += len(data)
        left -= len(piece)
        yield piece
        if left <= 0:
            return


def tail_start(attempt_id: int, total_lines: int, count: int, stream: str | None = None) -> int:
    """The number of the first of the last `count` lines (of that stream)."""
    if stream is None:
        return max(1, total_lines - count + 1)
    found: list[int] = []
    for stretch in backwards(attempt_id):
        found += sorted((line.n for line in stretch.from_line() if line.stream == stream), reverse=True)
        if len(found) >= count:
            break
    return found[:count][-1] if found and count else total_lines + 1
