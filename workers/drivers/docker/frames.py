"""The engine's log stream taken apart: chunks, frames, stamps, lines. Pure and incremental.

With `timestamps=1` every frame is `[stream, 0, 0, 0, length:4]`, an RFC 3339 stamp, a blank, and at most 16 KiB of
output. A frame that does not end in a newline is a part of a longer line, or the very end of the output.

Written for speed where it says so: the engine sends one HTTP chunk and one frame for every line.
"""

from __future__ import annotations

from calendar import timegm
from struct import Struct
from time import strptime

from workers.drivers.protocol import Line, Stream, Unavailable

PART_BYTES = 16 * 1024
PIECE_BYTES = 1024**2
NAMES: dict[int, Stream] = {1: "stdout", 2: "stderr"}
SYSTEM_ERROR = 3  # the engine's own words, never the container's
_header = Struct(">BxxxL")


class Chunks:
    """HTTP/1.1 chunked transfer coding undone in bulk: http.client needs several calls for every line."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The payload of all chunks that are complete."""
        data = self._rest + data
        payload = []
        start = 0
        while (line := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:line], 16)
            end = line + 2 + size
            if end + 2 > len(data):
                break
            payload.append(data[line + 2 : end])
            start = end + 2
            self.ended = self.ended or size == 0
        self._rest = data[start:]
        return b"".join(payload)


class Frames:
    """Frames to lines. `feed` gives the lines that are complete, `flush` what stands without a newline at the end.

    `loses_newlines`: of an engine before 23, which with the `local` log driver leaves out the newline of every line of
    more than one part. A part that is not full ends such a line; if it is the very end of the output, nothing tells
    whether there was a newline, and we take it that there was.
    """

    def __init__(self, *, loses_newlines: bool = False) -> None:
        self._loses_newlines = loses_newlines
        self._rest = b""
        self._stdout = _Gluing(1)
        self._stderr = _Gluing(2)
        self._second = b""
        self._second_ns = 0

    def feed(self, data: bytes) -> list[Line]:
        """Raises `Unavailable` with the engine's words when it says in the stream that it could not read the log."""
        data = self._rest + data
        size = len(data)
        lines: list[Line] = []
        start = 0
        while start + 8 <= size:
            stream, length = _header.unpack_from(data, start)
            end = start + 8 + length
            if end > size:
                break
            if stream == SYSTEM_ERROR:
                raise Unavailable(data[start + 8 : end].decode(errors="replace").strip())
            blank = data.index(b" ", start + 8, end)
            at_ns = self._nanoseconds(data[start + 8 : blank])
            self._add(lines, stream, at_ns, data[blank + 1 : end])
            start = end
        self._rest = data[start:]
        return lines

    def flush(self) -> list[Line]:
        """The unfinished last lines, oldest first. Only right when the container is over and its log was read out."""
        unfinished = [gluing for gluing in (self._stdout, self._stderr) if gluing.parts]
        unfinished.sort(key=lambda gluing: gluing.begun_ns)
        return [self._line(gluing) for gluing in unfinished]

    def _add(self, lines: list[Line], stream: int, at_ns: int, data: bytes) -> None:
        gluing, other = (self._stderr, self._stdout) if stream == 2 else (self._stdout, self._stderr)
        gluing.ordinal = gluing.ordinal + 1 if at_ns == gluing.last_ns else 1
        gluing.last_ns = at_ns
        ended = data.endswith(b"\n")
        if ended and not gluing.open and not other.open:  # nearly every line
            lines.append(Line(data, gluing.name, at_ns, f"{stream}:{at_ns}:{gluing.ordinal}"))
            return
        if self._loses_newlines and gluing.open and not ended and len(data) < PART_BYTES:
            data, ended = data + b"\n", True
        gluing.take(at_ns, data)
        if ended or gluing.size >= PIECE_BYTES:
            lines.append(self._line(gluing))

    def _line(self, gluing: _Gluing) -> Line:
        data, at_ns = gluing.cut()
        other = self._stdout if gluing is self._stderr else self._stderr
        cursor = f"{gluing.stream}:{gluing.last_ns}:{gluing.ordinal}"
        if unfinished := [one.begun_ns for one in (gluing, other) if one.open]:
            cursor = f"{cursor}:{min(unfinished)}"
        return Line(data, gluing.name, at_ns, cursor)

    def _nanoseconds(self, stamp: bytes) -> int:
        # Most stamps share their second with the one before.
        if stamp[:19] != self._second:
            self._second = stamp[:19]
            self._second_ns = timegm(strptime(stamp[:19].decode(), "%Y-%m-%dT%H:%M:%S")) * 1_000_000_000
        fraction = stamp[20:-1]
        return self._second_ns + int(fraction if len(fraction) == 9 else fraction.ljust(9, b"0"))


class _Gluing:
    """One stream: the parts of the line that is not complete yet, and the place of the last message."""

    __slots__ = ("begun_ns", "last_ns", "name", "open", "ordinal", "parts", "size", "stream")

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.name = NAMES[stream]
        self.parts: list[bytes] = []
        self.size = 0
        self.open = False
        self.begun_ns = 0
        self.last_ns = 0
        self.ordinal = 0

    def take(self, at_ns: int, data: bytes) -> None:
        if not self.open:
            self.begun_ns = at_ns
            self.open = True
        self.parts.append(data)
        self.size += len(data)

    def cut(self) -> tuple[bytes, int]:
        data = b"".join(self.parts)
        self.parts.clear()
        self.size = 0
        self.open = not data.endswith(b"\n")
        return data, self.begun_ns
