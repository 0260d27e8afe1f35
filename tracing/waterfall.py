"""A waterfall in text: one line a phase, its bar where it was in time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FULL, SOLE, OPEN = "█", "▏", "░"
NARROWEST_BAR = 10
TICK_COLUMNS = 14


@dataclass(frozen=True)
class Phase:
    """A stretch of time. `depth` 1 lies within one of depth 0. `status`: ok, open (not over yet), or how it failed."""

    name: str
    start: datetime
    end: datetime
    depth: int = 0
    status: str = "ok"

    @property
    def seconds(self) -> float:
        return max(0.0, (self.end - self.start) / timedelta(seconds=1))


@dataclass(frozen=True)
class Row:
    """A phase as it is drawn; name, blank, bar, rest and time make the line."""

    name: str
    blank: str
    bar: str
    rest: str
    time: str
    status: str

    def __str__(self) -> str:
        return f"{self.name} {self.blank}{self.bar}{self.rest} {self.time}".rstrip()


def draw(spans: Sequence[Phase], width: int) -> str:
    """Lines of at most `width` columns, one for each phase in the order given; empty for none."""
    return "\n".join(str(row) for row in rows(spans, width))


def rows(spans: Sequence[Phase], width: int) -> list[Row]:
    """The same in parts, to be coloured."""
    if not spans:
        return []
    names = _aligned(["  " * span.depth + span.name for span in spans])
    times = _aligned([_time(span).rjust(7) + ("" if span.status == "ok" else f" {span.status}") for span in spans])
    bars = _bars(spans, max(width - len(names[0]) - len(times[0]) - 2, NARROWEST_BAR))
    return [Row(name, *bar, time, span.status) for name, bar, time, span in zip(names, bars, times, spans, strict=True)]


def _aligned(texts: list[str]) -> list[str]:
    widest = max(map(len, texts))
    return [text.ljust(widest) for text in texts]


def _bars(spans: Sequence[Phase], columns: int) -> list[tuple[str, str, str]]:
    """(blank before, bar, blank behind) of each, together `columns` wide. What took no time at all still shows."""
    first = min(span.start for span in spans)
    whole = max((max(span.end for span in spans) - first) / timedelta(seconds=1), 1e-9)
    drawn = []
    for span in spans:
        begin = round((span.start - first) / timedelta(seconds=1) / whole * columns)
        end = round((span.end - first) / timedelta(seconds=1) / whole * columns)
        left, length = min(begin, columns - 1), max(0, end - begin)
        bar = (OPEN if span.status == "open" else FULL) * length or SOLE
        drawn.append((" " * left, bar, " " * (columns - left - len(bar))))
    return drawn


def axis(spans: Sequence[Phase], columns: int) -> str:
    """A line of that width to stand above the bars: round times, each beginning where it is."""
    whole = (max(span.end for span in spans) - min(span.start for span in spans)) / timedelta(seconds=1)
    step = _tick(whole, max(1, columns // TICK_COLUMNS))
    line = ""
    for number in range(int(whole / step) + 1):
        at, text = round(number * step / max(whole, 1e-9) * columns), f"│{_axis_time(number * step)}"
        if at >= len(line) and at + len(text) <= columns:
            line = line.ljust(at) + text
    return line.ljust(columns)


def _tick(whole: float, most: int) -> float:
    """The least of 1, 2 and 5, times a power of 10, that fits into the whole at most so often."""
    power = 1e-6
    while whole / (power * 10) > most:
        power *= 10
    return next(power * times for times in (1, 2, 5, 10) if whole / (power * times) <= most)


def _axis_time(seconds: float) -> str:
    if seconds == 0:
        return "0"
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _time(span: Phase) -> str:
    return short_time(span.seconds)


def short_time(seconds: float) -> str:
    """0.012 → `12 ms`, 2 → `2.0 s`, 660 → `11 m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} m"
