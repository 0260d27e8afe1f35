"""Where we are in a container's log. Pure.

The engine keeps no line numbers, and its stamps neither rise strictly (two streams race, all parts of a long line
carry the stamp of its first) nor are unique. What does hold: within *one stream* stamps never fall. So a message is
known by its stream, its stamp, and which one of that stream and stamp it is.
"""

from __future__ import annotations

from dataclasses import dataclass

# Two streams may be stored out of the order of their stamps by as long as the engine holds one of them up.
RACE_NS = 2_000_000_000
NS = 1_000_000_000


@dataclass(frozen=True)
class Cursor:
    """Right behind message `ordinal` (from 1) of those of `stream` (1 stdout, 2 stderr) stamped `at_ns`.

    `open_ns`: stamp of the oldest line begun but not ended there, None without one. It has to be read again. `size`: at
    most so many bytes has the engine stored from the container's first on, None when nobody has counted; tells whether
    its log can have been rotated by then.
    """

    stream: int
    at_ns: int
    ordinal: int
    open_ns: int | None = None
    size: int | None = None

    @classmethod
    def parse(cls, text: str) -> Cursor:
        place, _, size = text.partition("@")
        stream, at_ns, ordinal, *open_ns = (int(part) for part in place.split(":"))
        return cls(stream, at_ns, ordinal, open_ns[0] if open_ns else None, int(size) if size else None)

    def __str__(self) -> str:
        place = self.mark if self.open_ns is None else f"{self.mark}:{self.open_ns}"
        return place if self.size is None else f"{place}@{self.size}"

    @property
    def mark(self) -> str:
        """What every cursor at this message begins with."""
        return f"{self.stream}:{self.at_ns}:{self.ordinal}"

    def is_at(self, other: Cursor) -> bool:
        return (self.stream, self.at_ns, self.ordinal) == (other.stream, other.at_ns, other.ordinal)

    @property
    def oldest_ns(self) -> int:
        """Its stamp, or that of a line that is still open behind it."""
        return self.at_ns if self.open_ns is None else min(self.at_ns, self.open_ns)

    @property
    def since(self) -> str:
        """The engine's `since` (seconds.nanoseconds) from which everything behind the cursor is certain to come."""
        start = max(0, self.oldest_ns - RACE_NS)
        return f"{start // NS}.{start % NS:09d}"
