"""How lines lie in a chunk: their bytes one after another, and an index of one fixed-size entry a line. Pure.

A line longer than a driver's piece limit is stored as several numbered lines, of which only the last ends in a newline.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

ENTRY = struct.Struct("<qIB")
ENTRIES = np.dtype([("at_ns", "<i8"), ("length", "<u4"), ("stream", "u1")])  # an index as an array
STREAMS = ("stdout", "stderr", "unknown")  # unknown: the runtime does not tell them apart


@dataclass(frozen=True)
class StoredLine:
    n: int  # from 1
    at_ns: int
    stream: str
    data: bytes

    @property
    def text(self) -> str:
        """For show: without the newline, and with what is not UTF-8 replaced."""
        return self.data.removesuffix(b"\n").decode("utf-8", "replace")

    @property
    def time(self) -> str:
        """RFC 3339 in UTC, to the microsecond."""
        seconds, nanos = divmod(self.at_ns, 1_000_000_000)
        return (
            datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000).isoformat().replace("+00:00", "Z")
        )

    def as_json(self) -> dict[str, Any]:
        return {"n": self.n, "time": self.time, "stream": self.stream, "text": self.text}


def pack(lines: Iterable[tuple[bytes, str, int]]) -> tuple[bytes, bytes, int]:
    """(data, stream, at_ns) of each line → (bytes, index, how many)."""
    data = bytearray()
    index = bytearray()
    for piece, stream, at_ns in lines:
        data += piece
        index += ENTRY.pack(at_ns, len(piece), STREAMS.index(stream))
    return bytes(data), bytes(index), len(index) // ENTRY.size


def unpack(data: bytes, index: bytes, first_line: int, start: int = 1) -> Iterator[StoredLine]:
    """The lines from number `start` on."""
    skipped = max(0, start - first_line)
    offset = int(np.frombuffer(index, ENTRIES)["length"][:skipped].sum()) if skipped else 0
    rest = memoryview(index)[skipped * ENTRY.size :]
    for n, (at_ns, length, stream) in enumerate(ENTRY.iter_unpack(rest), first_line + skipped):
        yield StoredLine(n, at_ns, STREAMS[stream], data[offset : offset + length])
        offset += length
