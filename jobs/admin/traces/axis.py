"""The time axis of a trace's picture: where a moment lies on it, and its ticks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

MICROSECOND, MINUTE, HOUR, DAY = 1e-6, 60, 3600, 86400
# What people count in: 1, 2, 5 below a second, then what a clock has.
_STEPS = (
    *(digit * 10.0**power for power in range(-6, 0) for digit in (1, 2, 5)),
    1, 2, 5, 10, 15, 30,
    *(count * MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR for count in (1, 2, 3, 6, 12)),
    *(count * DAY for count in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)  # fmt: skip
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"))
TICKS_MOST = 8
SHORTEST_SECONDS = MICROSECOND * 10  # of an axis: what took no time still has a place


@dataclass(frozen=True)
class Tick:
    """`x` in percent of the axis; `text`: how long after its begin."""

    x: float
    text: str


@dataclass(frozen=True)
class Axis:
    begin: datetime
    seconds: float

    @classmethod
    def over(cls, stretches: Iterable[tuple[datetime, datetime]]) -> Axis:
        """From the first begin to the last end; raises ValueError of none."""
        begins, ends = zip(*stretches, strict=True)
        begin = min(begins)
        return cls(begin, max((max(ends) - begin).total_seconds(), SHORTEST_SECONDS))

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)

    def place(self, moment: datetime) -> float:
        """In percent, within the axis."""
        return min(100.0, max(0.0, (moment - self.begin).total_seconds() / self.seconds * 100))

    def ticks(self, most: int = TICKS_MOST) -> list[Tick]:
        """At whole steps, the begin among them."""
        return list(self._ticks(most))

    def _ticks(self, most: int) -> Iterator[Tick]:
        step = next((step for step in _STEPS if self.seconds / step <= most), _STEPS[-1])
        for number in range(int(self.seconds / step + 1e-9) + 1):
            yield Tick(round(number * step / self.seconds * 100, 3), length(number * step))


def length(seconds: float) -> str:
    """A tick's length of time, at most two units: `0`, `200 µs`, `1.5 s`, `1 min 30 s`, `1 d 12 h`."""
    if seconds <= 0:
        return "0"
    for size, unit in ((1, "s"), (1e-3, "ms")):
        if size <= seconds < size * (MINUTE if unit == "s" else 1000):
            return f"{round(seconds / size, 3):g} {unit}"
    return f"{seconds * 1e6:.0f} µs" if seconds < 1 else _clock(round(seconds))


def _clock(seconds: int) -> str:
    words = []
    for size, unit in (*_UNITS, (1, "s")):
        if seconds >= size:
            words.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(words[:2])


def took(seconds: float) -> str:
    """How long something took, with three digits: `0 ms`, `3.25 ms`, `412 ms`, `12.3 s`, `5 min 10 s`."""
    if seconds >= MINUTE:
        return _clock(int(seconds))
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms" if seconds >= 1e-6 else "0 ms"
