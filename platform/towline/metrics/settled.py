"""Until when nothing of the past can change any more, by the database's clock, and how long one scrape may look back."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db.models import DateTimeField

from jobs.clock import Now
from jobs.models import Installation

# A row has the time at which its statement began, and is seen when its transaction is over: no statement is let run for
# more than a minute, no transaction idle for more than 20 seconds.
SETTLED_AFTER = timedelta(minutes=5)
PATIENCE_SECONDS = 2.0  # Prometheus waits for ten


class Budget:
    """Of one scrape: a batch of each kind it takes in any case.

    Only of a past that no process has summed up yet, as after an upgrade, it needs several until it has caught up.
    """

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._until = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        return time.monotonic() >= self._until


def settled_until() -> datetime:
    rows = Installation.objects.annotate(clock=Now(output_field=DateTimeField()))
    return rows.values_list("clock", flat=True).get() - SETTLED_AFTER
