"""Where the time of a job went, from its own time-line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .ways import Took

REACHED = {
    "sent → stored": "submitted",
    "stored → assigned": "assigned",
    "assigned → claimed": "starting",
    "claimed → running": "attempt_running",
    "running → finished": "attempt_succeeded",
}
SEEN = "finished → seen by the waiter"
REMOVED = "(finished → container removed)"


def phases(took: Took, events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds by phase, in order; they add up to the whole. The removal comes after the job's end, beside it."""
    at = {row["kind"]: datetime.fromisoformat(row["at"]).timestamp() for row in events}
    found: dict[str, float] = {}
    before = took.sent_at
    for name, kind in REACHED.items():
        found[name] = (at[kind] - before) * 1000
        before = at[kind]
    found[SEEN] = (took.sent_at - before) * 1000 + took.total
    if "removed" in at:
        found[REMOVED] = (at["removed"] - before) * 1000
    return found
