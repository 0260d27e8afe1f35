"""Two streams made one again: lines in the order of their stamps, cursors that hold both places. Pure.

Each stream keeps its own order, whatever its stamps say: where they fall, a line counts as said when the one before it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jobs.logs.block import Block
from jobs.logs.records import ENTRIES
from workers.drivers.kubernetes.cursor import Places
from workers.drivers.output import Batch, Stream


class Merger:
    """`places`: behind what was given so far."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def alone(self, stream: Stream, batch: Batch) -> Batch:
        """Of one stream, as it came."""
        before = self.places
        self.places = before.moved(stream, batch.cursor)
        return Batch(batch.block, str(self.places), lambda n: str(before.moved(stream, batch.cursor_at(n))))

    def together(self, stdout: Batch, stderr: Batch) -> tuple[Batch, Batch | None, Batch | None]:
        """What both have up to the end of one of them, and what is left of each."""
        ours, theirs = _keys(stdout), _keys(stderr)
        until = min(ours[-1], theirs[-1])
        first, second = (int(np.searchsorted(keys, until, "right")) for keys in (ours, theirs))
        if not (first and second):
            stream: Stream = "stdout" if first else "stderr"
            given = self.alone(stream, _ahead(stdout, first) if first else _ahead(stderr, second))
        else:
            order = np.argsort(np.concatenate((ours[:first], theirs[:second])), kind="stable")
            given = self._interleaved(_ahead(stdout, first), _ahead(stderr, second), order)
        return given, _rest(stdout, first), _rest(stderr, second)

    def _interleaved(self, stdout: Batch, stderr: Batch, order: Any) -> Batch:
        before, count = self.places, stdout.block.lines
        data = [each[0] for batch in (stdout, stderr) for each in batch.block]
        index = np.concatenate((_index(stdout), _index(stderr)))[order]
        block = Block(b"".join([data[number] for number in order.tolist()]), index.tobytes())
        outs = np.cumsum(order < count)

        def cursor_at(number: int) -> str:
            out = int(outs[number])
            err = number + 1 - out
            places = before.moved("stdout", stdout.cursor_at(out - 1)) if out else before
            return str(places.moved("stderr", stderr.cursor_at(err - 1)) if err else places)

        self.places = before.moved("stdout", stdout.cursor).moved("stderr", stderr.cursor)
        return Batch(block, str(self.places), cursor_at)


def is_same_line(one: Batch, other: Batch) -> bool:
    """Whether both begin with the same line: then they are no two streams."""
    return next(iter(one.block))[::2] == next(iter(other.block))[::2]


def _index(batch: Batch) -> Any:
    return np.frombuffer(batch.block.index, ENTRIES)


def _keys(batch: Batch) -> Any:
    return np.maximum.accumulate(_index(batch)["at_ns"])


def _ahead(batch: Batch, count: int) -> Batch:
    """Its first lines."""
    if count == batch.block.lines:
        return batch
    index = _index(batch)[:count]
    block = Block(batch.block.data[: int(index["length"].sum(dtype=np.int64))], index.tobytes())
    return Batch(block, batch.cursor_at(count - 1), batch.cursor_at)


def _rest(batch: Batch, count: int) -> Batch | None:
    return batch.behind(count) if count < batch.block.lines else None
