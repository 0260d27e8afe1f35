"""The table of spans, and who writes it. The writer gives `created_at` and `seen_at` itself, or the database does."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Status(models.TextChoices):
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    LOST = "lost"


class Span(models.Model):
    """One stretch of work. Written when it opens (`started`), and again when it closes.

    `execution_id` is the attempt's primary key, without a foreign key: the trace outlives it. Times are UTC, `duration_ms` is
    rounded down.
    """

    trace_id = models.UUIDField(help_text="All 128 bits.")
    span_id = models.UUIDField(help_text="64 bits; the upper half is zero.")
    parent_span_id = models.UUIDField(null=True, blank=True)
    service = models.CharField(max_length=50)
    operation = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.IntegerField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status)
    job_id = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - the schema of the trace store
    execution_id = models.BigIntegerField(null=True, blank=True)
    model_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    region = models.CharField(max_length=50, null=True, blank=True)  # noqa: DJ001
    metadata = models.JSONField(null=True, blank=True, help_text="Attributes, and what else OpenTelemetry has of it.")
    error_message = models.TextField(null=True, blank=True)  # noqa: DJ001
    error_type = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "trace_spans"
        ordering = ["trace_id", "started_at", "id"]
        indexes = [
            models.Index(fields=["trace_id"], name="trace_spans_trace"),
            models.Index(fields=["job_id"], name="trace_spans_job"),
            models.Index(fields=["execution_id"], name="trace_spans_execution"),
            models.Index(fields=["started_at"], name="trace_spans_started"),
            models.Index(fields=["created_at"], name="trace_spans_created"),
            models.Index(fields=["service", "operation"], name="trace_spans_operation"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.operation}"


class Writer(models.Model):
    """A process that writes spans, as it last said of itself. Counters are of this process since its start.

    Of one that is not heard of any more, what it left open is closed as `lost`.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    process = models.CharField(max_length=100, help_text="What it is: web, control, run …, host and pid.")
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="It ended, and nothing of it is open any more.")
    written = models.PositiveBigIntegerField(default=0, help_text="Spans, when they closed.")
    dropped = models.PositiveBigIntegerField(default=0, help_text="Records that found no room, or no table.")

    class Meta:
        db_table = "trace_writers"
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.process
