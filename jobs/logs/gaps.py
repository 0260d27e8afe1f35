"""Where output is missing from a stored log, and what is known of it. Kept in `Attempt.log_gaps`, written with the chunk
behind it (or with the end). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

Reason = Literal[
    "rotated",  # the runtime dropped it from its own log before we read it
    "removed",  # the container was removed before its output was read to the end
    "capped",  # more than is kept of one attempt: the middle was cut out
    "unreadable",  # the runtime could not read its own log there
]
GAPS_MOST = 1000  # kept apart, the cut not counted


@dataclass(frozen=True)
class Gap:
    """Right before line `line` (one more than there are: at the end).

    `lines`: so many *numbered* lines are missing, those right before `line`; 0 when the missing ones were never
    numbered. `bytes`: how much output, None when nobody knows. `since` and `until` (RFC 3339): the last stamp before
    it and the first behind it, where known.
    """

    line: int
    reason: Reason
    lines: int = 0
    bytes: int | None = None
    since: str | None = None
    until: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Gap:
        return cls(**stored)

    def __str__(self) -> str:
        how_much = f"{self.lines} lines" if self.lines else "output"
        size = f", {self.bytes} bytes" if self.bytes is not None else ""
        return f"{how_much} missing before line {self.line} ({self.reason}{size})"


Gaps = tuple[Gap, ...]


def added(gaps: Gaps, gap: Gap) -> Gaps:
    """With one more at the end of the log. Said twice is said once.

    Behind GAPS_MOST of them a further one is merged into the last: that keeps its line and its `since`, and reaches to
    the new one's `until`. What is stored between the two is then within a gap, and there nevertheless.
    """
    apart = [one for one in gaps if one.reason != "capped"]
    last = apart[-1] if apart else None
    if last is not None and (last.line, last.reason) == (gap.line, gap.reason):
        return _changed(gaps, last, replace(last, until=gap.until or last.until))
    if last is None or len(apart) < GAPS_MOST:
        return (*gaps, gap)
    known = None if last.bytes is None or gap.bytes is None else last.bytes + gap.bytes
    return _changed(gaps, last, replace(last, bytes=known, until=gap.until))


def _changed(gaps: Gaps, old: Gap, new: Gap) -> Gaps:
    return tuple(new if one is old else one for one in gaps)


def cut_of(gaps: Iterable[Gap]) -> Gap | None:
    """What was cut out of the middle because there was more than is kept."""
    return next((one for one in gaps if one.reason == "capped"), None)


def with_cut(gaps: Gaps, cut: Gap) -> Gaps:
    """With this cut instead of the one before. Other gaps within it are no more to be seen."""
    head = cut.line - cut.lines  # the first line that is missing
    others = [one for one in gaps if one.reason != "capped"]
    before = [one for one in others if one.line <= head]
    return (*before, cut, *(one for one in others if one.line >= cut.line))


def stamp(at_ns: int | None) -> str | None:
    """RFC 3339 in UTC, to the microsecond, of nanoseconds since the epoch."""
    if at_ns is None:
        return None
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000).isoformat().replace("+00:00", "Z")
