"""Going on with both streams in one where they were read one by one, and the cluster does not tell them apart any more.

What lies between the two places may have been read or not: only where the sizes add up is it certain that it was. Where they
don't, a gap says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.drivers.kubernetes.cursor import Cursor, Places
from workers.drivers.kubernetes.reader import LogReader
from workers.drivers.output import Missing, Output


class RejoiningReader:
    """`make` gives a reader of all from a place."""

    def __init__(self, make: Callable[[Cursor | None], LogReader], places: Places) -> None:
        self._make = make
        self._left = [place for place in (places.of("stdout"), places.of("stderr")) if place]

    def live(self) -> Iterator[Output]:
        """The gap comes with what is behind it: until then it would be told each time."""
        place, missing = self._joined()
        for output in self._make(place).live():
            if missing:
                yield missing
            yield output
            missing = None

    def read_out(self, patience_seconds: float) -> Iterator[Output]:
        place, missing = self._joined()
        if missing:
            yield missing
        yield from self._make(place).read_out(patience_seconds)

    def _joined(self) -> tuple[Cursor | None, Missing | None]:
        """The later of both places, as it is among all lines; and what may be lost before it."""
        if not self._left:
            return None, None
        found = list(self._found())
        if not found:  # rotated away: whoever reads on from there says so
            return max(self._left, key=lambda place: place.at_ns), None
        last, read = found[-1], sum(place.size for place in self._left)
        if len(found) == len(self._left) and last.size == read:
            return last, None
        lost = last.size - read
        return last, Missing(
            "rotated", min(place.at_ns for place in self._left), last.at_ns, lost if lost > 0 else None
        )

    def _found(self) -> Iterator[Cursor]:
        stamps = {place.at_ns for place in self._left}
        for batch in self._make(None).lying():
            for number, (_, _, at_ns) in enumerate(batch.block):
                if at_ns in stamps:
                    cursor = Cursor.parse(batch.cursor_at(number))
                    if any(cursor.is_at(place) for place in self._left):
                        yield cursor
