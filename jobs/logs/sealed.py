"""The file that a finished log is kept in. Pure: bytes in, bytes out.

    TOWLOG1\\n · block · block · … · filters · table · trailer

A block is about a MiB of output, compressed, and behind it its lines (times, lengths, streams), compressed. The table has
a row for each block; a filter each says what the block does not hold (see `grams`). Whoever has read the trailer, the last
bytes of the file, finds the rest: any line or byte costs one block. Times are kept to the microsecond.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import grams
from .records import ENTRIES
from .squeezing import KEPT_LEVEL, expand, squeeze

MAGIC = b"TOWLOG1\n"
BLOCK_BYTES = 1024**2
BLOCK_LINES = 65_536
_TRAILER = struct.Struct("<QQQQ8s")
_ROW = np.dtype(
    [
        ("at", "<u8"),
        ("data", "<u4"),  # compressed
        ("index", "<u4"),  # compressed
        ("filter", "<u4"),
        ("first_line", "<u8"),
        ("lines", "<u4"),
        ("first_offset", "<u8"),
        ("bytes", "<u4"),
        ("first_us", "<i8"),
        ("least_us", "<i8"),
        ("most_us", "<i8"),
    ]
)


class Broken(Exception):
    """Not such a file, or not whole."""


@dataclass(frozen=True)
class Row:
    """What the table says of one block. Times in microseconds since the epoch."""

    at: int
    data: int
    index: int
    filter: int
    first_line: int
    lines: int
    first_offset: int
    bytes: int
    first_us: int
    least_us: int
    most_us: int


class Writer:
    """Writes blocks as they are added, and the rest with `finish`. Nothing but the table stays in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = self._write(MAGIC)
        self._offset = 0
        self._rows: list[tuple[int, ...]] = []
        self._filters: list[bytes] = []

    def add(self, first_line: int, data: bytes, index: bytes) -> None:
        """`index` as `records.pack` makes it."""
        entries = np.frombuffer(index, ENTRIES)
        times = entries["at_ns"] // 1000
        body, lines = squeeze(data, KEPT_LEVEL), squeeze(_columns(entries, times), KEPT_LEVEL)
        known = grams.filter_of(data)
        self._rows.append(
            (
                *(self._at, len(body), len(lines), len(known), first_line, len(entries), self._offset, len(data)),
                *(int(times[0]), int(times.min()), int(times.max())),
            )
        )
        self._filters.append(known)
        self._at += self._write(body + lines)
        self._offset += len(data)

    def finish(self) -> int:
        """The size of the file."""
        filters, table = b"".join(self._filters), squeeze(np.array(self._rows, _ROW).tobytes(), KEPT_LEVEL)
        self._write(filters + table)
        trailer = _TRAILER.pack(self._at, len(filters), self._at + len(filters), len(table), MAGIC)
        self._write(trailer)
        return self._at + len(filters) + len(table) + len(trailer)

    def _write(self, data: bytes) -> int:
        self._file.write(data)
        return len(data)


class Sealed:
    """Reading such a file of `size` bytes by way of `fetch(start, length)`. Only the table stays in memory."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        try:
            *places, magic = _TRAILER.unpack(fetch(size - _TRAILER.size, _TRAILER.size))
            self._filters_at, self._filters_size, table_at, table_size = places
            if magic != MAGIC:
                raise Broken("it does not end as a sealed log does")
            table = np.frombuffer(expand(fetch(table_at, table_size)), _ROW)
        except (struct.error, ValueError) as error:
            raise Broken(str(error)) from error
        self.rows = [Row(*each) for each in table.tolist()]
        self._first_lines = [row.first_line for row in self.rows]
        self._first_offsets = [row.first_offset for row in self.rows]

    def from_line(self, line: int) -> list[Row]:
        """The rows of the blocks that hold it and those behind."""
        at = max(0, bisect_right(self._first_lines, line) - 1)
        if self.rows and self.rows[at].first_line + self.rows[at].lines <= line:
            at += 1
        return self.rows[at:]

    def from_offset(self, offset: int) -> list[Row]:
        return self.rows[max(0, bisect_right(self._first_offsets, offset) - 1) :]

    def data(self, row: Row) -> bytes:
        return expand(self._fetch(row.at, row.data))

    def read(self, row: Row) -> tuple[bytes, bytes]:
        """(data, index) as `records.unpack` takes them."""
        both = self._fetch(row.at, row.data + row.index)
        return expand(both[: row.data]), _entries(expand(both[row.data :]), row)

    def index(self, row: Row) -> bytes:
        """Without the output: its lines' times, lengths and streams."""
        return _entries(expand(self._fetch(row.at + row.data, row.index)), row)

    def filters(self) -> Iterator[memoryview]:
        """One for each row."""
        every = memoryview(self._fetch(self._filters_at, self._filters_size))
        start = 0
        for row in self.rows:
            yield every[start : start + row.filter]
            start += row.filter


def _columns(entries: NDArray[np.void], times: NDArray[np.int64]) -> bytes:
    """Alike beside alike, which compresses far better: steps in time, lengths, streams."""
    steps = np.diff(times, prepend=times[:1]).astype("<i8")
    return _shuffled(steps) + _shuffled(entries["length"].astype("<u4")) + _stream_bits(entries["stream"])


def _stream_bits(streams: NDArray[np.uint8]) -> bytes:
    """A bit a line; where there are more streams than two, the higher bits of all lines behind the lower ones."""
    high = np.packbits(streams >> 1).tobytes() if streams.max(initial=0) > 1 else b""
    return np.packbits(streams & 1).tobytes() + high


def _streams(bits: bytes, count: int) -> NDArray[np.uint8]:
    size = (count + 7) // 8
    low, high = (np.frombuffer(part, np.uint8) for part in (bits[:size], bits[size:]))
    streams = np.unpackbits(low, count=count)
    if high.size:
        streams |= np.left_shift(np.unpackbits(high, count=count), 1)
    return streams


def _entries(columns: bytes, row: Row) -> bytes:
    count = row.lines
    entries = np.empty(count, ENTRIES)
    steps = _unshuffled(columns[: 8 * count], "<i8")
    entries["at_ns"] = (np.cumsum(steps) + row.first_us) * 1000
    entries["length"] = _unshuffled(columns[8 * count : 12 * count], "<u4")
    entries["stream"] = _streams(columns[12 * count :], count)
    return entries.tobytes()


def _shuffled(column: NDArray[np.generic]) -> bytes:
    return column.view(np.uint8).reshape(-1, column.itemsize).T.tobytes()


def _unshuffled(column: bytes, kind: str) -> NDArray[np.generic]:
    size = np.dtype(kind).itemsize
    return np.ascontiguousarray(np.frombuffer(column, np.uint8).reshape(size, -1).T).view(kind).ravel()
