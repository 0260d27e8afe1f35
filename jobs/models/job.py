"""A job: what the user asked for, and where it stands. The spec never changes once it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.db.models import Q
from uuid6 import uuid7

from jobs.clock import Now
from jobs.spec import JobSpec
from jobs.states import FINAL_JOB, JobState
from tracing.identity import Parent, as_uuid

from .base import Stamped, StampedQuerySet
from .project import Project

if TYPE_CHECKING:
    from .attempt import Attempt

WAITING_REASONS = (
    "paused",
    "run_at",
    "dependency",
    "backoff",
    "concurrency",
    "quota",
    "no_worker",
    "unschedulable",
    "image",
    "config",
    "capacity",
)


class JobQuerySet(StampedQuerySet["Job"]):
    def visible_to(self, user: User | AnonymousUser) -> JobQuerySet:
        """Their own, their projects', or all of them for who may view jobs in the admin."""
        if user.is_active and user.has_perm("jobs.view_job"):
            return self
        # A subquery, not a join: a join would need DISTINCT, which compares whole specs, of all the user's jobs.
        return self.filter(Q(owner_id=user.pk) | Q(project__in=Project.objects.filter(members=user.pk)))

    def in_placing_order(self) -> JobQuerySet:
        return self.order_by("-priority", "queued_at", "pk")


class Job(Stamped):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="jobs")
    project = models.ForeignKey(Project, models.PROTECT, related_name="jobs")
    spec = models.JSONField(help_text="The spec as submitted, with defaults filled in.")

    # Of the spec, what lists are filtered and waiting jobs are ordered by.
    name = models.CharField(max_length=200, blank=True)
    image = models.CharField(max_length=512, blank=True)
    runtime = models.CharField(max_length=20, blank=True, help_text="Asked for; empty: any.")
    priority = models.SmallIntegerField(default=0)
    labels = models.JSONField(default=dict, blank=True)
    run_at = models.DateTimeField(null=True, blank=True)

    # What the placement reads instead of the spec. Memory may grow from try to try, see `retry.memory_factor`.
    needs = models.JSONField(default=dict, blank=True, help_text="See jobs.needs.")
    shape = models.CharField(max_length=32, blank=True, help_text="A name for these needs.")
    concurrency_group = models.CharField(max_length=250, blank=True, help_text="Project and key; empty: none.")
    concurrency_limit = models.PositiveIntegerField(default=1)

    state = models.CharField(max_length=20, choices=JobState, default=JobState.QUEUED, editable=False)
    attempts_count = models.PositiveIntegerField(default=0)
    attempts_before = models.PositiveIntegerField(
        default=0, help_text="Attempts before it was last tried again by hand: the retry policy begins anew."
    )
    lives = models.PositiveIntegerField(default=0, db_default=0, help_text="How often it was tried again by hand.")
    queued_at = models.DateTimeField(db_default=Now())
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="Waits until then: run_at, or a retry's backoff."
    )
    queue_until = models.DateTimeField(null=True, blank=True, help_text="Its queue time-out ends then.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    verdict = models.JSONField(null=True, blank=True)
    verdict_code = models.CharField(max_length=40, blank=True)
    waiting_reason = models.CharField(max_length=20, blank=True)
    waiting_detail = models.CharField(max_length=500, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null is not unique, "" would be
    idempotency_digest = models.CharField(max_length=64, blank=True)
    traceparent = models.CharField(
        max_length=55,
        blank=True,
        default="",
        db_default="",
        help_text="Where its trace goes on, as W3C writes it; empty: it is not traced.",
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=FINAL_JOB, finished_at__isnull=False)
                | (~Q(state__in=FINAL_JOB) & Q(finished_at__isnull=True)),
                name="job_finished_iff_final",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[JobState.FAILED, JobState.CANCELLED]) | ~Q(verdict_code=""),
                name="job_end_has_verdict",
            ),
            models.CheckConstraint(condition=Q(waiting_reason__in=["", *WAITING_REASONS]), name="job_waiting_known"),
            models.UniqueConstraint(fields=["owner", "idempotency_key"], name="job_idempotency_key"),
        ]
        indexes = [
            # Not partial ones: SQLite uses those only where the state stands in the query's text, not among its parameters.
            models.Index(fields=["state", "-priority", "queued_at", "id"], name="job_waiting"),
            models.Index(fields=["state", "shape"], name="job_shape"),
            models.Index(fields=["state", "queue_until"], name="job_queue_until"),
            models.Index(fields=["concurrency_group", "state"], name="job_concurrency"),
            models.Index(fields=["-created_at", "-id"], name="job_newest"),
            models.Index(fields=["state", "-created_at"], name="job_by_state"),
            models.Index(fields=["project", "-created_at"], name="job_by_project"),
            models.Index(fields=["owner", "-created_at"], name="job_by_owner"),
            models.Index(fields=["finished_at"], name="job_by_end"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    def may_be_ended_by(self, user: User) -> bool:
        """Its owner, its project's members, and who may change jobs; seeing a job is not enough."""
        mine = self.owner_id == user.pk or self.project.members.filter(pk=user.pk).exists()
        return mine or user.has_perm("jobs.change_job")

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_JOB

    @property
    def trace_id(self) -> UUID | None:
        """None: it is not traced."""
        found = Parent.parse(self.traceparent)
        return as_uuid(found.trace_id) if found and found.sampled else None

    @property
    def wanted(self) -> JobSpec:
        """The spec, typed. Trusted: it was checked when it was stored."""
        return JobSpec.model_validate(self.spec, context={"stored": True})

    @property
    def current_attempt(self) -> Attempt | None:
        """The newest attempt, from the prefetched ones where there are any."""
        if not self.attempts_count:
            return None
        if "attempts" in getattr(self, "_prefetched_objects_cache", {}):
            return max(self.attempts.all(), key=lambda attempt: attempt.number, default=None)
        return self.attempts.order_by("-number").first()
