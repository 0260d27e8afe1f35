"""From what a driver gives to what is stored: lines joined to blocks, what is missing named, each stored once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from jobs.logs.block import Block
from jobs.logs.gaps import Gap, Reason, stamp
from jobs.logs.store import Tally, append, position
from jobs.models import Attempt

from .drivers.output import Batch, Missing, Output
from .grip import Grip
from .patience import patiently

LAST_LINES = 20
LAST_BYTES = 500


class Collector:
    """The writing end of one attempt's log. `at`: where it ends. `tally`: of what was stored here."""

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.at = position(grip.attempt)
        self.tally = Tally()
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._unsure = False  # whether the last write was committed: its answer got lost

    def collect(self, outputs: Sequence[Output]) -> None:
        """Store them in order. What is missing is stored with what is behind it, or by itself at the end."""
        batches: list[Batch] = []
        gaps: list[Gap] = []
        for output in outputs:
            if isinstance(output, Batch):
                batches.append(output)
                continue
            self._store_batches(batches, gaps)
            batches, gaps = [], [self._gap(output)]
        self._store_batches(batches, gaps)

    def missing(self, reason: Reason) -> None:
        """At the end of what is stored."""
        self._store_patiently(Block(), self.at.cursor, [Gap(self.at.lines + 1, reason)])

    def _store_batches(self, batches: Sequence[Batch], gaps: Sequence[Gap]) -> None:
        if batches:
            # The one place that all output passes on its way from a driver into the database.
            block, cursor = Block.join(batch.block for batch in batches), batches[-1].cursor
            self._store_patiently(block, cursor, gaps)
        elif gaps:
            self._store_patiently(Block(), self.at.cursor, gaps)

    def _gap(self, missing: Missing) -> Gap:
        since, until = stamp(missing.since_ns), stamp(missing.until_ns)
        return Gap(self.at.lines + 1, missing.reason, bytes=missing.bytes, since=since, until=until)

    def _store_patiently(self, block: Block, cursor: str, gaps: Sequence[Gap]) -> None:
        patiently(lambda: self._store(block, cursor, gaps), self.grip.pause)
        self.tally.add(block)
        self.last_lines.extend(
            data.rstrip(b"\n")[:LAST_BYTES].decode("utf-8", "replace") for data, _, _ in block.last(LAST_LINES)
        )

    def _store(self, block: Block, cursor: str, gaps: Sequence[Gap]) -> None:
        if self._unsure:
            fresh = position(Attempt.objects.get(pk=self.grip.attempt.pk))
            if fresh != self.at and fresh.cursor == cursor:
                self.at, self._unsure = fresh, False
                return
        self._unsure = True
        self.at = append(self.grip.attempt, self.grip.fence, self.at, block, cursor, gaps)
        self._unsure = False
