"""A job's log over REST: exact bytes, pages of lines, or a stream of events. One cursor for all: the line number."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from jobs.logs.dropped import refuse_dropped
from jobs.logs.reader import read_bytes, read_lines, read_page, read_range, tail_start
from jobs.logs.records import STREAMS, StoredLine
from jobs.logs.stretches import of_object
from jobs.looks import look
from jobs.models import Attempt, Job

from .log_streams import Place, events, stamped, text
from .ranges import asked_range
from .serializers import LogPageSerializer, ProblemSerializer
from .views import VisibleJobs

PAGE_LINES = 1000
PAGE_LINES_MOST = 10_000
BATCH = 8
TEXT = "text/plain; charset=utf-8"
PARAMETERS = ("attempt", "from", "limit", "tail", "stream", "timestamps", "follow", "onward", "format")


class Text(BaseRenderer):
    """Only names the media type: the view writes the body."""

    media_type = "text/plain"
    format = "text"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return JSONRenderer().render(data)


class EventStream(Text):
    media_type = "text/event-stream"
    format = "events"


@dataclass(frozen=True)
class Wanted:
    """What of the log is asked for. `start` 1: from the first line."""

    attempt: int | None
    start: int
    limit: int | None
    tail: int | None
    stream: str | None
    timestamps: bool
    follow: bool
    onward: bool


class JobLogs(VisibleJobs):
    renderer_classes = [Text, JSONRenderer, EventStream]
    serializer_class = LogPageSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("attempt", int, description="Its number; the newest when left out."),
            OpenApiParameter("from", int, description="First line, from 1."),
            OpenApiParameter("limit", int, description="At most that many lines; JSON: 1000, at most 10000."),
            OpenApiParameter("tail", int, description="Only the last lines."),
            OpenApiParameter("stream", str, enum=STREAMS),
            OpenApiParameter("timestamps", bool),
            OpenApiParameter("follow", bool, description="Text: stream until the job is over."),
            OpenApiParameter("onward", bool, description="With attempt, when following: go on with its retries."),
            OpenApiParameter("Last-Event-ID", str, "header", description="Events: go on behind that one."),
        ],
        responses={
            (200, "text/plain"): OpenApiTypes.BINARY,
            (200, "application/json"): LogPageSerializer,
            (200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR, "lines, gap, state, and at last end."),
            410: OpenApiResponse(ProblemSerializer, "Retention removed it: when, by which rule, and what is left."),
        },
    )
    def get(self, request: Request, pk: Any) -> HttpResponseBase:
        """The log: exact bytes (text/plain), lines (application/json), or a live stream (text/event-stream)."""
        wanted = _wanted(request)
        job = self.get_object()
        kind = getattr(request.accepted_renderer, "media_type", "text/plain")
        if kind == "text/event-stream":
            return events(_events_place(job, wanted, _last_event_id(request)))
        attempt = _attempt(job, wanted)
        if kind == "application/json":
            return _page(job, attempt, wanted)
        if wanted.follow and not (attempt and attempt.is_final and job.is_final):
            return text(_place(job, attempt, wanted), limit=wanted.limit, timestamps=wanted.timestamps)
        return _text(request, job, attempt, wanted)


def _attempt(job: Job, wanted: Wanted) -> Attempt | None:
    attempt = job.current_attempt if wanted.attempt is None else job.attempts.filter(number=wanted.attempt).first()
    if attempt is None and wanted.attempt is not None:
        raise NotFound(f"The job has no attempt {wanted.attempt}.")
    refuse_dropped(attempt)
    return attempt


def _first_line(attempt: Attempt | None, wanted: Wanted) -> int:
    if attempt is None or wanted.tail is None:
        return wanted.start
    return max(wanted.start, tail_start(attempt.pk, attempt.log_lines, wanted.tail, wanted.stream))


def _page(job: Job, attempt: Attempt | None, wanted: Wanted) -> HttpResponse:
    """`final` is true when the job is over and these lines reach the end of its log."""
    start = _first_line(attempt, wanted)
    limit = min(wanted.limit or PAGE_LINES, PAGE_LINES_MOST)
    lines, cut = read_page(attempt.pk, start=start, limit=limit, stream=wanted.stream) if attempt else ([], False)
    total = attempt.log_lines if attempt else 0
    reached = lines[-1].n if cut else max(total, lines[-1].n if lines else 0, start - 1)
    body = {
        "lines": [line.as_json() for line in lines],
        "next": reached + 1,
        "final": job.is_final and reached >= total,
    }
    return HttpResponse(orjson.dumps(body), content_type="application/json")


def _text(request: Request, job: Job, attempt: Attempt | None, wanted: Wanted) -> HttpResponseBase:
    """The exact bytes, or the lines that are asked for."""
    if attempt is None:
        return HttpResponse(b"", content_type=TEXT)
    of_object(attempt.pk)  # whether the storage answers at all: later there is no status left to say so
    start = _first_line(attempt, wanted)
    plain = wanted.stream is None and wanted.limit is None and not wanted.timestamps
    headers = {"Content-Disposition": f'inline; filename="{job.pk}.log"'}
    if plain and start == 1 and attempt.log_sealed_at is not None:
        return _exact(request, attempt, headers)
    lines = read_lines(attempt.pk, start=start, limit=wanted.limit, stream=wanted.stream)
    body = read_bytes(attempt.pk, start=start) if plain else (_printed(line, wanted) for line in lines)
    return StreamingHttpResponse(_in_thread(body), content_type=TEXT, headers=headers)


def _exact(request: Request, attempt: Attempt, headers: dict[str, str]) -> HttpResponseBase:
    """A sealed log, in full or a range of it, with its length, and its SHA-256 as ETag."""
    facts, tag = attempt.log_facts(), f'"{attempt.log_sha256}"'
    size: int = facts["bytes"]
    headers |= {"ETag": tag, "Accept-Ranges": "bytes"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={"ETag": tag})
    part = asked_range(request.headers.get("Range"), size) if request.headers.get("If-Range", tag) == tag else None
    first, count = part or (0, size)
    headers["Content-Length"] = str(count)
    if part:
        headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{size}"
    body = _in_thread(read_range(attempt.pk, first, count))
    return StreamingHttpResponse(body, status=206 if part else 200, content_type=TEXT, headers=headers)


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, read in a thread and handed on some at a time: the event loop never waits for the database."""
    while batch := await look(lambda: list(islice(pieces, BATCH))):
        yield b"".join(batch)


def _printed(line: StoredLine, wanted: Wanted) -> bytes:
    return stamped(line) if wanted.timestamps else line.data


def _place(job: Job, attempt: Attempt | None, wanted: Wanted) -> Place:
    number = attempt.number if attempt else wanted.attempt
    alone = wanted.attempt is not None and not wanted.onward
    return Place(job.pk, number, _first_line(attempt, wanted), wanted.stream, alone)


def _events_place(job: Job, wanted: Wanted, last_seen: tuple[int, int] | None) -> Place:
    """Behind what was seen last, wherever that was, or as asked for."""
    if last_seen is None:
        return _place(job, _attempt(job, wanted), wanted)
    refuse_dropped(job.attempts.filter(number=last_seen[0]).first())
    return replace(_place(job, None, replace(wanted, tail=None)), attempt=last_seen[0], start=last_seen[1] + 1)


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    errors = {name: [f"unknown: choose from {', '.join(PARAMETERS)}"] for name in query if name not in PARAMETERS}
    stream = query.get("stream")
    if stream not in (None, *STREAMS):
        errors["stream"] = [f"choose one of {', '.join(STREAMS)}"]
    numbers = {name: _whole(query.get(name), name, errors) for name in ("attempt", "from", "limit", "tail")}
    if errors:
        raise ValidationError(errors)
    return Wanted(
        attempt=numbers["attempt"],
        start=numbers["from"] or 1,
        limit=numbers["limit"],
        tail=numbers["tail"],
        stream=stream,
        timestamps=query.get("timestamps") in ("1", "true"),
        follow=query.get("follow") in ("1", "true"),
        onward=query.get("onward") in ("1", "true"),
    )


def _whole(text: str | None, name: str, errors: dict[str, list[str]]) -> int | None:
    if text is None:
        return None
    low = 0 if name == "tail" else 1
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or int(text) < low:
        errors[name] = [f"must be a whole number from {low}"]
        return None
    return int(text)


def _last_event_id(request: Request) -> tuple[int, int] | None:
    """(attempt, line) that a browser saw last before it reconnects; anything that is no id of ours starts anew."""
    seen = re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,15})", request.headers.get("Last-Event-ID", ""), re.ASCII)
    return (int(seen[1] or 1), int(seen[2])) if seen else None
