"""The time-line of a job: written in the same transaction as what it tells of, never changed."""

from __future__ import annotations

from django.db import models

from .attempt import Attempt
from .base import Stamped, StampedQuerySet
from .job import Job


class Event(Stamped):
    """`kind` is a state reached, or a step: submitted, cancel_requested, image_pulling, signalled, removed …"""

    job = models.ForeignKey(Job, models.CASCADE, related_name="events")
    attempt = models.ForeignKey(Attempt, models.CASCADE, null=True, blank=True, related_name="events")
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=200, blank=True, help_text="The user or worker who did it.")
    data = models.JSONField(default=dict, blank=True)

    objects = StampedQuerySet["Event"].as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job", "id"], name="event_of_job")]

    def __str__(self) -> str:
        return self.kind
