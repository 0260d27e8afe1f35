"""A trace's page: of a job, of one of its attempts, of what lies below one span, or of a trace that belongs to no job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.admin import AdminSite
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response

from jobs.models import Attempt, Job
from jobs.traces.reading import read_some
from tracing.identity import span_hex, trace_hex
from tracing.models import Span, Status
from tracing.questions.waterfall import Step, waterfall
from tracing.rows import Row
from tracing.services import SERVICES

from . import missing
from .around import among, read
from .axis import Axis
from .details import details
from .drawing import Picture
from .lanes import lanes
from .standing import standing
from .tree import FOLD_FROM, lines, opened, tree, with_open
from .unusual import unusual

OTHER_COLOURS = 4
OPEN_MOST = 200  # spans named in an address


@dataclass(frozen=True)
class Asked:
    """What the address asks for beside the trace: `attempt` by number, `under` and `span` by a span's id, `all` unfolded.

    The script's: `part` and `fold`, see `_part`; `open`: spans whose folds are to be open, as they are on the page already.
    """

    attempt: int | None
    under: UUID | None
    span: UUID | None
    all: bool
    part: str
    fold: str
    open: frozenset[UUID]

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        number = request.GET.get("attempt", "")
        attempt = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
        under, span = (_span_id(request.GET.get(name, "")) for name in ("under", "span"))
        part, fold = request.GET.get("part", ""), request.GET.get("fold", "")
        held = map(_span_id, request.GET.get("open", "").split()[:OPEN_MOST])
        return cls(attempt, under, span, "all" in request.GET, part, fold, frozenset(filter(None, held)))

    def keep(self, **changes: Any) -> str:
        """The beginning of a link's query, for one more parameter to follow."""
        kept = {"attempt": self.attempt, "under": span_hex(self.under) if self.under else None, "all": self.all or None}
        kept |= changes
        query = urlencode({key: "on" if value is True else value for key, value in kept.items() if value})
        return f"{query}&" if query else ""


def trace_page(request: HttpRequest, site: AdminSite, trace_id: UUID | None, job: Job | None) -> HttpResponse:
    """Whoever calls has asked whether the user may see it."""
    asked, now = Asked.of(request), timezone.now()
    spans = _spans(trace_id, job)
    attempts = list(job.attempts.order_by("number").defer("handle", "log_gaps")) if job else []
    shown: dict[str, Any] = {"job": job, "attempts": attempts, "trace_id": trace_hex(trace_id) if trace_id else ""}
    try:
        with transaction.atomic():  # an error within leaves the connection usable for the rest of the page
            if asked.part:
                return _part(request, spans, asked, attempts, now)
            stands = standing(spans, job, attempts, now)
            if unchanged := get_conditional_response(request, stands.mark):
                return unchanged
            rows = read_some(spans)[0]
    except DatabaseError as error:
        shown |= {"missing": missing.unreadable(error)}
        if asked.part:
            return HttpResponse(shown["missing"].what, status=503)
    else:
        shown |= {"stands": stands}
        shown |= _shown(rows, asked, attempts, now) if rows else {"missing": missing.why(job, settings.TOWLINE)}
    context = {
        **site.each_context(request),
        "title": "Trace",
        "opts": (Job if job else Span)._meta,
        "asked": asked,
        **shown,
    }
    request.current_app = site.name
    return TemplateResponse(request, "towline/trace.html", context)


def _spans(trace_id: UUID | None, job: Job | None) -> QuerySet[Span]:
    """Of a request that submitted many jobs, the trace has the spans of all: a job's page leaves the others out."""
    if trace_id is None:
        return Span.objects.none()
    found = Span.objects.filter(trace_id=trace_id)
    return found if job is None else found.filter(Q(job_id=None) | Q(job_id__in=("", str(job.pk))))


def _part(
    request: HttpRequest, spans: QuerySet[Span], asked: Asked, attempts: list[Attempt], now: datetime
) -> HttpResponse:
    """What the page's script asks for: all of a span, the lines of a fold, or every line."""
    if asked.part == "details":
        found = read(spans, asked.span)
        if found is None:
            raise Http404
        shown = {"span": details(found, now), "keep": asked.keep(under=None)}
        return TemplateResponse(request, "towline/_span.html", shown)
    rows = read_some(spans)[0]
    drawn = _Drawn(rows, asked, attempts, now) if rows else None
    fold = opened(drawn.lines, asked.fold) if drawn and asked.fold else None
    if drawn is None or (asked.fold and fold is None):
        raise Http404
    return HttpResponse(drawn.picture.draw(fold.lines if fold else lines(drawn.nodes, len(rows) + 1)))


class _Drawn:
    """The asked part of a trace, as lines against an axis."""

    def __init__(self, rows: Sequence[Row], asked: Asked, attempts: list[Attempt], now: datetime) -> None:
        self.chosen = next((attempt for attempt in attempts if attempt.number == asked.attempt), None)
        self.steps = _below(_of_attempt(waterfall(rows, now), self.chosen), asked.under)
        self.unusual = unusual(rows, [self.chosen] if self.chosen else attempts, now)
        self.axis = Axis.over([(step.row.started_at, step.row.end(now)) for step in self.steps])
        self.nodes = tree(self.steps, self.unusual.odd)
        self.lines = with_open(lines(self.nodes, len(self.steps) + 1 if asked.all else FOLD_FROM), asked.open)
        self.services = _services(self.steps)
        self.picture = Picture(self.axis, now, dict(self.services), asked.keep())


def _shown(rows: Sequence[Row], asked: Asked, attempts: list[Attempt], now: datetime) -> dict[str, Any]:
    drawn = _Drawn(rows, asked, attempts, now)
    return {
        "axis": drawn.axis,
        "ticks": drawn.axis.ticks(),
        "picture": drawn.picture.draw(drawn.lines),
        "spans": len(drawn.steps),
        "folded": len(drawn.lines) < len(drawn.steps),
        "services": drawn.services,
        "failed": sum(step.row.status not in (Status.COMPLETED, Status.STARTED) for step in drawn.steps),
        "open": sum(step.row.completed_at is None for step in drawn.steps),
        "lanes": lanes([drawn.chosen] if drawn.chosen else attempts, drawn.axis, now),
        "odd": drawn.unusual.odd,
        "causes": drawn.unusual.causes,
        "chosen": drawn.chosen,
        "under": drawn.steps[0].row if asked.under else None,
        "span": details(found, now) if (found := among(rows, asked.span)) else None,
        "keep": asked.keep(under=None),
        "keep_all": asked.keep(all=True),
    }


def _of_attempt(steps: list[Step], chosen: Attempt | None) -> list[Step]:
    """Its spans and what is below them, which may not say whose it is; all of them where it has none."""
    if chosen is None:
        return steps
    found: list[Step] = []
    within: int | None = None  # the depth of its span that we are below of
    for step in steps:
        its = step.row.execution_id == chosen.pk
        if within is None or step.depth <= within:
            within = step.depth if its else None
        if its or within is not None:
            found.append(step)
    least = min((step.depth for step in found), default=0)
    return [Step(step.row, step.depth - least, step.critical) for step in found] or steps


def _below(steps: list[Step], span_id: UUID | None) -> list[Step]:
    """It and what is below it; all of them where there is no such span."""
    at = next((number for number, step in enumerate(steps) if step.row.span_id == span_id), None)
    if at is None:
        return steps
    top = steps[at].depth
    behind = next((n for n in range(at + 1, len(steps)) if steps[n].depth <= top), len(steps))
    return [Step(step.row, step.depth - top, step.critical) for step in steps[at:behind]]


def _services(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """(name, colour) in the order of a job's life; what containers call themselves comes behind."""
    names = {step.row.service for step in steps}
    others = sorted(names - set(SERVICES))
    known = [(name, name) for name in SERVICES if name in names]
    return known + [(name, f"other{number % OTHER_COLOURS}") for number, name in enumerate(others)]


def _span_id(text: str) -> UUID | None:
    try:
        return UUID(int=int(text, 16)) if 0 < len(text) <= 16 else None
    except ValueError:
        return None
