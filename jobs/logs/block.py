"""A stretch of lines in the form in which they are stored, made once and handed on whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .records import ENTRY, STREAMS, pack


@dataclass(frozen=True, slots=True)
class Block:
    """`data`: the bytes of all lines, one after another. `index`: an entry a line, see `records`. May be empty."""

    data: bytes = b""
    index: bytes = b""

    @classmethod
    def of(cls, lines: Iterable[tuple[bytes, str, int]]) -> Block:
        """From (bytes, stream, nanoseconds) of each line."""
        data, index, _ = pack(lines)
        return cls(data, index)

    @classmethod
    def join(cls, blocks: Iterable[Block]) -> Block:
        several = list(blocks)
        if len(several) == 1:
            return several[0]
        return cls(b"".join(one.data for one in several), b"".join(one.index for one in several))

    @property
    def lines(self) -> int:
        return len(self.index) // ENTRY.size

    def __iter__(self) -> Iterator[tuple[bytes, str, int]]:
        """(bytes, stream, nanoseconds) of each line."""
        offset = 0
        for at_ns, length, stream in ENTRY.iter_unpack(self.index):
            yield self.data[offset : offset + length], STREAMS[stream], at_ns
            offset += length

    def behind(self, count: int) -> Block:
        """Without its first `count` lines."""
        if count == 0:
            return self
        skipped = sum(length for _, length, _ in ENTRY.iter_unpack(self.index[: count * ENTRY.size]))
        return Block(self.data[skipped:], self.index[count * ENTRY.size :])

    def last(self, count: int) -> Block:
        """Its last `count` lines, found from the end."""
        index = self.index[max(0, len(self.index) - count * ENTRY.size) :]
        size = sum(length for _, length, _ in ENTRY.iter_unpack(index))
        return Block(self.data[len(self.data) - size :], index)

    def pieces(self, most_bytes: int) -> Iterator[Block]:
        """The same lines in blocks of at most so many bytes; a longer line is one by itself."""
        if len(self.data) <= most_bytes:
            if self.index:
                yield self
            return
        first = begun = end = 0
        for number, (_, length, _) in enumerate(ENTRY.iter_unpack(self.index)):
            if end > begun and end + length - begun > most_bytes:
                yield Block(self.data[begun:end], self.index[first * ENTRY.size : number * ENTRY.size])
                first, begun = number, end
            end += length
        yield Block(self.data[begun:], self.index[first * ENTRY.size :])
