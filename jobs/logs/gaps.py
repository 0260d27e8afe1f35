"""Where output is missing from a stored log, and what is known of it. Kept in `Attempt.log_gaps`, written with the chunk
behind it (or with the end). Pure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Reason = Literal[
    "rotated",  # the runtime dropped it from its own log before we read it
    "removed",  # the container was removed before its output was read to the end
    "capped",  # more than is kept of one attempt: the middle was cut out
    "unreadable",  # the runtime could not read its own log there
]


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
