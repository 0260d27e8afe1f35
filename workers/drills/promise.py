"""What must hold during a drill, by when, and what was found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOMENT_SECONDS = 5.0  # for what should take none, on a machine that is busy
RECONNECT_SECONDS = 15.0  # of Celery's consumers, after Redis was away
COUNT_SECONDS = 0.1  # between two lines of a counting job


@dataclass(frozen=True)
class Bounds:
    """Seconds, from the installation's settings. `restart`: how long a supervisor has to start again what was ended."""

    heartbeat: float
    lease: float
    grace: float
    restart: float

    @property
    def notice(self) -> float:
        """Until a live worker has seen what is new."""
        return 2 * self.heartbeat + MOMENT_SECONDS

    @property
    def lapse(self) -> float:
        """Until an attempt whose worker fell silent is followed again by whoever reaches its engine."""
        return self.lease + self.notice

    @property
    def begin(self) -> float:
        """Until a job begins whose hints were lost."""
        return self.lapse + RECONNECT_SECONDS

    @property
    def count(self) -> int:
        """Lines of a job that outlasts a lapse."""
        return round((self.lease + 2 * self.heartbeat + 2) / COUNT_SECONDS)

    @property
    def end(self) -> float:
        """Until a job with that many lines is over, wherever it stands."""
        return 2 * self.count * COUNT_SECONDS + self.lapse


@dataclass(frozen=True)
class Promise:
    """`says` is a sentence; `seconds` by when, None where it just has to be so at the end."""

    key: str
    says: str
    seconds: float | None = None

    def __str__(self) -> str:
        return self.says if self.seconds is None else f"{self.says} (within {self.seconds:g} s)"

    def as_json(self) -> dict[str, Any]:
        return {"promise": self.says, "limit_seconds": self.seconds}


@dataclass(frozen=True)
class Finding:
    """`seconds`: how long it took, where that was measured. `detail`: what was seen instead, or besides."""

    promise: Promise
    held: bool
    seconds: float | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        taken = None if self.seconds is None else round(self.seconds, 2)
        return {**self.promise.as_json(), "held": self.held, "seconds": taken, "detail": self.detail}
