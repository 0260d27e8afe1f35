"""An attempt: one try at a job. Its primary key is the execution id."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q

from jobs.states import ACTIVE_ATTEMPT, FINAL_ATTEMPT, AttemptState

from .base import Stamped, StampedQuerySet
from .job import Job


class Attempt(Stamped):
    job = models.ForeignKey(Job, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=AttemptState, default=AttemptState.ASSIGNED, editable=False)

    # Who has it. `fence` is raised by every claim; a write that carries an older one changes nothing.
    worker = models.CharField(max_length=200)
    runtime = models.CharField(max_length=20)
    region = models.CharField(
        max_length=50, blank=True, default="", db_default="", help_text="Of the worker that it was given to first."
    )
    engine = models.CharField(max_length=200, blank=True, help_text="The engine's own id; who reaches it may adopt.")
    fence = models.PositiveIntegerField(default=0)
    boot = models.CharField(
        max_length=32, blank=True, help_text="Of the worker's process that claimed it; empty: nobody."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    # While nobody keeps it: since when that was seen without a break, and when last. See workers.reconcile.
    orphaned_at = models.DateTimeField(null=True, blank=True)
    orphan_seen_at = models.DateTimeField(null=True, blank=True)
    task_id = models.CharField(
        max_length=255, blank=True, help_text="Celery's id of the run; the key of its TaskResult."
    )

    handle = models.JSONField(null=True, blank=True)
    image_digest = models.CharField(max_length=600, blank=True)
    secrets = models.BinaryField(
        default=b"", help_text="What it was given, encrypted, until it is over: its output is masked by these."
    )
    memory_bytes = models.BigIntegerField(null=True, blank=True, help_text="The limit of this try.")
    progress = models.JSONField(null=True, blank=True, help_text="What takes long just now, e.g. an image pull.")
    # What we did to it, so that an exit code of 137 is never guessed at: the verdict code that the stop will have.
    stop_code = models.CharField(max_length=40, blank=True)
    stop_detail = models.CharField(max_length=500, blank=True)
    stop_verdict = models.JSONField(null=True, blank=True, help_text="What it will be judged as, where that is known.")
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    killed_at = models.DateTimeField(null=True, blank=True)

    claimed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When its container was gone.")
    exit_code = models.IntegerField(null=True, blank=True)
    verdict = models.JSONField(null=True, blank=True)
    usage = models.JSONField(default=dict, blank=True, help_text="Peaks: memory_peak_bytes, cpu_seconds.")

    log_cursor = models.CharField(max_length=200, blank=True)
    log_lines = models.PositiveBigIntegerField(default=0)
    log_bytes = models.PositiveBigIntegerField(default=0)
    log_sha256 = models.CharField(max_length=64, blank=True)
    log_sealed_at = models.DateTimeField(null=True, blank=True)
    log_complete = models.BooleanField(default=True)
    log_gaps = models.JSONField(default=list, blank=True, help_text="See `jobs.logs.gaps`.")
    log_delays = models.JSONField(null=True, blank=True, help_text="How late it was stored. See `jobs.logs.delivery`.")
    # Where the sealed log lies once its chunks are gone from the database. See `jobs.logs.kept`.
    log_object = models.CharField(max_length=300, blank=True, help_text="Its name in the log storage.")
    log_object_bytes = models.PositiveBigIntegerField(default=0, help_text="Compressed, with its index.")
    log_packed_at = models.DateTimeField(null=True, blank=True)
    log_dropped_at = models.DateTimeField(null=True, blank=True, help_text="When retention removed it.")

    # In the hands of one process, and no columns: when it saw that the program was over, and on which machine of a cluster.
    exited_at: datetime | None = None
    node: str = ""

    objects = StampedQuerySet["Attempt"].as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="attempt_number"),
            models.UniqueConstraint(
                fields=["job"], condition=Q(state__in=ACTIVE_ATTEMPT), name="one_active_attempt_per_job"
            ),
            models.CheckConstraint(condition=Q(state__in=AttemptState.values), name="attempt_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=FINAL_ATTEMPT, finished_at__isnull=False)
                | (~Q(state__in=FINAL_ATTEMPT) & Q(finished_at__isnull=True)),
                name="attempt_finished_iff_final",
            ),
            models.CheckConstraint(
                condition=Q(state=AttemptState.SUCCEEDED) | Q(state__in=ACTIVE_ATTEMPT) | Q(verdict__isnull=False),
                name="attempt_end_has_verdict",
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="attempt_number_from_1"),
        ]
        indexes = [
            models.Index(fields=["state", "worker"], name="attempt_of_worker"),
            models.Index(fields=["state", "lease_until"], name="attempt_lease"),
            models.Index(fields=["engine", "removed_at"], name="attempt_container_left"),
            models.Index(fields=["task_id"], name="attempt_task"),
            models.Index(fields=["log_packed_at", "log_sealed_at"], name="attempt_log_to_pack"),
            models.Index(fields=["log_dropped_at", "finished_at"], name="attempt_log_kept"),
            models.Index(fields=["finished_at"], name="attempt_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} · attempt {self.number}"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_ATTEMPT

    def log_facts(self) -> dict[str, Any]:
        """What is stored, without what was cut out of the middle. `sha256` and `complete` are null until it is sealed,
        `dropped_at` until retention removed it.
        """
        sealed = self.log_sealed_at is not None
        cut = next((gap for gap in self.log_gaps if gap["reason"] == "capped"), {"lines": 0, "bytes": 0})
        return {
            "lines": self.log_lines - cut["lines"],
            "bytes": self.log_bytes - cut["bytes"],
            "sha256": self.log_sha256 if sealed else None,
            "complete": self.log_complete if sealed else None,
            "gaps": self.log_gaps,
            "dropped_at": self.log_dropped_at and self.log_dropped_at.isoformat().replace("+00:00", "Z"),
        }


class LogChunk(Stamped):
    """A stretch of stored output: whole records, in stored order. See `jobs.logs.records` for their form."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="chunks")
    first_line = models.PositiveBigIntegerField(help_text="Line number of its first line, from 1.")
    lines = models.PositiveIntegerField()
    first_offset = models.PositiveBigIntegerField(help_text="Offset of its first byte, from 0.")
    bytes = models.PositiveIntegerField(default=0, help_text="Of output, before compression.")
    data = models.BinaryField(help_text="The exact bytes, compressed.")
    index = models.BinaryField(help_text="Per line: time, stream, length; compressed.")

    objects = StampedQuerySet["LogChunk"].as_manager()

    class Meta:
        ordering = ["attempt", "first_line"]
        constraints = [
            # Two writers can't both store the same stretch, whatever their fences say.
            models.UniqueConstraint(fields=["attempt", "first_line"], name="chunk_line_once"),
            models.CheckConstraint(condition=Q(lines__gte=1), name="chunk_not_empty"),
            models.CheckConstraint(condition=Q(first_line__gte=1), name="chunk_lines_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.attempt_id}: lines {self.first_line}–{self.last_line}"

    @property
    def last_line(self) -> int:
        return self.first_line + self.lines - 1


LAST_LINE = F("first_line") + F("lines") - 1
