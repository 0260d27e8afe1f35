"""Whose eyes look at a trace. A trace may hold spans of several jobs: what somebody joined to it by its id is not theirs to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from uuid import UUID

from django.contrib.auth.models import User

from jobs.models import Job, JobQuerySet
from tracing.models import Span
from tracing.rows import Row

AT_ONCE = 1000  # ids in a query


class Sight:
    """`user` None: the platform's own commands, which see everything."""

    def __init__(self, user: User | None = None) -> None:
        self.user = user

    @cached_property
    def sees_all(self) -> bool:
        user = self.user
        return user is None or (
            user.is_active and (user.has_perm("jobs.view_job") or user.has_perm("tracing.view_span"))
        )

    @property
    def jobs(self) -> JobQuerySet:
        return Job.objects.visible_to(self.user) if self.user else Job.objects.all()

    def visible(self, rows: Sequence[Row]) -> list[Row]:
        """Spans of no job are shown where their trace has jobs, and all of them are visible: those that are not among
        the rows, too.
        """
        if self.sees_all:
            return list(rows)
        seen = self.jobs_seen({row.job_id for row in rows if row.job_id})
        open_traces = {trace_id for trace_id in {row.trace_id for row in rows} if self._hides_nothing(trace_id)}
        return [row for row in rows if (row.job_id in seen if row.job_id else row.trace_id in open_traces)]

    def _hides_nothing(self, trace_id: UUID) -> bool:
        of_jobs = Span.objects.filter(trace_id=trace_id, job_id__isnull=False)
        named = {text for text in of_jobs.order_by().values_list("job_id", flat=True).distinct() if text}
        return bool(named) and named == self.jobs_seen(named)

    def jobs_seen(self, job_ids: Iterable[str]) -> set[str]:
        """Of these, as spans name them, those that may be seen."""
        known = {text: pk for text in job_ids if (pk := as_job_id(text))}
        visible: set[UUID] = set()
        for some in _in_parts(sorted(set(known.values()))):
            visible |= set(self.jobs.filter(pk__in=some).values_list("pk", flat=True))
        return {text for text, pk in known.items() if pk in visible}


def as_job_id(text: str) -> UUID | None:
    """A span may name anything as its job."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _in_parts(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
