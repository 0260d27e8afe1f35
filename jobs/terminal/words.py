"""Times, sizes and names as people read them in a terminal. Pure, but for `whoever_is_here`."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta

SHORT = 8  # the end of an id: a UUIDv7 begins with the time, so that jobs of one minute share their first characters


def safe(text: str) -> str:
    """Without control characters: a name must not be able to move the cursor or change colours."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def short_id(job_id: object) -> str:
    return str(job_id)[-SHORT:]


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def duration(seconds: float | None) -> str:
    """0.25 → `0.2 s`, 75 → `1 m 15 s`, None → `–`."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def age(seconds: float | None) -> str:
    """One unit only: `12 s`, `3 m`, `5 h`, `2 d`."""
    if seconds is None:
        return "–"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "–"


def after(start: datetime, moment: datetime) -> str:
    """Relative times of a time-line: `+1.25 s`, `+2 m 03 s`."""
    seconds = (moment - start) / timedelta(seconds=1)
    return f"+{seconds:.2f} s" if seconds < 60 else f"+{duration(seconds)}"


def whoever_is_here() -> str:
    """The actor of what a command does."""
    try:
        return f"{getpass.getuser()} (command)"
    except (KeyError, OSError):  # a container may run under a number that no passwd file names
        return "command"
