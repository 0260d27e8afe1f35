"""Finding secrets in a stream of bytes, and putting MARK in their place. Pure; values never show in a `repr`.

What is masked are *stretches*: an occurrence, with all that overlap it, so that no tail of one remains. A stretch depends on
nothing that stands before it. So output can be masked piece by piece, and anew from any place that lies in no stretch, and
always comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .search import HEAD_REACH, Broken, Plain, automaton
from .shapes import base64_shapes, plain_shapes

MARK = b"***"
STRETCH_BYTES = 1024 * 1024  # where overlaps go on for longer (`aaaa…`), a new stretch begins
REPEATED_BYTES = 4096  # compared at once there


class Stretch(NamedTuple):
    start: int
    end: int


class Mask:
    """Of some secrets. Without any, or with ones too short to be masked, it is false and changes nothing."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        values = list(values)
        plain = Plain(set().union(*map(plain_shapes, values)))
        broken = Broken(set().union(*map(base64_shapes, values)))
        self._kinds = [plain, broken] if plain.shapes else []
        self._reach = max((kind.reach for kind in self._kinds), default=0)
        self._heads = automaton(frozenset(head for kind in self._kinds for head in kind.heads()))

    def __bool__(self) -> bool:
        return bool(self._kinds)

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
        at, until = 0, len(data) if over or not self._kinds else self._open_from(data, 0)
        while self._kinds and (first := self._next(data, at, until)) is not None:
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
        at = max(start, size - self._reach + 1)
        while (head := self._heads.search(data, at)) is not None:
            if self._goes_on(data, head.start()):
                return int(head.start())
            at = head.start() + 1
        short = range(max(start, size - HEAD_REACH), size)  # less than a head
        return next((at for at in short if self._goes_on(data, at)), size)

    def _goes_on(self, data: bytes, at: int) -> bool:
        return any(kind.goes_on(data[at:]) for kind in self._kinds)

    def _next(self, data: bytes, start: int, until: int, beyond: int = 0) -> Stretch | None:
        """The first occurrence that begins from `start` on, before `until`, and ends behind `beyond`: the longest there."""
        end = min(len(data), until + HEAD_REACH)
        while start < until and (head := self._heads.search(data, start, end)) and (at := head.start()) < until:
            length = max(kind.longest_at(data, at) for kind in self._kinds)
            if length and at + length > beyond:
                return Stretch(at, at + length)
            start = at + 1
        return None

    def _with_overlaps(self, data: bytes, found: Stretch, until: int) -> Stretch:
        (start, end), last = found, found
        while end - start < STRETCH_BYTES and (more := self._next(data, last.start + 1, min(end, until), beyond=end)):
            far = _repeated(data, last, more, min(until, start + STRETCH_BYTES - (more.end - more.start)))
            if far.start - self._reach > more.start:  # what may go on behind it begins that late
                more = Stretch(far.start - self._reach, far.end)
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
