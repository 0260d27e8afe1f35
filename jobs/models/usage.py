"""What an attempt's container used over time. Its peaks are with the attempt itself, and are there for short ones, too."""

from __future__ import annotations

from django.db import models

from .attempt import Attempt
from .base import Stamped, StampedQuerySet


class UsageSeries(Stamped):
    """`rows` by time: milliseconds since 1970, bytes of memory, milliseconds of CPU time so far. See `jobs.usage`."""

    attempt = models.OneToOneField(Attempt, models.CASCADE, primary_key=True, related_name="series")
    rows = models.JSONField(default=list)

    objects = StampedQuerySet["UsageSeries"].as_manager()

    def __str__(self) -> str:
        return f"usage of {self.attempt_id}"
