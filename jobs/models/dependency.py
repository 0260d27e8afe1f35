"""One job that another one waits for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .base import Stamped, StampedQuerySet
from .job import Job


class Dependency(Stamped):
    """`job` starts only when `on` has succeeded. `settled`: that was seen, or nobody waits for it any more.

    The rows that still hold somebody up are few, whatever the age of the installation; an index knows them alone.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="dependencies")
    on = models.ForeignKey(Job, models.PROTECT, related_name="dependents")
    settled = models.BooleanField(default=False)

    objects = StampedQuerySet["Dependency"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "on"], name="dependency_once"),
            models.CheckConstraint(condition=~Q(job=models.F("on")), name="dependency_not_on_itself"),
        ]
        indexes = [models.Index(fields=["job"], name="dependency_open", condition=Q(settled=False))]

    def __str__(self) -> str:
        return f"{self.job_id} after {self.on_id}"
