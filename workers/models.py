"""A worker: one of our Celery worker processes that runs jobs, as it last said of itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models

from jobs.clock import Now
from jobs.models import Attempt, Stamped, StampedQuerySet
from jobs.states import ACTIVE_ATTEMPT


def lease() -> timedelta:
    return timedelta(seconds=settings.TOWLINE.TOWLINE_LEASE_SECONDS)


def adoption_grace() -> timedelta:
    return timedelta(seconds=settings.TOWLINE.TOWLINE_ADOPTION_GRACE_SECONDS)


class WorkerState(models.TextChoices):
    ONLINE = "online"
    SUSPECT = "suspect"
    DRAINING = "draining"
    LOST = "lost"
    OFFLINE = "offline"


class WorkerQuerySet(StampedQuerySet["Worker"]):
    def alive(self) -> WorkerQuerySet:
        """Heard of within a lease, by the database's clock, and not stopped.

        A heartbeat from the future is one from before the clock was put back: who lives has sent another by now.
        """
        return self.filter(
            stopped_at=None, last_heartbeat_at__gt=Now() - lease(), last_heartbeat_at__lt=Now() + lease()
        )

    def with_clock(self) -> WorkerQuerySet:
        """Rows that can say their state: it depends on what time it is in the database."""
        return self.annotate(clock=Now(output_field=models.DateTimeField()))


class Worker(Stamped):
    """`boot` is new at every start of the process: what an earlier one claimed is up for adoption.

    `engines` lists what it reaches, as `workers.drivers.protocol.Engine` in JSON. State is never stored: it is what the
    heartbeat's age says.
    """

    name = models.CharField(max_length=200, unique=True)
    boot = models.CharField(max_length=32)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    slots = models.PositiveIntegerField()
    engines = models.JSONField(default=list)
    region = models.CharField(max_length=50, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    draining = models.BooleanField(default=False)
    suspect_since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    last_heartbeat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=models.Q(slots__gte=1), name="worker_has_slots")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> WorkerState:
        if self.stopped_at:
            return WorkerState.OFFLINE
        if abs(self.last_heartbeat_at - self._clock()) > lease():
            return WorkerState.LOST
        if self.suspect_since:
            return WorkerState.SUSPECT
        return WorkerState.DRAINING if self.draining else WorkerState.ONLINE

    def _clock(self) -> datetime:
        clock: datetime | None = getattr(self, "clock", None)
        return clock or Worker.objects.with_clock().get(pk=self.pk)._clock()

    @property
    def runtimes(self) -> list[str]:
        return [engine["runtime"] for engine in self.engines]

    @property
    def running(self) -> models.QuerySet[Attempt]:
        return Attempt.objects.filter(worker=self.name, state__in=ACTIVE_ATTEMPT)

    @property
    def capacity(self) -> dict[str, Any]:
        """Of its biggest engine: cpus, memory in bytes, gpus."""
        return {
            key: max((engine[key] for engine in self.engines), default=0) for key in ("cpus", "memory_bytes", "gpus")
        }


def engine_ids(workers: Iterable[Worker]) -> set[str]:
    return {engine["id"] for worker in workers for engine in worker.engines}
