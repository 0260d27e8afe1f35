"""What django-celery-results stored: read-only here, and linked with the attempt it tells of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, UUIDField
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_results.models import GroupResult, TaskResult

from jobs.admin.base import LookOnly
from jobs.admin.shown import DASH, ago, link, moment, page, shortened
from jobs.models import Attempt

# Theirs can be edited and reads the whole table for its filters; of groups we make none.
admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


@admin.register(TaskResult)
class TaskResultAdmin(LookOnly[TaskResult]):
    list_display = ("status", "task_name", "of_attempt", "worker", "short_result", "done")
    list_display_links = ("task_name",)
    search_fields = ("=task_id", "=task_name")
    search_help_text = "By Celery's task id, or a task's name"
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "task_id",
        "task_name",
        "status",
        "of_attempt",
        "worker",
        "at",
        "done",
        "arguments",
        "all_result",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskResult]:
        its = Attempt.objects.filter(task_id=OuterRef("task_id"))
        # The job's id must be said to be one: SQLite would give its bare digits.
        job = Subquery(its.values("job_id")[:1], output_field=UUIDField())
        number = Subquery(its.values("number")[:1])
        attempt = Subquery(its.values("pk")[:1])
        return super().get_queryset(request).annotate(attempt_id=attempt, attempt_job_id=job, attempt_number=number)

    @admin.display(description="attempt")
    def of_attempt(self, result: Any) -> SafeString | str:
        if result.attempt_id is None:
            return DASH
        return format_html(
            "{} of {}",
            link(page("jobs_attempt_change", result.attempt_id), f"attempt {result.attempt_number}"),
            link(page("jobs_job_change", result.attempt_job_id), f"job {result.attempt_job_id}"),
        )

    @admin.display(description="result")
    def short_result(self, result: TaskResult) -> str:
        return shortened(str(result.result or DASH), 100)

    @admin.display(description="result")
    def all_result(self, result: TaskResult) -> SafeString:
        return format_html("<pre>{}</pre>", shortened(f"{result.result or DASH}\n{result.traceback or ''}"))

    @admin.display(description="arguments")
    def arguments(self, result: TaskResult) -> str:
        return shortened(f"{result.task_args or ''} {result.task_kwargs or ''}", 2_000)

    @admin.display(description="stored")
    def at(self, result: TaskResult) -> SafeString | str:
        return moment(result.date_created)  # type: ignore[attr-defined]  # newer than the stubs

    @admin.display(description="done")
    def done(self, result: TaskResult) -> SafeString | str:
        return ago(result.date_done)
