"""Spans that were sent here, as far as they are taken: of a job's container, within its bounds, and of other systems.

How they are read is in `tracing.otlp`, who may send them in `jobs.api.otlp`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import Q
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracing import running
from tracing.identity import as_uuid
from tracing.models import Span
from tracing.otlp.taking import Home, Taken, take
from tracing.records import Record
from tracing.services import CONTAINER, SERVICES

from . import traced
from .models import Attempt
from .secrets.mask import Mask
from .secrets.sealing import Unreadable, unseal
from .tokens import tokens_of

OTHER_TRACES = 100  # of one request, besides the job's own
REMEMBERED = 1000  # attempts whose spans were counted


class NoRoom(Exception):
    """More wait to be written than may: it is to be sent again later."""


def receive(sent: ExportTraceServiceRequest, attempt: Attempt | None = None) -> list[str]:
    """Why spans were refused, a reason for each; the others are taken. `attempt`: its container sent them. Raises NoRoom."""
    taken = take(sent, time.time_ns()) if attempt is None else _take_from(sent, attempt)
    if not settings.TOWLINE.traces:
        return taken.refused + ["tracing is off here: set ENABLE_DB_TRACING"] * len(taken.records)
    _hand_over(taken.records)
    if attempt is not None and taken.records:
        _counts.add(attempt, len(taken.records))
    return taken.refused


def _hand_over(records: Sequence[Record]) -> None:
    writer, backend = running.writer(), running.backend()
    if writer is not None and writer.waiting + len(records) > settings.TOWLINE.TOWLINE_TRACE_BUFFER:
        raise NoRoom
    if backend is not None:
        backend.received(records)


def _take_from(sent: ExportTraceServiceRequest, attempt: Attempt) -> Taken:
    if (hide := _mask_of(attempt)) is None:
        everything = take(sent, time.time_ns())
        gone = "the attempt is over, and with it the secrets that they would be masked by are gone"
        return Taken([], everything.refused + [gone] * len(everything.records))
    place = traced.place_of_container(attempt)
    taken = take(sent, time.time_ns(), Home(traced.subject_of_attempt(attempt), place), hide)
    taken = _without_others(taken, attempt, place.trace_id if place else None)
    most = settings.TOWLINE.TOWLINE_TRACE_CONTAINER_SPANS
    room = max(0, most - _counts.of(attempt))
    reason = f"{most} spans of this attempt were taken, which is all (TOWLINE_TRACE_CONTAINER_SPANS)"
    return Taken(taken.records[:room], taken.refused + [reason] * len(taken.records[room:]))


def _mask_of(attempt: Attempt) -> Callable[[str], str] | None:
    """What hides the container's secrets, its token among them; None where nobody knows them any more."""
    values: dict[str, str] = {}
    if attempt.job.wanted.secrets:
        try:
            values = orjson.loads(unseal(attempt.secrets)) if attempt.secrets else {}
        except Unreadable:
            return None
        if not values:
            return None
    return Mask([*values.values(), *tokens_of(attempt)]).hide_text


def _without_others(taken: Taken, attempt: Attempt, own: int | None) -> Taken:
    """Without spans of a trace that others write to, and without what would take the place of the platform's own spans.

    A program that goes by no `TRACEPARENT` begins traces of its own: those are taken.
    """
    others = list(dict.fromkeys(record.trace_id for record in taken.records if record.trace_id != own))
    known = Span.objects.filter(trace_id__in=map(as_uuid, others[:OTHER_TRACES])).exclude(job_id=str(attempt.job_id))
    closed = {each.int for each in known.values_list("trace_id", flat=True).distinct()} | {*others[OTHER_TRACES:]}
    ours = _platforms_spans(own, attempt) if own else frozenset()
    kept = Taken(refused=taken.refused)
    for record in taken.records:
        if record.trace_id in closed:
            kept.refused.append("its trace is not this job's: go on from TRACEPARENT")
        elif record.trace_id == own and record.span_id in ours:
            kept.refused.append("its span_id is that of one of the platform's own spans")
        else:
            kept.records.append(record)
    return kept


def _platforms_spans(trace_id: int, attempt: Attempt) -> set[int]:
    """Those that are there, those that may still come, and what other attempts' containers have sent."""
    others = Q(service__in={*SERVICES} - {CONTAINER}) | ~Q(execution_id=attempt.pk)
    found = Span.objects.filter(others, trace_id=as_uuid(trace_id)).values_list("span_id", flat=True)
    return {each.int for each in found} | traced.ids_of_lives(attempt.job)


class Counts:
    """How many spans of an attempt there are: what the table says when it is first asked for, and what came since."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, attempt: Attempt) -> int:
        with self._lock:
            if (found := self._known.get((attempt.job_id, attempt.number))) is not None:
                return found
        self.add(attempt, count := Span.objects.filter(execution_id=attempt.pk).count())
        return count

    def add(self, attempt: Attempt, count: int) -> None:
        key = attempt.job_id, attempt.number
        with self._lock:
            self._known[key] = self._known.get(key, 0) + count
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


_counts = Counts()
