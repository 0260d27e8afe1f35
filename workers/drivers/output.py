"""What a driver's `logs` gives: lines, many at a time, and word of output that is lost. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from jobs.logs.block import Block

Stream = Literal["stdout", "stderr", "unknown"]  # unknown: of a runtime that does not tell them apart


@dataclass(frozen=True)
class Line:
    """One piece of output as the runtime gave it.

    `data` are the exact bytes, newline included; the last line of a stream may lack it, and a line longer than the
    driver holds in memory (1 MiB) comes in pieces of which only the last ends in a newline. `at_ns` is the runtime's
    own time stamp in nanoseconds since the epoch. `cursor` is the driver's own: give it back to `logs` to go on right
    behind this line.
    """

    data: bytes
    stream: Stream
    at_ns: int
    cursor: str = field(compare=False)  # a driver may know several for one place


@dataclass(frozen=True)
class Batch:
    """Lines that came together: one that came alone is a batch, in a flood there are thousands in one.

    The lines themselves are in `block`, in the form in which they are stored, so that nobody has to touch each of them.
    `cursor` is the one behind the last. `cursor_at(n)` makes that behind line n of the block (from 0), for the few who
    ask. A driver that reads lines singly builds one with `of`.
    """

    block: Block
    cursor: str = field(compare=False)
    cursor_at: Callable[[int], str] = field(compare=False, repr=False)

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Batch:
        """Of at least one line."""
        block = Block.of((line.data, line.stream, line.at_ns) for line in lines)
        return cls(block, lines[-1].cursor, [line.cursor for line in lines].__getitem__)

    def __iter__(self) -> Iterator[Line]:
        for number, (data, stream, at_ns) in enumerate(self.block):
            yield Line(data, cast(Stream, stream), at_ns, self.cursor_at(number))

    def behind(self, count: int) -> Batch:
        """Without its first `count` lines, which are not all of them."""
        return self if count == 0 else Batch(self.block.behind(count), self.cursor, lambda n: self.cursor_at(count + n))


@dataclass(frozen=True)
class Missing:
    """Output that was between what came before and what comes next is certainly not to be had any more.

    `reason`: `rotated`, the runtime dropped it from its own log before it was read; `removed`, the container is gone,
    and its output had not been read to the end. `since_ns` and `until_ns`: the stamps of what is stored before it and of
    what comes behind it, `bytes` how much it was, where known.
    """

    reason: Literal["rotated", "removed"]
    since_ns: int | None = None
    until_ns: int | None = None
    bytes: int | None = None


Output = Batch | Missing
