"""The output file: records of one stream each, as the shim appends them. Shared with the shim.

A record is a header (stream, time in ns, length) and that many bytes: whole lines, or, of a line longer than `PIECE`,
one piece. So a reader never has to remember a half line, and a position in the file is all a cursor needs. The price:
of a line not yet ended nothing is on disk, so what was printed without a newline is lost when the shim itself is killed
(as what lies in a pipe is).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

HEADER = struct.Struct("<BQI")
STREAMS = {1: "stdout", 2: "stderr"}
PIECE = 1024 * 1024


class RecordWriter:
    """Appends to the output file. A record that did not fit on the disk is the last, and readers wait for its end."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def append(self, stream: int, at_ns: int, data: bytes | bytearray | memoryview) -> None:
        record = HEADER.pack(stream, at_ns, len(data)) + data
        written = os.write(self.fd, record)
        while written < len(record):
            written += os.write(self.fd, memoryview(record)[written:])

    def close(self) -> None:
        os.fdatasync(self.fd)
        os.close(self.fd)


class LineJoiner:
    """One stream on its way to the file: gives out whole lines, holds back the one not yet ended."""

    def __init__(self) -> None:
        self.held = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces ready to be stored now; together with what is held, exactly what was fed."""
        end = chunk.rfind(b"\n") + 1
        self.held += chunk[:end] if end else chunk
        yield from self._overlong()
        if end:
            yield self.flush()
            self.held += chunk[end:]

    def flush(self) -> bytes:
        ready = bytes(self.held)
        self.held.clear()
        return ready

    def _overlong(self) -> Iterator[bytes]:
        while len(self.held) >= PIECE and self.held.find(b"\n", 0, PIECE) < 0:
            yield bytes(self.held[:PIECE])
            del self.held[:PIECE]
