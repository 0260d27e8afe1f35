"""Many whole lines of the kubelet's answer at once, and their cursors, made when asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jobs.logs.block import Block
from workers.drivers.kubernetes.cursor import Cursor, digest_of


@dataclass(frozen=True)
class Flood:
    """Many whole lines, and the stamp and ordinal of the one before them."""

    block: Block
    index: Any  # of ENTRIES
    width: int
    last_ns: int
    ordinal: int

    @cached_property
    def _ends(self) -> Any:
        """Of each line, in the block's data."""
        return np.cumsum(self.index["length"], dtype=np.int64)

    @cached_property
    def _changes(self) -> Any:
        """The lines with another stamp than the one before."""
        stamps = self.index["at_ns"]
        return np.flatnonzero(stamps[1:] != stamps[:-1]) + 1

    def served(self, count: int) -> int:
        """How many bytes the first so many lines were, with their stamps."""
        return int(self._ends[count - 1]) + count * self.width if count else 0

    def ordinal_at(self, number: int) -> int:
        earlier = int(np.searchsorted(self._changes, number, "right"))
        if earlier:
            return number - int(self._changes[earlier - 1]) + 1
        return number + 1 + (self.ordinal if self.last_ns == self.index["at_ns"][0] else 0)

    def first_change(self, last_ns: int) -> int:
        """The number of the first line whose stamp is another than that before it."""
        if last_ns >= 0 and last_ns != self.index["at_ns"][0]:
            return 0
        return int(self._changes[0]) if self._changes.size else len(self.index)

    def cursors(self, size: int) -> Callable[[int], str]:
        """Makes the cursor behind line n, when `size` bytes had been served before the first."""

        def cursor_at(number: int) -> str:
            end = int(self._ends[number])
            line = self.block.data[end - int(self.index["length"][number]) : end]
            at_ns = int(self.index["at_ns"][number])
            return str(Cursor(at_ns, self.ordinal_at(number), digest_of(line), 0, size + self.served(number + 1)))

        return cursor_at
