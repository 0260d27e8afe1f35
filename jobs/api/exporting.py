"""Exports over REST: one job, or all that the filters leave of those that the caller may see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from jobs.exporting.attachment import attachment
from jobs.exporting.forms import DEFAULT, FORMS
from jobs.models import Job

from .filters import JobFilter, KnownFilters
from .serializers import JobSerializer
from .views import VisibleJobs

FORMAT = OpenApiParameter("format", str, enum=list(FORMS), description=f"{DEFAULT} when left out.")
RESPONSES = {(200, form.media_type): OpenApiTypes.BINARY for form in FORMS.values()}


class AsAsked(BaseContentNegotiation):
    """`format=` alone says what comes; the renderer is for errors."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), JSONRenderer.media_type

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]


class ExportFilters(KnownFilters):
    """Those of lists, without pages."""

    beside = frozenset({"format"})


class JobExport(VisibleJobs):
    content_negotiation_class = AsAsked
    serializer_class = JobSerializer

    @extend_schema(parameters=[FORMAT], responses=RESPONSES)
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """The job with its logs: a compressed tar (job.json and each attempt's exact bytes), or its lines as JSON."""
        if unknown := set(request.query_params) - {"format"}:
            raise ValidationError({name: ["unknown: only format is known here"] for name in sorted(unknown)})
        job = self.get_object()
        return attachment(Job.objects.filter(pk=job.pk), _form(request), f"towline-{job.pk}")


class LogsExport(VisibleJobs):
    content_negotiation_class = AsAsked
    serializer_class = JobSerializer
    filter_backends = [ExportFilters]
    filterset_class = JobFilter

    @extend_schema(parameters=[FORMAT], filters=True, responses=RESPONSES)
    def get(self, request: Request) -> HttpResponseBase:
        """All visible jobs that match the filters of the list of jobs, with their logs, the oldest first."""
        return attachment(self.filter_queryset(self.get_queryset()), _form(request))


def _form(request: Request) -> str:
    form = request.query_params.get("format", DEFAULT)
    if form not in FORMS:
        raise ValidationError({"format": [f"choose {' or '.join(FORMS)}"]})
    return form
