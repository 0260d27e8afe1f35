"""Finding a cursor in a part of the log, so that what comes goes on right behind what was read before. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from workers.drivers.docker.cursor import RACE_NS, Cursor
from workers.drivers.docker.frames import NAMES
from workers.drivers.output import Batch, Line, Missing, Output


class CursorNotFoundError(Exception):
    """The part does not reach back to the cursor."""


def joined(
    after: Cursor, batches: Iterator[Batch], *, cut: bool, ends: bool = True, whole: bool = False
) -> Iterator[Output]:
    """What is behind a cursor in a part of the log.

    `cut`: the part begins anywhere, so an ordinal counts only when its stream was seen with an older stamp first. `ends`:
    it ends with the log, not because the engine fell silent. `whole`: it has all there is since the cursor's stamp, so
    what is not in it is nowhere: if the cursor's line is not among them, all newer ones are behind what is missing.
    Without that, raises `CursorNotFoundError` before it has yielded anything if the cursor's line does not come.
    """
    search = _Search(after, anchored=not cut, whole=whole)
    for batch in batches:
        first = search.first_behind(batch)
        if first is None:
            continue
        if search.missing is not None:
            yield search.missing
        if first < batch.block.lines:
            yield batch.behind(first)
        yield from batches
        return
    if not whole:
        raise CursorNotFoundError
    if ends:
        yield Missing("rotated", after.at_ns)


class _Search:
    """`anchored`: ordinals of the cursor's stream and stamp count. `missing`: the cursor's line was not there."""

    def __init__(self, after: Cursor, *, anchored: bool, whole: bool) -> None:
        self.after = after
        self.anchored = anchored
        self.whole = whole
        self.missing: Missing | None = None

    def first_behind(self, batch: Batch) -> int | None:
        """The number of the first line that is behind the cursor, maybe one more than there are; None: all are before."""
        for number, line in enumerate(batch):
            place = Cursor.parse(line.cursor)
            same = line.stream == NAMES[self.after.stream]
            if same and self.anchored and place.is_at(self.after):
                return number + 1
            if same and line.at_ns < self.after.at_ns:
                self.anchored = True
            elif same and not self.anchored and not self.whole:
                raise CursorNotFoundError
            elif self._is_newer(line, place, same=same):
                self.missing = Missing("rotated", self.after.at_ns, line.at_ns)
                return number
        return None

    def _is_newer(self, line: Line, place: Cursor, *, same: bool) -> bool:
        """Too new to come before the cursor's line, or before a long one that ends there."""
        newer = min(line.at_ns, place.oldest_ns) > self.after.at_ns + (0 if same else RACE_NS)
        if newer and not self.whole:
            raise CursorNotFoundError
        return newer
