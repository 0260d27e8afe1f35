"""Attempts: each try with who had it, what came of it, and its own log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_results.models import TaskResult

from jobs.models import Attempt
from jobs.quantities import human_bytes
from jobs.spec import RUNTIMES
from jobs.states import AttemptState

from .base import LookOnly
from .shown import DASH, ago, badge, link, page, ran_for, shortened


class AttemptStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in AttemptState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Attempt]) -> QuerySet[Attempt]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class AttemptRuntimeFilter(AttemptStateFilter):
    title = "runtime"
    parameter_name = "runtime"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in RUNTIMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Attempt]) -> QuerySet[Attempt]:
        return queryset.filter(runtime=self.value()) if self.value() else queryset


@admin.register(Attempt)
class AttemptAdmin(LookOnly[Attempt]):
    change_form_template = "towline/attempt.html"
    list_display = ("shown_state", "what", "shown_worker", "runtime", "why", "took", "log", "age")
    list_display_links = None
    list_filter = (AttemptStateFilter, AttemptRuntimeFilter)
    list_select_related = ("job",)
    search_fields = ("^job__id", "=id", "=worker", "=task_id")
    search_help_text = "By execution id, the id of the job, worker, or Celery's task id"
    ordering = ("-id",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).defer("job__spec", "job__verdict", "handle", "usage", "log_gaps")

    @admin.display(description="state")
    def shown_state(self, attempt: Attempt) -> SafeString:
        return badge(attempt.state)

    @admin.display(description="attempt")
    def what(self, attempt: Attempt) -> SafeString:
        return format_html(
            '<a class="job-name" href="{}">Attempt {}</a><span class="image">of <a href="{}">{}</a></span>',
            page("jobs_attempt_change", attempt.pk),
            attempt.number,
            page("jobs_job_change", attempt.job_id),
            shortened(str(attempt.job), 60),
        )

    @admin.display(description="worker")
    def shown_worker(self, attempt: Attempt) -> SafeString:
        return link(page("workers_worker_named", attempt.worker), attempt.worker)

    @admin.display(description="why")
    def why(self, attempt: Attempt) -> SafeString | str:
        code = (attempt.verdict or {}).get("code")
        return format_html('<code class="code">{}</code>', code) if code else DASH

    @admin.display(description="ran for")
    def took(self, attempt: Attempt) -> str:
        return ran_for(attempt)

    @admin.display(description="log")
    def log(self, attempt: Attempt) -> str:
        return f"{attempt.log_lines:,} lines, {human_bytes(attempt.log_bytes)}"

    @admin.display(description="age")
    def age(self, attempt: Attempt) -> SafeString | str:
        return ago(attempt.created_at)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        attempt: Attempt = context["original"]
        results = TaskResult.objects.filter(task_id=attempt.task_id) if attempt.task_id else TaskResult.objects.none()
        context |= {
            "title": f"Attempt {attempt.number} of {shortened(str(attempt.job), 80)}",
            "subtitle": None,
            "job": attempt.job,
            "attempt": attempt,
            "verdict": attempt.verdict,
            "events": attempt.events.all()[:500],
            "task_result": results.values_list("pk", flat=True).first(),
        }
        return super().render_change_form(request, context, *args, **kwargs)
