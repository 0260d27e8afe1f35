"""The spans of a job, or of a trace, that somebody may see; and where there are none, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from jobs.models import Job
from tracing.models import Span
from tracing.rows import Row, rows_of

from .sight import Sight

MOST = 20_000  # spans of one trace: a program may send without end


@dataclass(frozen=True)
class Trace:
    """`more`: it has spans beyond `MOST`, which are left out. `note`: a sentence where there is less than one would expect."""

    trace_id: UUID | None
    rows: list[Row] = field(default_factory=list)
    more: bool = False
    note: str = ""


def trace(trace_id: UUID, sight: Sight) -> Trace | None:
    """None where nothing of it may be seen."""
    rows, more = read_some(Span.objects.filter(trace_id=trace_id))
    seen = sight.visible(rows)
    return Trace(trace_id, seen, more, CUT if more else "") if seen else None


def trace_of_job(job: Job, sight: Sight) -> Trace:
    """Of a job that may be seen. Where others share its trace: its own spans, and what led to them."""
    if job.trace_id is None:
        return Trace(None, note=why_untraced(job))
    rows, more = read_some(Span.objects.filter(trace_id=job.trace_id))
    if _is_shared(rows):
        rows, more = read_some(Span.objects.filter(Q(job_id=str(job.pk)) | Q(job_id=None), trace_id=job.trace_id))
        rows = _with_ancestors([row for row in rows if row.job_id], rows)
    seen = sight.visible(rows)
    note = CUT if more else "" if seen else NO_SPANS
    return Trace(job.trace_id, seen, more, note)


def spans_of_attempt(job_id: UUID, execution_id: int) -> list[Row]:
    """Those of one attempt, and of its job: its waiting."""
    of_both = Q(execution_id=execution_id) | Q(execution_id=None)
    return read_some(Span.objects.filter(of_both, job_id=str(job_id)))[0]


def has_spans(job_id: UUID, execution_id: int) -> bool:
    return Span.objects.filter(job_id=str(job_id), execution_id=execution_id).exists()


def read_some(spans: QuerySet[Span]) -> tuple[list[Row], bool]:
    """The first so many, and whether there are more."""
    beyond = spans.order_by("id").values_list("id", flat=True)[MOST : MOST + 1]
    edge = next(iter(beyond), None)
    return rows_of(spans if edge is None else spans.filter(id__lt=edge)), edge is not None


def _is_shared(rows: Sequence[Row]) -> bool:
    return len({row.job_id for row in rows if row.job_id}) > 1


def _with_ancestors(own: Sequence[Row], all_rows: Sequence[Row]) -> list[Row]:
    known = {row.span_id: row for row in all_rows}
    wanted = {row.span_id for row in own}
    for row in own:
        above = row.parent_span_id
        while above in known and above not in wanted:
            wanted.add(above)
            above = known[above].parent_span_id
    return [row for row in all_rows if row.span_id in wanted]


CUT = f"Only the first {MOST:,} spans are shown: this trace has more."
NO_SPANS = (
    "The job is traced, and the table has none of its spans: none was written yet, they are exported only "
    "(ENABLE_DB_TRACING is off in some process), or retention has removed them (TOWLINE_TRACE_KEEP_DAYS)."
)


def why_untraced(job: Job) -> str:
    """A sentence, with what to set."""
    if job.traceparent:
        return "The job was not sampled: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, or who submitted it, say how many are."
    if settings.TOWLINE.ENABLE_DB_TRACING:
        return "The job was not traced: it was submitted while tracing was off. Submit it again to have a trace."
    return (
        "The job was not traced, as tracing is off: set ENABLE_DB_TRACING=true for every process, and submit it again."
    )
