"""The kubelet's answer taken apart: stamps, lines, pieces of long lines, cursors. Pure and incremental.

Each line begins with a stamp that the kubelet puts there, so what the program says stands behind one, whatever it looks like.
What stands at the beginning of a line without a stamp is the kubelet's own word, written into the answer when it could no
longer send a status. A line longer than 16 KiB lies in parts in the kubelet's file; it serves them joined, with the
first one's stamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.logs.block import Block
from jobs.logs.records import ENTRIES, STREAMS
from workers.drivers.kubernetes.cursor import Cursor, digest_of
from workers.drivers.kubernetes.flood import Flood
from workers.drivers.kubernetes.stamps import STAMP_MOST, stamp_of, stamps_of
from workers.drivers.output import Batch, Line, Stream

PIECE_BYTES = 1024**2
PART_BYTES = 16 * 1024  # in which the runtime stores a long line
RACE_NS = 100_000_000  # two streams are stored out of the order of their stamps by less
FEW = 16  # lines, for which arrays take longer than a loop


@dataclass(frozen=True)
class _Open:
    """A line of which pieces are out already."""

    at_ns: int
    digest: str
    offset: int


class Lines:
    """Bytes to batches. `feed` gives what is complete behind `after`, `finish` what stands without a newline at the end.

    `whole`: what is fed begins where the kubelet's file does. Otherwise it begins anywhere, maybe amid lines with one stamp.
    `found`: the line of `after` has come; nothing is given before it has. `seen`: how many lines have come. `trouble`: the
    kubelet's words, where it spoke; nothing comes behind them. `live`: a kubelet that follows its log across two rotations
    may serve the second file twice. So where stamps fall it is `suspect`, and nothing behind that is given. `alone`: the other
    stream is left out, and a stamp between two parts of a line is the kubelet's.
    """

    def __init__(
        self,
        stream: Stream,
        after: Cursor | None = None,
        *,
        whole: bool = True,
        live: bool = False,
        alone: bool = False,
    ) -> None:
        self._stream = stream
        self._after = after
        self._anchored = whole  # ordinals count: the first of the lines with the last stamp was seen
        self._cut = not whole
        self._parts: list[bytes] = []
        self._held = 0
        self._open: _Open | None = None
        self._size = after.size if after else 0
        self._last_ns = -1
        self._ordinal = 0
        self.found = after is None
        self.seen = 0
        self.trouble = ""
        self.suspect = False
        self._live = live
        self._alone = alone

    def feed(self, data: bytes) -> Batch | None:
        if self.trouble or self.suspect:
            return None
        self._parts.append(data)
        self._held += len(data)
        if b"\n" not in data and self._held < PIECE_BYTES + STAMP_MOST:
            return None
        data = self._uncut(self.rest) if self._cut else self.rest
        end = data.rfind(b"\n") + 1
        whole, begun = self._complete(data[:end]), self._begun(data[end:])
        return _together(whole, begun) if whole and begun else whole or begun

    def last_word(self) -> str:
        """The kubelet's, when the answer is over: it ends without a newline."""
        rest = self.rest
        if not self.trouble and rest and self._open is None and stamp_of(rest) is None:
            self._distrust(rest)
        return self.trouble

    def finish(self) -> Batch | None:
        """The unfinished last line. Only right when the container is over and its log was read out."""
        rest = self.rest
        self._hold(b"")
        return self._one_by_one([rest]) if rest and not self.trouble else None

    @property
    def rest(self) -> bytes:
        return b"".join(self._parts)

    def _distrust(self, words: bytes) -> None:
        self.trouble = words.decode(errors="replace").strip()
        self._hold(b"")

    def _hold(self, rest: bytes) -> None:
        self._parts, self._held = [rest] if rest else [], len(rest)

    def _uncut(self, data: bytes) -> bytes:
        """Without the first line, which may be the rest of a long one: that looks like a line, and is no place."""
        line, newline, behind = data.partition(b"\n")
        if not newline:
            return line[:STAMP_MOST]
        self._cut = False
        self.seen += 1
        if stamp_of(line) is None:
            self._distrust(line)
        return behind

    def _complete(self, data: bytes) -> Batch | None:
        """All whole lines."""
        if not data or self.trouble:
            return None
        if self._open is None and (batch := self._many(data)) is not None:
            return batch if batch.block.index else None
        return self._one_by_one(data.split(b"\n")[:-1], b"\n")

    def _begun(self, data: bytes) -> Batch | None:
        """The beginning of a line: kept until it is complete, unless it is very long."""
        head = 0
        if self.trouble or self.suspect:
            return None
        if self._open is None and len(data) >= STAMP_MOST and (stamp := stamp_of(data)):
            head = stamp[1]
        cut = (len(data) - head) // PIECE_BYTES * PIECE_BYTES
        if not cut or (not head and self._open is None):
            self._hold(data)
            return None
        self._hold(data[head + cut :])
        return self._one_by_one([data[: head + cut]], ended=False)

    def _many(self, data: bytes) -> Batch | None:
        """With arrays: no step of Python for each line."""
        raw = np.frombuffer(data, np.uint8)
        ended = np.flatnonzero(raw == ord("\n")) + 1
        begun = np.concatenate(([0], ended[:-1]))
        if len(ended) < FEW or (ended - begun).max() > PIECE_BYTES:
            return None
        stamps = stamps_of(data, begun)
        if stamps is None or (ended - begun).min() <= stamps[1]:
            return None
        if self._alone and (ended - begun).max() > PART_BYTES:
            return None  # to look between its parts
        at_ns, width = stamps
        index = np.empty(len(begun), ENTRIES)
        index["at_ns"] = at_ns
        index["length"] = ended - begun - width
        index["stream"] = STREAMS.index(self._stream)
        output = np.ones(len(raw), np.bool_)
        output[begun[:, None] + np.arange(width)] = False
        block = Block(raw[output].tobytes(), index.tobytes())
        if self._live and (at_ns[:-1] - at_ns[1:]).max() > RACE_NS:
            return None  # to see where
        return self._behind_cursor(Flood(block, index, width, self._last_ns, self._ordinal))

    def _behind_cursor(self, flood: Flood) -> Batch | None:
        if self._falls(int(flood.index["at_ns"][0])):
            return _NOTHING
        skipped = self._search(flood, self._after) if self._after and not self.found else 0
        size = self._size - flood.served(skipped)
        last = len(flood.index) - 1
        self._anchored = self._anchored or flood.first_change(self._last_ns) <= last
        self._last_ns, self._ordinal = int(flood.index["at_ns"][last]), flood.ordinal_at(last)
        self.seen += last + 1
        if skipped > last:
            return _NOTHING
        self._size = size + flood.served(last + 1)
        cursor_at = flood.cursors(size)
        return Batch(flood.block, cursor_at(last), cursor_at).behind(skipped)

    def _falls(self, at_ns: int) -> bool:
        self.suspect = self._live and self.found and self._last_ns - at_ns > RACE_NS
        return self.suspect

    def _search(self, flood: Flood, after: Cursor) -> int:
        """How many lines are up to the cursor, its own with them; all, if that is not among them."""
        stamps = flood.index["at_ns"]
        first = 0 if self._anchored else flood.first_change(self._last_ns)
        for number in (np.flatnonzero(stamps[first:] == after.at_ns) + first).tolist():
            if Cursor.parse(flood.cursors(0)(number)).is_at(after):
                self.found = True
                return int(number) + 1
        return len(stamps)

    def _one_by_one(self, pieces: list[bytes], newline: bytes = b"", *, ended: bool = True) -> Batch | None:
        lines: list[Line] = []
        for piece in pieces:
            if not self._take(lines, piece + newline, ended=ended):
                break
        return Batch.of(lines) if lines else None

    def _take(self, lines: list[Line], data: bytes, *, ended: bool) -> bool:
        """One line, or what came of it. False: it is the kubelet's word."""
        if self._open is None:
            stamp = stamp_of(data)
            if stamp is None:
                self._distrust(data)
                return False
            at_ns, head = stamp
            if self._falls(at_ns):
                return False
            if self._alone and _is_torn(data[head:]):
                self._distrust(data)
                return False
            self._begin(at_ns, head)
            data = data[head:]
            self._open = _Open(at_ns, digest_of(data[:PIECE_BYTES]), 0)
        for first in range(0, len(data), PIECE_BYTES):
            piece = data[first : first + PIECE_BYTES]
            self._open = self._give(lines, self._open, piece, last=ended and first + PIECE_BYTES >= len(data))
        if ended:
            self._open = None
        return True

    def _begin(self, at_ns: int, head: int) -> None:
        if at_ns != self._last_ns:
            self._anchored = self._anchored or self._last_ns >= 0
            self._ordinal = 0
        self._ordinal += 1
        self._last_ns = at_ns
        self.seen += 1
        self._size += head if self.found else 0

    def _give(self, lines: list[Line], begun: _Open, piece: bytes, *, last: bool) -> _Open:
        offset = begun.offset + len(piece)
        self._size += len(piece) if self.found else 0
        place = Cursor(begun.at_ns, self._ordinal, begun.digest, 0 if last else offset, self._size)
        if self.found:
            lines.append(Line(piece, self._stream, begun.at_ns, str(place)))
        else:
            self.found = self._anchored and self._after is not None and place.is_at(self._after)
        return _Open(begun.at_ns, begun.digest, offset)


def _is_torn(line: bytes) -> bool:
    return any(stamp_of(line[at : at + STAMP_MOST]) for at in range(PART_BYTES, len(line), PART_BYTES))


_NOTHING = Batch(Block(), "", str)


def _together(first: Batch, second: Batch) -> Batch:
    count = first.block.lines

    def cursor_at(number: int) -> str:
        return first.cursor_at(number) if number < count else second.cursor_at(number - count)

    return Batch(Block.join([first.block, second.block]), second.cursor, cursor_at)
