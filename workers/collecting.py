"""From what a driver gives to what is stored: secrets masked, lines joined to blocks, what is missing named, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from jobs.logs.block import Block
from jobs.logs.gaps import Gap, Reason, stamp
from jobs.logs.store import Tally, append, position
from jobs.models import Attempt

from .drivers.output import Batch, Missing, Output
from .grip import Grip
from .masking import Masking
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
        self.begin()

    def begin(self) -> None:
        """A new reading, from `at` on: what the last one held back comes again."""
        self._masking = Masking(self.grip.mask)
        self._gaps: list[Gap] = []  # right before what is stored next

    def collect(self, outputs: Sequence[Output]) -> None:
        """Store them in order. What is missing is stored with what is behind it, or by itself at the end."""
        batches: list[Batch] = []
        for output in outputs:
            if isinstance(output, Batch):
                batches.append(output)
                continue
            self._store_batches(self._masked(batches))
            self.flush()
            batches, self._gaps = [], [*self._gaps, self._gap(output)]
        self._store_batches(self._masked(batches))

    def flush(self) -> None:
        """Nothing comes behind what was given: store what is held back."""
        held = self._masking.flush()
        self._store_batches([Batch.of(held)] if held else [])

    def missing(self, reason: Reason) -> None:
        """At the end of what was given."""
        self.flush()
        self._store_patiently(Block(), self.at.cursor, [Gap(self.at.lines + 1, reason)])

    def _masked(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """The one place that all output passes on its way from a driver into the database."""
        if not self.grip.mask or not batches:
            return batches
        lines = self._masking.take([line for batch in batches for line in batch])
        return [Batch.of(lines)] if lines else []

    def _store_batches(self, batches: Sequence[Batch]) -> None:
        if batches:
            self._store_patiently(Block.join(batch.block for batch in batches), batches[-1].cursor, self._gaps)
        elif self._gaps:
            self._store_patiently(Block(), self.at.cursor, self._gaps)
        self._gaps = []

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
