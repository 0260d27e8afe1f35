"""Which of some shapes stands at a place of the output, and from where on one may be about to. Pure.

An automaton looks for the heads of all shapes, so it stays small however long a value is; the rest is found in sorted lists.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import re2

from .shapes import UNBROKEN

AUTOMATON_BYTES = 256 * 1024 * 1024  # at most; one secret takes some kilobytes
KEPT_HEADS = 400  # of one secret, about; no large automaton outlives its run
HEAD_BYTES = 8
HEAD_REACH = HEAD_BYTES + 2  # with a line end in it
LINE_BYTES = 16  # broken lines are at least that long, on average


class Plain:
    """Shapes that stand in the output as they are. `reach`: at most so many bytes of output belong to one."""

    def __init__(self, shapes: Iterable[bytes]) -> None:
        self.shapes = sorted(shapes)
        self.reach = max(map(len, self.shapes), default=0)
        self._within = _longest_beginnings(self.shapes)

    def heads(self) -> Iterator[bytes]:
        """Each shape in the output begins with one of these."""
        return (shape[:HEAD_BYTES] for shape in self.shapes)

    def longest_at(self, data: bytes, at: int) -> int:
        """Of the shapes that stand at this place, the longest one's bytes; 0: there is none."""
        return self._longest_of(data[at : at + self.reach])

    def goes_on(self, text: bytes) -> bool:
        """Whether `text`, behind which more may come, is the beginning of a longer shape."""
        place = bisect_right(self.shapes, text)
        return place < len(self.shapes) and self.shapes[place].startswith(text)

    def _longest_of(self, text: bytes) -> int:
        place = bisect_right(self.shapes, text) - 1
        while place >= 0 and not text.startswith(self.shapes[place]):
            place = self._within[place]
        return len(self.shapes[place]) if place >= 0 else 0


class Broken(Plain):
    """Shapes that line ends may stand in, but not among their first UNBROKEN characters: too many lines would be waiting."""

    def __init__(self, shapes: Iterable[bytes]) -> None:
        super().__init__(shapes)
        self.reach += self.reach // LINE_BYTES + 2

    def heads(self) -> Iterator[bytes]:
        for shape in self.shapes:
            head = shape[:HEAD_BYTES]
            yield head
            for end in (b"\n", b"\r\n"):
                yield from (head[:cut] + end + head[cut:] for cut in range(UNBROKEN, len(head)))

    def longest_at(self, data: bytes, at: int) -> int:
        if _joined(data[at : at + UNBROKEN]) != data[at : at + UNBROKEN]:
            return 0
        length = self._longest_of(_joined(data[at : at + self.reach]))
        size = length
        while size < length + _ends(data[at : at + size]):
            size = length + _ends(data[at : at + size])
        return size

    def goes_on(self, text: bytes) -> bool:
        return _joined(text[:UNBROKEN]) == text[:UNBROKEN] and super().goes_on(_joined(text))


def _joined(text: bytes) -> bytes:
    return text.translate(None, b"\r\n")


def _ends(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r")


def _longest_beginnings(ordered: list[bytes]) -> list[int]:
    """For each, the place of the longest other one that it begins with; -1: none. They stand before it."""
    places: list[int] = []
    for place, shape in enumerate(ordered):
        before = place - 1
        while before >= 0 and not shape.startswith(ordered[before]):
            before = places[before]
        places.append(before)
    return places


def automaton(heads: frozenset[bytes]) -> Any:
    """Making one takes longer than most runs' output does; the tokens of attempts all begin alike, and share one."""
    return _kept(heads) if len(heads) <= KEPT_HEADS else _made(heads)


def _made(heads: Iterable[bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = AUTOMATON_BYTES
    options.log_errors = False  # it would write the pattern to stderr
    written = ["".join(f"\\x{byte:02x}" for byte in head) for head in sorted(heads)]
    return re2.compile("|".join(written).encode(), options)


_kept = lru_cache(maxsize=4)(_made)
