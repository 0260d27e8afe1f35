"""Spans: the list of all, of any trace. Who may view spans sees those of every job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin.base import LookOnly
from jobs.admin.shown import DASH, ago, link, moment, page, pretty, shortened
from tracing.identity import span_hex, trace_hex
from tracing.models import Span, Status
from tracing.services import SERVICES

from .axis import took
from .health import health_page
from .page import trace_page

SIGNS = {
    Status.STARTED: "running", Status.COMPLETED: "succeeded", Status.FAILED: "failed", Status.TIMEOUT: "failed",
    Status.LOST: "lost",
}  # fmt: skip


class ServiceFilter(admin.SimpleListFilter):
    """The platform's own services: asking the table for all would read all of it."""

    title = "service"
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in SERVICES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Span]) -> QuerySet[Span]:
        return queryset.filter(service=self.value()) if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, "open" if status is Status.STARTED else status.value) for status in Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Span]) -> QuerySet[Span]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class WithinFilter(admin.SimpleListFilter):
    title = "began within"
    parameter_name = "within"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "an hour"), ("24", "a day"), ("168", "a week")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Span]) -> QuerySet[Span]:
        if self.value() not in ("1", "24", "168"):
            return queryset
        return queryset.filter(started_at__gte=timezone.now() - timedelta(hours=int(self.value() or 0)))


@admin.register(Span)
class SpanAdmin(LookOnly[Span]):
    list_display = ("shown_status", "what", "its_job", "duration", "why", "age")
    list_display_links = None
    list_filter = (StatusFilter, ServiceFilter, WithinFilter)
    search_fields = ("operation",)  # see get_search_results: only what an index finds
    search_help_text = "By a trace's id, a job's id, an execution id, or an operation in full"
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "trace", "span", "service", "operation", "shown_status", "began", "ended", "duration", "its_job", "execution_id",
        "model_id", "region", "error_type", "error_message", "all_told",
    )  # fmt: skip
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        ours = [
            path("health/", self.admin_site.admin_view(self.health_view), name="tracing_span_health"),
            path("trace/<str:trace_id>/", self.admin_site.admin_view(self.trace_view), name="tracing_span_trace"),
        ]
        return [*ours, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Span]:
        return super().get_queryset(request).defer("metadata")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Span], search_term: str
    ) -> tuple[QuerySet[Span], bool]:
        """Only what an index finds: the table has millions of rows."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(job_id=term) | Q(service__in=SERVICES, operation=term)
        if term.isascii() and term.isdigit() and len(term) < 19:
            wanted |= Q(execution_id=int(term))
        if found := _uuid(term):
            wanted |= Q(trace_id=found) | Q(job_id=str(found))
        return queryset.filter(wanted), False

    # --- pages of their own -------------------------------------------------------------------------------------------

    def trace_view(self, request: HttpRequest, trace_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = _uuid(trace_id)
        if found is None:
            raise Http404
        return trace_page(request, self.admin_site, found, None)

    def health_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return health_page(request, self.admin_site)

    # --- columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="status")
    def shown_status(self, span: Span) -> SafeString:
        state = SIGNS.get(Status(span.status), "queued") if span.status in Status.values else "queued"
        word = "open" if span.status == Status.STARTED else span.status
        return format_html('<span class="badge state-{}">{}</span>', state, word)

    @admin.display(description="span")
    def what(self, span: Span) -> SafeString:
        return format_html(
            '<a class="job-name" href="{}">{}</a><span class="image">{}</span>',
            f"{self._trace(span)}?span={span_hex(span.span_id)}#details",
            span.operation,
            span.service,
        )

    @admin.display(description="job")
    def its_job(self, span: Span) -> SafeString | str:
        if not (found := _uuid(span.job_id or "")):
            return DASH
        return link(page("jobs_job_change", found), str(found)[:13] + "…")

    @admin.display(description="took")
    def duration(self, span: Span) -> str:
        if span.completed_at is None:
            return DASH
        return took((span.completed_at - span.started_at).total_seconds())

    @admin.display(description="why")
    def why(self, span: Span) -> SafeString | str:
        return format_html('<code class="code">{}</code>', span.error_type) if span.error_type else DASH

    @admin.display(description="began")
    def age(self, span: Span) -> SafeString | str:
        return ago(span.started_at)

    @admin.display(description="trace")
    def trace(self, span: Span) -> SafeString:
        return link(self._trace(span), trace_hex(span.trace_id))

    @admin.display(description="span")
    def span(self, span: Span) -> str:
        return span_hex(span.span_id)

    @admin.display(description="began")
    def began(self, span: Span) -> SafeString | str:
        return moment(span.started_at)

    @admin.display(description="ended")
    def ended(self, span: Span) -> SafeString | str:
        return moment(span.completed_at)

    @admin.display(description="metadata")
    def all_told(self, span: Span) -> str:
        return shortened(pretty(span.metadata)) if span.metadata else DASH

    def _trace(self, span: Span) -> str:
        return page("tracing_span_trace", trace_hex(span.trace_id))


def _uuid(text: str) -> UUID | None:
    """Of 32 digits, with or without hyphens."""
    try:
        return UUID(text)
    except ValueError:
        return None
