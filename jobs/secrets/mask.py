"""Finding secrets in a stream of bytes, and putting MARK in their place. Pure; values never show in a `repr`.

What is masked are *stretches*: an occurrence, with all that overlap it, so that no tail of one remains. A stretch depends on
nothing that stands before it. So output can be masked piece by piece, and anew from any place that lies in no stretch, and
always comes out the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, NamedTuple

import re2

from .shapes import shapes

MARK = b"***"
AUTOMATON_BYTES = 256 * 1024 * 1024  # at most; one secret takes some kilobytes
HEAD_BYTES = 8  # of each shape: the automaton looks for these, and stays small however long a value is
STRETCH_BYTES = 1024 * 1024  # where overlaps go on for longer (`aaaa…`), a new stretch begins
REPEATED_BYTES = 4096  # compared at once there


class Stretch(NamedTuple):
    start: int
    end: int


class Mask:
    """Of some secrets. Without any, or with ones too short to be masked, it is false and changes nothing."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._shapes = sorted(set().union(*map(shapes, values)))
        self._within = _longest_beginnings(self._shapes)
        self._heads = _automaton({shape[:HEAD_BYTES] for shape in self._shapes})
        self._longest = max(map(len, self._shapes), default=0)
        across = [shape for shape in self._shapes if b"\n" in shape]
        self._longest_across = max(map(len, across), default=0)
        self._heads_across = _long_heads(across)
        self._heads_within = _long_heads(set(self._shapes) - set(across))

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def hide(self, data: bytes) -> bytes:
        """All of it masked at once. A newline inside of a secret stays, as the log's lines do: MARK stands on each side."""
        parts, at = [], 0
        for start, end in self.settled(data, over=True)[0]:
            parts += [data[at:start], marked(data[start:end])]
            at = end
        return b"".join((*parts, data[at:])) if parts else data

    def hide_text(self, text: str) -> str:
        return self.hide(text.encode(errors="replace")).decode() if self else text

    def settled(self, data: bytes, *, over: bool = False) -> tuple[list[Stretch], int]:
        """The stretches that nothing behind `data` can change, and the place up to which all is decided.

        `over`: nothing comes behind it. `data` begins where no stretch is under way.
        """
        found: list[Stretch] = []
        at, until = 0, len(data) if over else self._open_from(data, 0)
        while self._shapes and (first := self._next(data, at, until)) is not None:
            stretch = self._with_overlaps(data, first, until)
            at = stretch.end
            if at > until:
                if at - stretch.start < STRETCH_BYTES:
                    return found, stretch.start
                until = self._open_from(data, at)
            found.append(stretch)
        return found, until

    def _open_from(self, data: bytes, start: int) -> int:
        """The first place from which on all that is left could be the beginning of a secret; its length if there is none."""
        size = len(data)
        across = max(start, size - self._longest_across + 1)
        within = max(start, size - self._longest + 1, data.rfind(b"\n") + 1)
        places = [*range(max(start, size - HEAD_BYTES), size)]
        found = next((place for place in places if self._goes_on(data[place:])), size)
        for head in self._heads_across:
            found = min(found, self._open_with(head, data, across))
        for head in self._heads_within if within < size else ():
            found = min(found, self._open_with(head, data, within))
        return found

    def _open_with(self, head: bytes, data: bytes, start: int) -> int:
        place = data.find(head, start)
        while place >= 0 and not self._goes_on(data[place:]):
            place = data.find(head, place + 1)
        return place if place >= 0 else len(data)

    def _goes_on(self, text: bytes) -> bool:
        """Whether a shape begins with `text` and is longer."""
        place = bisect_right(self._shapes, text)
        return place < len(self._shapes) and self._shapes[place].startswith(text)

    def _next(self, data: bytes, start: int, until: int, beyond: int = 0) -> Stretch | None:
        """The first occurrence that begins from `start` on, before `until`, and ends behind `beyond`: the longest there."""
        end = min(len(data), until + HEAD_BYTES)
        while start < until and (head := self._heads.search(data, start, end)) and (at := head.start()) < until:
            length = self._longest_at(data[at : at + self._longest])
            if length and at + length > beyond:
                return Stretch(at, at + length)
            start = at + 1
        return None

    def _longest_at(self, text: bytes) -> int:
        """Of the shapes that `text` begins with, the longest one's length, else 0."""
        place = bisect_right(self._shapes, text) - 1
        while place >= 0 and not text.startswith(self._shapes[place]):
            place = self._within[place]
        return len(self._shapes[place]) if place >= 0 else 0

    def _with_overlaps(self, data: bytes, found: Stretch, until: int) -> Stretch:
        (start, end), last = found, found
        while end - start < STRETCH_BYTES and (more := self._next(data, last.start + 1, min(end, until), beyond=end)):
            far = _repeated(data, last, more, min(until, start + STRETCH_BYTES - (more.end - more.start)))
            if far.start - self._longest > more.start:  # what may reach behind it begins that late
                more = Stretch(far.start - self._longest, far.end)
            last, end = more, more.end
        return Stretch(start, end)


def _repeated(data: bytes, one: Stretch, other: Stretch, before: int) -> Stretch:
    """Where the same secret overlaps itself again and again: one of the last of them that begins before that place."""
    shift, size, same = other.start - one.start, other.end - other.start, 0
    while other.start + same + REPEATED_BYTES < before and _same(data, one.start + same, other.start + same):
        same += REPEATED_BYTES
    times = max(0, same - size) // shift
    return Stretch(other.start + times * shift, other.end + times * shift)


def _same(data: bytes, one: int, other: int) -> bool:
    return data[one : one + REPEATED_BYTES] == data[other : other + REPEATED_BYTES]


def marked(secret: bytes) -> bytes:
    """What stands in the place of these bytes: MARK, and their newlines."""
    return b"\n".join(MARK if line else b"" for line in secret.split(b"\n"))


def _longest_beginnings(ordered: list[bytes]) -> list[int]:
    """For each, the place of the longest other one that it begins with; -1: none. They stand before it."""
    places: list[int] = []
    for place, shape in enumerate(ordered):
        before = place - 1
        while before >= 0 and not shape.startswith(ordered[before]):
            before = places[before]
        places.append(before)
    return places


def _long_heads(some: Iterable[bytes]) -> list[bytes]:
    return sorted({shape[:HEAD_BYTES] for shape in some if len(shape) > HEAD_BYTES})


def _automaton(heads: Iterable[bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = AUTOMATON_BYTES
    options.log_errors = False  # it would write the pattern to stderr
    written = ["".join(f"\\x{byte:02x}" for byte in head) for head in sorted(heads)]
    return re2.compile("|".join(written).encode(), options)
