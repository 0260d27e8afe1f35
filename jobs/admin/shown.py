"""How values look in the admin: states as badges, times and durations for people, long things shortened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.models import Attempt, Job

LONGEST_TEXT = 20_000
DASH = "–"


def badge(state: str) -> SafeString:
    """A state by word, colour and sign: never by colour alone."""
    return format_html('<span class="badge state-{}">{}</span>', state, state)


def link(url: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def page(name: str, *args: object) -> str:
    """The address of one of the admin's pages."""
    return reverse(f"admin:{name}", args=args)


def span(length: timedelta | float | None) -> str:
    """`0.42 s`, `12 s`, `3 min 20 s`, `5 h 10 min`, `4 d 2 h`."""
    if length is None:
        return DASH
    seconds = max(0.0, length.total_seconds() if isinstance(length, timedelta) else float(length))
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds >= 0.001 else "0 s"
    whole = int(seconds)
    for size, unit, part, part_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{whole} s"


def ran_for(row: Job | Attempt) -> str:
    """From the start to the end, or to now."""
    return span((row.finished_at or timezone.now()) - row.started_at) if row.started_at else DASH


def moment(when: datetime | None) -> SafeString | str:
    """The time of day and date, in UTC, as a machine-readable element."""
    if when is None:
        return DASH
    return format_html('<time datetime="{}">{} UTC</time>', when.isoformat(), f"{when:%Y-%m-%d %H:%M:%S}")


def ago(when: datetime | None) -> SafeString | str:
    if when is None:
        return DASH
    age = " ".join(span(max(timedelta(seconds=1), timezone.now() - when)).split()[:2])  # the minutes are enough
    return format_html(
        '<time datetime="{}" title="{} UTC">{} ago</time>', when.isoformat(), f"{when:%Y-%m-%d %H:%M:%S}", age
    )


def shortened(text: object, most: int = LONGEST_TEXT) -> str:
    """At most `most` characters, and how many more there are."""
    whole = str(text)
    if len(whole) <= most:
        return whole
    return f"{whole[:most]}… ({len(whole) - most:,} more characters)"


def pretty(value: Any, most: int = LONGEST_TEXT) -> str:
    """JSON as people read it, shortened: a spec may hold a megabyte."""
    return shortened(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), most)
