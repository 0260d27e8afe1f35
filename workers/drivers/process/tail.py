"""Reading a job's output file from a cursor on. A cursor is `<record>+<bytes of it already given>`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from workers.drivers.output import Batch, Line, Stream
from workers.drivers.process.records import HEADER, STREAMS

READ_BYTES = 4 * 1024 * 1024  # more than the largest record


class Tail:
    """A position in the file, moving on. Close it."""

    def __init__(self, path: Path, after: str | None) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        record, _, given = (after or "0+0").partition("+")
        self.record = int(record)
        self.given = int(given)

    def close(self) -> None:
        os.close(self.fd)

    def batches(self) -> Iterator[Batch]:
        """All that is complete in the file now."""
        before = -1
        while before != self.record:
            before = self.record
            lines = list(self._lines_of(os.pread(self.fd, READ_BYTES, self.record)))
            if lines:
                yield Batch.of(lines)

    def _lines_of(self, block: bytes) -> Iterator[Line]:
        """Those of the whole records in `block`; a record that is still being written waits."""
        at, base = 0, self.record
        while at + HEADER.size <= len(block):
            stream, at_ns, length = HEADER.unpack_from(block, at)
            end = at + HEADER.size + length
            if end > len(block):
                break
            data = block[at + HEADER.size : end]
            yield from self._split(data, cast(Stream, STREAMS[stream]), at_ns, base + end)
            at, self.record, self.given = end, base + end, 0

    def _split(self, data: bytes, stream: Stream, at_ns: int, following: int) -> Iterator[Line]:
        start = self.given
        while start < len(data):
            end = data.find(b"\n", start) + 1 or len(data)
            cursor = f"{self.record}+{end}" if end < len(data) else f"{following}+0"
            yield Line(data[start:end], stream, at_ns, cursor)
            start = end
