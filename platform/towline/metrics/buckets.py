"""A histogram that is added to row by row, with the newest trace of each bucket as its exemplar. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from prometheus_client.core import Exemplar, HistogramMetricFamily

from tracing.identity import Parent, trace_hex


class Buckets:
    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self._newest: dict[int, tuple[str, float, datetime]] = {}

    @classmethod
    def of(cls, bounds: Sequence[float], kept: dict[str, Any]) -> Buckets:
        """From what `as_json` gave."""
        made = cls(bounds)
        made.counts, made.total = list(kept["counts"]), kept["total"]
        made._newest = {
            place: (parent, value, datetime.fromisoformat(at)) for place, parent, value, at in kept["newest"]
        }
        return made

    def as_json(self) -> dict[str, Any]:
        newest = [(place, parent, value, at.isoformat()) for place, (parent, value, at) in self._newest.items()]
        return {"counts": self.counts, "total": self.total, "newest": newest}

    def add(self, value: float, at: datetime, traceparent: str) -> None:
        """Later ones come later."""
        place = bisect_left(self.bounds, value)
        self.counts[place] += 1
        self.total += value
        if traceparent:
            self._newest[place] = (traceparent, value, at)

    def add_counted(self, counts: Sequence[int], total: float) -> None:
        """What was counted elsewhere, in the same buckets."""
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.total += total

    def copy(self) -> Buckets:
        made = Buckets(self.bounds)
        made.counts, made.total, made._newest = self.counts.copy(), self.total, self._newest.copy()
        return made

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        found = HistogramMetricFamily(name, text)
        summed = accumulate(self.counts)
        shown = [
            (bound, n, *self._exemplar(place)) for place, (bound, n) in enumerate(zip(bounds, summed, strict=True))
        ]
        found.add_metric([], shown, self.total)
        return found

    def _exemplar(self, place: int) -> tuple[Exemplar] | tuple[()]:
        traceparent, value, at = self._newest.get(place, ("", 0.0, None))
        found = Parent.parse(traceparent)
        if at is None or found is None or not found.sampled:
            return ()
        return (Exemplar({"trace_id": trace_hex(found.trace_id)}, value, at.timestamp()),)
