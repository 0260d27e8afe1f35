"""What goes on beside a trace, on its time axis: when lines were written, and what its containers used.

Of usage there are samples where it ran for long enough. Of a short one there is its peak of memory and its CPU time: one level
over the time in which it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from jobs.logs.density import Density, density
from jobs.logs.vault import Unreadable
from jobs.models import Attempt
from jobs.quantities import human_bytes
from jobs.usage import Sample, samples_of

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


@dataclass(frozen=True)
class Stretch:
    """Of an attempt, how much it used from when to when."""

    attempt: Attempt
    begin: datetime
    end: datetime
    memory_bytes: int
    cpus: float
    sampled: bool


def _of_usage(attempts: list[Attempt], axis: Axis, now: datetime) -> Iterator[Lane]:
    ran = [attempt for attempt in attempts if attempt.started_at and attempt.usage]
    samples = samples_of(ran)
    known = [stretch for one in ran for stretch in _stretches(one, samples.get(one.pk, []), now)]
    highest = max((each.memory_bytes for each in known), default=0)
    busiest = max(1.0, *(each.cpus for each in known), 0.0)
    yield Lane(
        "memory",
        tuple(
            _level(each, axis, each.memory_bytes / _limit(each.attempt, highest), _of_limit(each))
            for each in known
            if each.memory_bytes
        ),
    )
    yield Lane("CPUs", tuple(_level(each, axis, each.cpus / busiest, _busy(each)) for each in known if each.cpus))


def _stretches(attempt: Attempt, samples: list[Sample], now: datetime) -> Iterator[Stretch]:
    begin, end = attempt.started_at or now, attempt.finished_at or now
    for sample in samples:
        yield Stretch(attempt, begin, max(begin, sample.time), sample.memory_bytes, sample.cpus, sampled=True)
        begin = max(begin, sample.time)
    if not samples:
        cpus = attempt.usage.get("cpu_seconds", 0) / max((end - begin).total_seconds(), 0.001)
        yield Stretch(attempt, begin, end, attempt.usage.get("memory_peak_bytes", 0), cpus, sampled=False)


def _level(each: Stretch, axis: Axis, share: float, says: str) -> Block:
    begin = axis.place(each.begin)
    height = round(min(1.0, max(LEAST_SHARE, share)) * HEIGHT, 1)
    width = max(0.1, axis.place(each.end) - begin)
    return Block(round(begin, 3), round(width, 3), HEIGHT - height, height, f"Attempt {each.attempt.number}: {says}")


def _limit(attempt: Attempt, most: int) -> int:
    return max(attempt.memory_bytes or most, 1)


def _of_limit(each: Stretch) -> str:
    limit = f" of {human_bytes(each.attempt.memory_bytes)}" if each.attempt.memory_bytes else ", no limit"
    return f"{human_bytes(each.memory_bytes)}{limit}" + ("" if each.sampled else " at its peak")


def _busy(each: Stretch) -> str:
    return f"{each.cpus:.2g} CPUs" + ("" if each.sampled else " on average")


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
