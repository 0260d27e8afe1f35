"""What goes on beside a trace, on its time axis: when lines were written, and what its containers used.

Of usage, an attempt keeps its peak of memory and its CPU time, no samples: what is drawn is one level over the time in which
the container ran, and the lane says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from jobs.logs.density import Density, density
from jobs.logs.vault import Unreadable
from jobs.models import Attempt
from jobs.quantities import human_bytes

from .axis import Axis

BUCKETS = 240
HEIGHT = 40  # of a lane, in pixels
LEAST_SHARE = 0.08  # a single line still shows
ATTEMPTS_MOST = 20  # whose logs are looked at


@dataclass(frozen=True)
class Block:
    """A rectangle: `x`, `width` in percent of the axis, `y`, `height` in pixels; `says` it in words; `line` to go to."""

    x: float
    width: float
    y: float
    height: float
    says: str
    attempt: int = 0
    line: int = 0


@dataclass(frozen=True)
class Lane:
    name: str
    blocks: tuple[Block, ...]
    note: str = ""


def lanes(attempts: Iterable[Attempt], axis: Axis, now: datetime) -> list[Lane]:
    """Those that have something to show."""
    several = list(attempts)
    found = [_of_logs([one for one in several if one.log_lines], axis), *_of_usage(several, axis, now)]
    return [lane for lane in found if lane.blocks or lane.note]


def _of_logs(attempts: list[Attempt], axis: Axis) -> Lane:
    counted: list[tuple[Attempt, Density]] = []
    notes = []
    if len(attempts) > ATTEMPTS_MOST:
        notes.append(f"of the last {ATTEMPTS_MOST} attempts")
    step_ns = max(1, int(axis.seconds * 1e9 / BUCKETS))
    for attempt in attempts[-ATTEMPTS_MOST:]:
        if attempt.log_dropped_at:
            notes.append(f"the log of attempt {attempt.number} was removed")
            continue
        try:
            counted.append((attempt, density(attempt.pk, _ns(axis.begin), step_ns, BUCKETS)))
        except Unreadable:
            notes.append(f"the log of attempt {attempt.number} can't be read just now")
    if not all(each.whole for _, each in counted):
        notes.append("only the first lines are counted")
    return Lane("log lines", tuple(_blocks(counted)), "; ".join(notes))


def _blocks(counted: list[tuple[Attempt, Density]]) -> Iterator[Block]:
    most = max((bucket.lines for _, each in counted for bucket in each.buckets), default=1)
    for attempt, each in counted:
        for bucket in each.buckets:
            height = round(max(LEAST_SHARE, bucket.lines / most) * HEIGHT, 1)
            yield Block(
                round(bucket.place * 100 / BUCKETS, 3),
                round(100 / BUCKETS, 3),
                HEIGHT - height,
                height,
                f"{bucket.lines:,} {'line' if bucket.lines == 1 else 'lines'} of attempt {attempt.number}, "
                f"from line {bucket.first_line:,}",
                attempt.number,
                bucket.first_line,
            )


def _of_usage(attempts: list[Attempt], axis: Axis, now: datetime) -> Iterator[Lane]:
    ran = [attempt for attempt in attempts if attempt.started_at and attempt.usage]
    memory = {one: one.usage.get("memory_peak_bytes", 0) for one in ran}
    cpus = {one: one.usage.get("cpu_seconds", 0) / max(_seconds(one, now), 0.001) for one in ran}
    yield Lane(
        "memory, peak",
        tuple(
            _level(one, axis, now, peak / _limit(one, max(memory.values())), _of_limit(one, peak))
            for one, peak in memory.items()
            if peak
        ),
    )
    yield Lane(
        "CPUs, mean",
        tuple(
            _level(one, axis, now, used / max(1.0, *cpus.values()), f"{used:.2g} of a CPU on average")
            for one, used in cpus.items()
            if used
        ),
    )


def _level(attempt: Attempt, axis: Axis, now: datetime, share: float, says: str) -> Block:
    begin = axis.place(attempt.started_at or now)
    height = round(min(1.0, max(LEAST_SHARE, share)) * HEIGHT, 1)
    width = max(0.1, axis.place(attempt.finished_at or now) - begin)
    return Block(round(begin, 3), round(width, 3), HEIGHT - height, height, f"Attempt {attempt.number}: {says}")


def _limit(attempt: Attempt, most: int) -> int:
    return max(attempt.memory_bytes or most, 1)


def _of_limit(attempt: Attempt, peak: int) -> str:
    limit = f" of {human_bytes(attempt.memory_bytes)}" if attempt.memory_bytes else ", no limit"
    return f"{human_bytes(peak)}{limit} at its peak"


def _seconds(attempt: Attempt, now: datetime) -> float:
    return ((attempt.finished_at or now) - attempt.started_at).total_seconds() if attempt.started_at else 0.0


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
