"""Where we are in a pod's log. Pure.

The kubelet keeps no line numbers. What it serves is its newest file in the order in which that was written, a stamp before
each line. So a line is known by its stamp, which one of the lines with that stamp that follow one another it is, and a
digest of what it says. Stamps are for finding it again only, never for telling what is before or behind: a node's clock
may be set back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

from workers.drivers.output import Stream

BETWEEN = "|"


@dataclass(frozen=True)
class Cursor:
    """Right behind line `ordinal` (from 1) of those stamped `at_ns`, or, of a line given in pieces, behind its first
    `offset` bytes (0: behind all of it).

    `digest` is of the line's first piece. `size`: so many bytes were served up to there, stamps and all.
    """

    at_ns: int
    ordinal: int
    digest: str
    offset: int = 0
    size: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        place, _, size = text.partition("@")
        at_ns, ordinal, digest, offset = place.split(":")
        return cls(int(at_ns), int(ordinal), digest, int(offset), int(size))

    def __str__(self) -> str:
        return f"{self.at_ns}:{self.ordinal}:{self.digest}:{self.offset}@{self.size}"

    def is_at(self, other: Cursor) -> bool:
        return str(self).partition("@")[0] == str(other).partition("@")[0]


@dataclass(frozen=True)
class Places:
    """Of each stream, where they are read one by one: cursors as texts, empty where nothing was read of it."""

    stdout: str = ""
    stderr: str = ""

    @classmethod
    def parse(cls, text: str) -> Places:
        return cls(*text.split(BETWEEN))

    def __str__(self) -> str:
        return f"{self.stdout}{BETWEEN}{self.stderr}"

    def of(self, stream: Stream) -> Cursor | None:
        text = self.stderr if stream == "stderr" else self.stdout
        return Cursor.parse(text) if text else None

    def moved(self, stream: Stream, cursor: str) -> Places:
        return replace(self, stderr=cursor) if stream == "stderr" else replace(self, stdout=cursor)


def digest_of(piece: bytes | memoryview) -> str:
    return blake2b(piece, digest_size=6).hexdigest()
