"""Traces over REST: the waterfall, what was wrong, what was like it, what changed; of what the caller may see."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import DatabaseError
from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from jobs.models import Job
from jobs.traces.answers import attempt_of, changes_shown
from jobs.traces.changed import DAYS, Window, what_changed
from jobs.traces.listing import Begun, Wanted, traces
from jobs.traces.reading import Trace, trace, trace_of_job
from jobs.traces.shown import trace_shown
from jobs.traces.sight import Sight

from .problems import TracesUnreadable
from .serializers import ProblemSerializer
from .trace_serializers import (
    ChangesAskedSerializer,
    ChangesSerializer,
    TracesAskedSerializer,
    TraceSerializer,
    TracesSerializer,
)
from .views import acting_user

log = logging.getLogger(__name__)
EVER, NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=UTC)  # what spans begin between
PROBLEMS = {
    400: OpenApiResponse(ProblemSerializer),
    404: OpenApiResponse(ProblemSerializer),
    503: OpenApiResponse(ProblemSerializer),
}


class AsksTraces(APIView):
    """A trace store that fails is a problem document with the remedy, and jobs go on without it."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            log.error("the trace store failed a request: %s", exc)
            exc = TracesUnreadable()
        return super().handle_exception(exc)

    @property
    def sight(self) -> Sight:
        return Sight(acting_user(self.request))

    def job(self) -> Job:
        jobs = Job.objects.visible_to(self.request.user).select_related("project")
        return generics.get_object_or_404(jobs, pk=self.kwargs["pk"])


class Traces(AsksTraces):
    @extend_schema(
        operation_id="traces_list", parameters=[TracesAskedSerializer], responses={200: TracesSerializer, **PROBLEMS}
    )
    def get(self, request: Request) -> Response:
        """Traces with a span of that status, slower than that, of that service …: the newest first."""
        given = asked(request, TracesAskedSerializer)
        cursor, days, limit = given.pop("cursor", ""), given.pop("days", None), given.pop("limit")
        begun = Begun.parse(cursor) if cursor else Begun.now()
        # Another system's clock may be wrong, and what it recorded of any age.
        whole = days is None and given.keys() & {"job", "execution"}
        window = (EVER, NEVER) if whole else (begun.at - timedelta(days=days or DAYS), begun.at)
        page = traces(Wanted(*window, begun, **given), self.sight, limit)
        following = begun.cursor(page.behind) if page.behind else None
        shown = {"next": _with_cursor(request, following), "previous": None, "results": page.results}
        return Response(TracesSerializer(shown).data)


class TraceDetail(AsksTraces):
    @extend_schema(responses={200: TraceSerializer, **PROBLEMS})
    def get(self, request: Request, trace_id: str) -> HttpResponse:
        """A trace by its id, of 32 hexadecimal digits or as a UUID: the spans of it that the caller may see."""
        asked(request, Serializer)
        found = trace(_trace_id(trace_id), self.sight)
        if found is None:
            raise Http404
        return _waterfall(found)


class JobTrace(AsksTraces):
    @extend_schema(responses={200: TraceSerializer, **PROBLEMS})
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """The job's waterfall, from the request on. One that is not traced has a note that says why."""
        asked(request, Serializer)
        found = trace_of_job(self.job(), self.sight)
        return _waterfall(found)


class JobChanges(AsksTraces):
    @extend_schema(parameters=[ChangesAskedSerializer], responses={200: ChangesSerializer, **PROBLEMS})
    def get(self, request: Request, pk: UUID) -> Response:
        """What changed since the same job last worked: its spec and where it ran, its phases, what its failures share."""
        job, given = self.job(), asked(request, ChangesAskedSerializer)
        window = Window(datetime.now(UTC), given["last"], given["days"])
        found = what_changed(job, attempt_of(job, given.get("attempt")), window, self.sight)
        return Response(ChangesSerializer(changes_shown(found, job, window)).data)


def asked(request: Request, kind: type[Serializer[Any]]) -> dict[str, Any]:
    """The parameters, checked. One that nobody reads is an error rather than ignored."""
    asked = kind(data=request.query_params)
    known = ", ".join(sorted(asked.fields)) or "nothing"
    if unknown := set(request.query_params) - set(asked.fields):
        raise ValidationError({name: [f"unknown: {known} is known here"] for name in sorted(unknown)})
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _with_cursor(request: Request, cursor: str | None) -> str | None:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor) if cursor else None


def _waterfall(found: Trace) -> HttpResponse:
    """Past the serializer, which takes longer than all else for thousands of spans; what it describes is what this is."""
    shown = trace_shown(found, datetime.now(UTC))
    return HttpResponse(orjson.dumps(shown, option=orjson.OPT_UTC_Z), content_type="application/json")


def _trace_id(text: str) -> UUID:
    if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text, re.ASCII | re.IGNORECASE):
        raise Http404
    return UUID(text)
