"""Searching logs over REST: a page of lines, or a stream of them as they are found."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django_filters.utils import translate_validation
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from jobs.logs.query import BadQuery, Query
from jobs.logs.search import Hit, Place, Searched, Wanted, search
from jobs.looks import look
from jobs.models import Attempt, Job

from .filters import JobFilter
from .serializers import LogHitsSerializer, LogSearchSerializer

PAGE_SECONDS = 8.0  # then a page is answered with what was found, and with where to go on
BURST_SECONDS = 0.1
TOLD_EVERY_SECONDS = 1.0
OURS = {*LogSearchSerializer().fields, "format"}


class JsonLines(JSONRenderer):
    media_type = "application/x-ndjson"
    format = "ndjson"


class LogSearch(APIView):
    """Lines of all visible jobs' logs. Filters as for the list of jobs."""

    renderer_classes = [JSONRenderer, JsonLines]

    @extend_schema(
        operation_id="logs_search",
        parameters=[
            LogSearchSerializer,
            *(
                OpenApiParameter(name, str, description="As for the list of jobs.")
                for name in JobFilter.base_filters
                if name != "q"
            ),
        ],
        responses={(200, "application/json"): LogHitsSerializer, (200, "application/x-ndjson"): LogHitsSerializer},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """The newest attempts first, each from its first line on. As application/x-ndjson hits come as they are found,
        `{"searched": …}` now and then, and at last `{"end": true, "matches", "more", "next", "searched"}`.
        """
        attempts, wanted, limit = _asked(request)
        searched = Searched()
        found = search(attempts, wanted, searched)
        if getattr(request.accepted_renderer, "format", "") == "ndjson":
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            body = _as_found(found, searched, limit)
            return StreamingHttpResponse(body, content_type=JsonLines.media_type, headers=headers)
        hits, more = _found_within(found, limit, PAGE_SECONDS)
        place = _next_place(hits, searched, limit) if more else None
        following = replace_query_param(request.build_absolute_uri(), "cursor", _cursor(place)) if place else None
        shown = {
            "results": [hit.as_json() for hit in hits],
            "next": following,
            "previous": None,
            "searched": _told(searched),
        }
        return HttpResponse(orjson.dumps(shown), content_type="application/json")


async def _as_found(found: Iterator[Hit | None], searched: Searched, limit: int) -> AsyncIterator[bytes]:
    matches, more, told_at, last = 0, True, time.monotonic(), None
    while more and matches < limit:
        hits, more = await look(_found_within, found, limit - matches, BURST_SECONDS)
        matches += len(hits)
        last = hits[-1] if hits else last
        if hits:
            yield b"".join(orjson.dumps(hit.as_json()) + b"\n" for hit in hits)
        if time.monotonic() - told_at >= TOLD_EVERY_SECONDS:
            told_at = time.monotonic()
            yield orjson.dumps({"searched": _told(searched)}) + b"\n"
    place = (last.place if last and matches >= limit else searched.place) if more else None
    end = {"end": True, "matches": matches, "more": more, "next": _cursor(place) if place else None}
    yield orjson.dumps({**end, "searched": _told(searched)}) + b"\n"


def _found_within(found: Iterator[Hit | None], most: int, seconds: float) -> tuple[list[Hit], bool]:
    """Hits of so long, a step at least; and whether there may be more."""
    hits: list[Hit] = []
    until = time.monotonic() + seconds
    for hit in found:
        if hit:
            hits.append(hit)
        if len(hits) >= most or time.monotonic() >= until:
            return hits, True
    return hits, False


def _next_place(hits: list[Hit], searched: Searched, limit: int) -> Place | None:
    return hits[-1].place if len(hits) >= limit else searched.place


def _told(searched: Searched) -> dict[str, Any]:
    told = {"attempts": searched.attempts, "bytes": searched.bytes, "passed_over_bytes": searched.passed_over_bytes}
    return {**told, "unreadable": searched.unreadable}


def _cursor(place: Place) -> str:
    return f"{place.attempt}-{place.line}"


def _asked(request: Request) -> tuple[QuerySet[Attempt], Wanted, int]:
    known = {*OURS, *JobFilter.base_filters}
    if unknown := set(request.query_params) - known:
        raise ParseError(f"unknown filter {', '.join(sorted(unknown))}: choose from {', '.join(sorted(known))}")
    asked = LogSearchSerializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    given = asked.validated_data
    try:
        query = Query(given["q"], given["regex"], given["ignore_case"])
    except BadQuery as error:
        raise ValidationError({"q": [str(error)]}) from error
    attempts = Attempt.objects.filter(job__in=_jobs(request))
    attempts = attempts.filter(job=given["job"]) if "job" in given else attempts
    attempts = attempts.filter(number=given["attempt"]) if "attempt" in given else attempts
    after = Place(*map(int, given["cursor"].split("-"))) if "cursor" in given else None
    return attempts, Wanted(query, given.get("stream"), given.get("since"), given.get("until"), after), given["limit"]


def _jobs(request: Request) -> QuerySet[Job]:
    """The visible ones that the filters leave."""
    data = request.query_params.copy()
    for name in OURS:
        data.pop(name, None)
    visible = Job.objects.visible_to(request.user)
    if not data:
        return visible
    found = JobFilter(data, visible, request=request)
    if not found.is_valid():
        raise translate_validation(found.errors)  # type: ignore[misc]
    jobs: QuerySet[Job] = found.qs
    return jobs
