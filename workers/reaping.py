"""Traces are whole although processes die: what is over by the database is over in its trace, too. Any process, any number at once.

What a gone process had under way itself, `tracing.reaper` knows; of jobs, attempts and programs, how they ended is known here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError

from jobs import traced
from jobs.models import Attempt, Job
from jobs.traced import Ended
from tracing import reaper, spans
from tracing.identity import as_uuid
from tracing.marks import Mark
from tracing.models import Span

AT_ONCE = 500
CERTAIN_SECONDS = 8.0  # two rounds: who lives has said so in between
SLICE = timedelta(minutes=10)
SETTLED = timedelta(seconds=10)  # in which whoever made the move has written it, unless it is gone
AGAIN = timedelta(seconds=30)  # looked at once more: who looked may have died before it wrote, and clocks are set back
T = TypeVar("T")
log = logging.getLogger(__name__)
_failing = False


def try_to_reap() -> None:
    """One round, as far as the trace store allows; that it does not is told once."""
    global _failing
    try:
        reap()
    except DatabaseError as error:
        if not _failing:
            log.warning("traces are put right later, the trace store does not answer: %s", error)
        _failing = True
    else:
        _failing = False


def reap() -> None:
    """One round. Nothing at all where there is no table to put right."""
    if not (settings.TOWLINE.ENABLE_DB_TRACING and spans.on()):
        return
    reaper.reap(certain_seconds=CERTAIN_SECONDS)
    for mark, until in Mark("reaper").slices(SLICE, SETTLED):
        _close_between(mark - AGAIN, until)


def _close_between(since: datetime, until: datetime) -> None:
    """Of all that ended then."""
    attempts = Attempt.objects.filter(finished_at__gt=since, finished_at__lte=until).exclude(job__traceparent="")
    for some in _some(attempts.select_related("job").defer("job__spec").iterator(AT_ONCE)):
        _close_missing([ended for attempt in some for ended in traced.ended_with_attempt(attempt)])
    jobs = Job.objects.filter(finished_at__gt=since, finished_at__lte=until).exclude(traceparent="")
    for over in _some(jobs.defer("spec").iterator(AT_ONCE)):
        _close_missing([ended for job in over for ended in traced.ended_with_job(job)])
        _close_what_else_is_open(over)


def _some(rows: Iterable[T]) -> Iterator[list[T]]:
    found: list[T] = []
    for row in rows:
        found.append(row)
        if len(found) == AT_ONCE:
            yield found
            found = []
    if found:
        yield found


def _close_missing(ended: Sequence[Ended]) -> None:
    """Those that are open in the table, or not there at all."""
    there = Span.objects.filter(
        trace_id__in={as_uuid(life.parent.trace_id) for life, *_ in ended},
        span_id__in={as_uuid(life.span_id) for life, *_ in ended},
    )
    closed = set(there.filter(completed_at__isnull=False).values_list("trace_id", "span_id"))
    for one in ended:
        if (as_uuid(one[0].parent.trace_id), as_uuid(one[0].span_id)) not in closed:
            spans.closed(*one)


def _close_what_else_is_open(jobs: Sequence[Job]) -> None:
    """Of jobs that are over: their waiting, which ended when the attempt of that number came, and earlier lives of theirs."""
    by_id = {str(job.pk): job for job in jobs}
    lives = Span.objects.filter(job_id__in=by_id, execution_id=None)
    known = [as_uuid(life.span_id) for job in jobs for life, *_ in traced.ended_with_job(job)]
    reaper.close_lives(lives.exclude(span_id__in=known), lambda span: _ending(by_id[str(span.job_id)], span))


def _ending(job: Job, span: Span) -> reaper.Ending:
    number = ((span.metadata or {}).get("attributes") or {}).get("number")
    attempt = job.attempts.filter(number=number).first() if isinstance(number, int) else None
    if attempt is not None:
        return reaper.Ending(attempt.created_at, spans.Status.COMPLETED, "", "")
    ((_, at, status, error_type, message),) = traced.ended_with_job(job)
    return reaper.Ending(at, status, error_type, message)
