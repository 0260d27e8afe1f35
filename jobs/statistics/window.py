"""The stretch of time that figures are about: `90s`, `30m`, `24h`, `7d`, `2w`, up to now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=366)
HOURLY = timedelta(days=3)  # longer ones are told by the day
DEFAULT = "24h"
GRAMMAR = "write a number with s, m, h, d or w behind it, from 1m to 366d: 24h"


@dataclass(frozen=True)
class Window:
    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since

    @property
    def bucket(self) -> timedelta:
        """An hour or a day, in UTC."""
        return timedelta(hours=1) if self.length <= HOURLY else timedelta(days=1)

    @property
    def buckets(self) -> list[datetime]:
        """When each begins, the first before `since`."""
        hour = 0 if self.bucket > timedelta(hours=1) else self.since.hour
        first = self.since.replace(hour=hour, minute=0, second=0, microsecond=0)
        return [first + n * self.bucket for n in range((self.until - first) // self.bucket + 1)]


def window(text: str = DEFAULT, until: datetime | None = None) -> Window:
    """ValueError says how to write one."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text, re.ASCII)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not SHORTEST.total_seconds() <= seconds <= LONGEST.total_seconds():
        raise ValueError(GRAMMAR)
    now = until or timezone.now()
    return Window(now - timedelta(seconds=seconds), now)
