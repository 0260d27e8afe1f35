"""The log of a container with a terminal: the engine sends it without frames. This puts them back. Pure and incremental.

Each message is a stamp, a blank, and output up to a newline or, of a longer line, 16 KiB of it.
"""

from __future__ import annotations

import re
from struct import Struct

from workers.drivers.docker.frames import PART_BYTES

STAMP_MOST = 40
STDOUT = 1  # a terminal has but one stream
_frame = Struct(">BxxxL").pack
# Of an engine that leaves out the newline behind a line of several parts: what then stands right behind the terminal's CR.
_STAMP = re.compile(rb"\r(?=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z )")


class Terminal:
    """Messages to frames. `feed` gives those that are complete, `flush` what stands without a newline at the end.

    `loses_newlines`: see `Frames`. Then the last part of a long line ends where a stamp follows a CR; it is looked for
    only there, so that a program can't forge the stamp of an ordinary line.
    """

    def __init__(self, *, loses_newlines: bool = False) -> None:
        self._loses_newlines = loses_newlines
        self._rest = b""
        self._amid = True  # of a line that may have begun before what is read

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        frames, start = [], 0
        while (end := self._end_of(data, start)) is not None:
            message = data[start:end]
            frames += [_frame(STDOUT, len(message)), message]
            self._amid = len(message) >= PART_BYTES and not message.endswith(b"\n")
            start = end
        self._rest = data[start:]
        return b"".join(frames)

    def flush(self) -> bytes:
        message, self._rest = self._rest, b""
        return _frame(STDOUT, len(message)) + message if message else b""

    def _end_of(self, data: bytes, start: int) -> int | None:
        """Where the message that begins there ends. None: not all of it is there."""
        blank = data.find(b" ", start, start + STAMP_MOST)
        if blank < 0:
            return None
        most = blank + 1 + PART_BYTES
        newline = data.find(b"\n", blank, most)
        if self._loses_newlines and self._amid and (found := _STAMP.search(data, blank, most)):
            return min(found.end(), newline + 1) if newline >= 0 else found.end()
        if newline >= 0:
            return newline + 1
        return most if len(data) >= most else None
