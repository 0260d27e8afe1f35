"""The engine's log stream taken apart: frames, stamps, lines. Pure and incremental.

With `timestamps=1` every frame is `[stream, 0, 0, 0, length:4]`, an RFC 3339 stamp, a blank, and at most 16 KiB of
output. A frame that does not end in a newline is a part of a longer line, or the very end of the output.

Written for speed where it says so: the engine sends one HTTP chunk and one frame for every line.
"""

from __future__ import annotations

from struct import Struct

from workers.drivers.docker import bulk
from workers.drivers.docker.cursor import Cursor
from workers.drivers.output import Batch, Line, Stream
from workers.drivers.protocol import Unreadable

PART_BYTES = 16 * 1024
PIECE_BYTES = 1024**2
NAMES: dict[int, Stream] = {1: "stdout", 2: "stderr"}
SYSTEM_ERROR = 3  # the engine's own words, never the container's
FEW = 16  # frames, for which arrays take longer than a loop
_length = Struct(">L").unpack_from


class Frames:
    """Frames to lines. `feed` gives the lines that are complete, `flush` what stands without a newline at the end.

    `loses_newlines`: of an engine before 23, which with the `local` log driver leaves out the newline of every line of
    more than one part. A part that is not full ends such a line; if it is the very end of the output, nothing tells
    whether there was a newline, and we take it that there was.

    `size`: at most so many bytes the engine had stored before what is fed first, see `Cursor`. `trouble`: the engine's
    words when it said in the stream that it cannot read its log; nothing comes behind them.
    """

    def __init__(self, *, loses_newlines: bool = False, size: int | None = 0) -> None:
        self._loses_newlines = loses_newlines
        self._rest = b""
        self._stdout = _Gluing(1)
        self._stderr = _Gluing(2)
        self._second = b""
        self._second_ns = 0
        self._size = size
        self.trouble: Unreadable | None = None
        self.oldest_ns: int | None = None  # stamp of the first message
        self.newest: tuple[int, int] | None = None  # stream and stamp of the last message, which may be a part

    def feed(self, data: bytes) -> Batch | None:
        data = self._rest + data
        starts, end = self._walk(data)
        self._rest = data[end:]
        if not starts:
            return None
        if self.oldest_ns is None:
            self.oldest_ns = self._stamp(data, starts[0])[0]
        if self._size is not None:
            self._size += stored_most(end)
        batch = None
        if len(starts) >= FEW and not self._stdout.open and not self._stderr.open:
            batch = self._whole_lines(data, starts, end)
        if batch is None:
            batch = self._one_by_one(data, starts, end)
        return batch

    def flush(self) -> Batch | None:
        """The unfinished last lines, oldest first. Only right when the container is over and its log was read out."""
        unfinished = [gluing for gluing in (self._stdout, self._stderr) if gluing.parts]
        unfinished.sort(key=lambda gluing: gluing.begun_ns)
        return Batch.of([self._line(gluing) for gluing in unfinished]) if unfinished else None

    def _walk(self, data: bytes) -> tuple[list[int], int]:
        """Where the complete frames begin, and where the last of them ends."""
        size, start = len(data), 0
        starts: list[int] = []
        while start + 8 <= size and self.trouble is None:
            end = start + 8 + _length(data, start + 4)[0]
            if end > size:
                break
            if data[start] == SYSTEM_ERROR:
                self.trouble = Unreadable(data[start + 8 : end].decode(errors="replace").strip())
                break
            starts.append(start)
            start = end
        return starts, start

    def _whole_lines(self, data: bytes, starts: list[int], end: int) -> Batch | None:
        found = bulk.whole_lines(data, starts, end)
        if found is None:
            return None
        block, index = found
        before = {one.stream: (one.last_ns, one.ordinal) for one in (self._stdout, self._stderr)}
        size = self._size

        def cursor_at(number: int) -> str:
            stream = int(index[number]["stream"]) + 1
            ordinal = bulk.ordinal_at(index, number, before[stream])
            return str(Cursor(stream, int(index[number]["at_ns"]), ordinal, size=size))

        for gluing in (self._stdout, self._stderr):
            if (last := bulk.last_of(index, gluing.stream)) is not None:
                gluing.ordinal = bulk.ordinal_at(index, last, before[gluing.stream])
                gluing.last_ns = int(index[last]["at_ns"])
        self.newest = int(index[-1]["stream"]) + 1, int(index[-1]["at_ns"])
        return Batch(block, cursor_at(len(starts) - 1), cursor_at)

    def _one_by_one(self, data: bytes, starts: list[int], end: int) -> Batch | None:
        lines: list[Line] = []
        for start, following in zip(starts, [*starts[1:], end], strict=True):
            at_ns, begun = self._stamp(data, start)
            self._add(lines, data[start], at_ns, data[begun:following])
            self.newest = data[start], at_ns
        return Batch.of(lines) if lines else None

    def _add(self, lines: list[Line], stream: int, at_ns: int, data: bytes) -> None:
        gluing, other = (self._stderr, self._stdout) if stream == 2 else (self._stdout, self._stderr)
        gluing.ordinal = gluing.ordinal + 1 if at_ns == gluing.last_ns else 1
        gluing.last_ns = at_ns
        ended = data.endswith(b"\n")
        if ended and not gluing.open and not other.open:  # nearly every line
            cursor = Cursor(stream, at_ns, gluing.ordinal, size=self._size)
            lines.append(Line(data, gluing.name, at_ns, str(cursor)))
            return
        if self._loses_newlines and gluing.open and not ended and len(data) < PART_BYTES:
            data, ended = data + b"\n", True
        gluing.take(at_ns, data)
        if ended or gluing.size >= PIECE_BYTES:
            lines.append(self._line(gluing))

    def _line(self, gluing: _Gluing) -> Line:
        data, at_ns = gluing.cut()
        other = self._stdout if gluing is self._stderr else self._stderr
        unfinished = min((one.begun_ns for one in (gluing, other) if one.open), default=None)
        cursor = Cursor(gluing.stream, gluing.last_ns, gluing.ordinal, unfinished, self._size)
        return Line(data, gluing.name, at_ns, str(cursor))

    def _stamp(self, data: bytes, start: int) -> tuple[int, int]:
        """Of the frame that begins at `start`, and where its output begins."""
        blank = data.index(b" ", start + 8)
        stamp = data[start + 8 : blank]
        # Most stamps share their second with the one before.
        if stamp[:19] != self._second:
            self._second = stamp[:19]
            self._second_ns = bulk.second_of(self._second) * 1_000_000_000
        fraction = stamp[20:-1]
        return self._second_ns + int(fraction if len(fraction) == 9 else fraction.ljust(9, b"0")), blank + 1


def stored_most(frames_bytes: int) -> int:
    """What the engine's `local` driver needs for these frames, at most: a whole line takes less than its frame, a part of
    a longer one up to 80 bytes more than its 16 KiB."""
    return frames_bytes + frames_bytes // 100 + 1


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
