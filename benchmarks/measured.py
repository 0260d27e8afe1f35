"""What one run of the benchmark has found, and whether the aims hold. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from .figures import differences, median
from .ways import Sdk, Took, Towline

OVERHEAD_MS = 60.0
THROUGHPUT_SHARE = 0.85


@dataclass
class Measured:
    """By way: each run of the sequential rounds, and the jobs a second of each crowded round."""

    argv: tuple[str, ...]
    at_once: int
    alone: dict[str, list[Took]] = field(default_factory=dict)
    crowded: dict[str, list[float]] = field(default_factory=dict)
    crowded_took: dict[str, list[Took]] = field(default_factory=dict)
    phases: list[dict[str, float]] = field(default_factory=list)
    crowded_phases: list[dict[str, float]] = field(default_factory=list)
    load: tuple[float, float] = (0.0, 0.0)

    def totals(self, way: str) -> list[float]:
        return [took.total for took in self.alone[way]]

    @property
    def added_ms(self) -> list[float]:
        """What Towline adds to the SDK, round by round."""
        return differences(self.totals(Towline.name), self.totals(Sdk.name))

    @property
    def throughput_shares(self) -> list[float]:
        """Towline's throughput over the SDK's, round by round."""
        pairs = zip(self.crowded[Towline.name], self.crowded[Sdk.name], strict=True)
        return [ours / theirs for ours, theirs in pairs]

    @property
    def aims(self) -> list[tuple[str, bool]]:
        return [
            (f"adds less than {OVERHEAD_MS:g} ms to the SDK, one at a time", median(self.added_ms) < OVERHEAD_MS),
            (
                f"reaches {THROUGHPUT_SHARE:.0%} of the SDK's throughput with {self.at_once} at once",
                median(self.throughput_shares) >= THROUGHPUT_SHARE,
            ),
        ]
