"""Which finished logs are due to go, and by which rule. Asks, changes nothing.

Age counts from the end of the attempt, by the database's clock. The size rules keep the newest logs that fit: whether
one goes depends on newer ones alone, so that several processes at once come to the same, and dropping changes nothing
for those that stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet, Sum, Window

from jobs.clock import Now
from jobs.models import Attempt, Project
from jobs.quantities import human_bytes
from jobs.states import FINAL_ATTEMPT, FINAL_JOB, AttemptState

from .sizes import stored_bytes

NOTHING = Q(pk__in=[])
SETTLED = timedelta(hours=1)  # after its seal: until then somebody may be packing it
_FAILED = FINAL_ATTEMPT - {AttemptState.SUCCEEDED}


@dataclass(frozen=True)
class Rule:
    """`says`: in words, for whoever misses the log. `due`: which of `kept` go."""

    name: str
    says: str
    due: Q

    def attempts(self) -> QuerySet[Attempt]:
        """Those that go by this rule now; never one that may be being packed."""
        return kept().filter(self.due).filter(Q(log_object__gt="") | Q(log_sealed_at__lt=Now() - SETTLED))


def kept() -> QuerySet[Attempt]:
    """Attempts whose finished log is there, of jobs that are over."""
    return Attempt.objects.filter(
        log_dropped_at=None, log_sealed_at__isnull=False, state__in=FINAL_ATTEMPT, job__state__in=FINAL_JOB
    )


def rules() -> Iterator[Rule]:
    """Each as if those before it had been carried out: what goes by two counts for the first."""
    gone = NOTHING
    for rule in _by_age():
        yield Rule(rule.name, rule.says, rule.due & ~gone)
        gone |= rule.due
    most: int = settings.TOWLINE.TOWLINE_LOG_KEEP_BYTES
    if most and (due := _over(most, kept().filter(~gone))):
        yield Rule("size", f"{human_bytes(most)} are kept in all", due & ~gone)
        gone |= due
    for project, name, its_most in _limited_projects():
        of_it = Q(job__project=project)
        if due := _over(its_most, kept().filter(of_it & ~gone)):
            yield Rule("project_size", f"{human_bytes(its_most)} are kept of project {name}", of_it & due & ~gone)


def _by_age() -> Iterator[Rule]:
    now = Project.objects.values_list(Now(), flat=True).first()
    if now is None:  # without a project there is no job
        return
    ours = settings.TOWLINE
    yield from _aged(now, "age", "log_keep_days", {AttemptState.SUCCEEDED}, ours.TOWLINE_LOG_KEEP_DAYS)
    yield from _aged(now, "failed_age", "log_keep_days_failed", _FAILED, ours.TOWLINE_LOG_KEEP_DAYS_FAILED)


def _aged(now: datetime, name: str, field: str, states: frozenset[str] | set[str], default: int) -> Iterator[Rule]:
    """One rule for each number of days in use; 0 is for ever."""
    what = "successes" if name == "age" else "failures"
    own = Project.objects.exclude(**{field: None}).values_list(field, flat=True).distinct().order_by(field)
    for days in sorted({default, *own} - {0}):
        whose = Q(**{f"job__project__{field}": days})
        if days == default:
            whose |= Q(**{f"job__project__{field}": None})
        due = Q(state__in=states, finished_at__lt=now - timedelta(days=days)) & whose
        yield Rule(name, f"logs of {what} are kept {days} day{'s' if days > 1 else ''}", due)


def _limited_projects() -> Iterator[tuple[int, str, int]]:
    limited = Project.objects.filter(log_keep_bytes__gt=0).order_by("name")
    for pk, name, most in limited.values_list("pk", "name", "log_keep_bytes"):
        yield pk, name, most or 0


def _over(most: int, attempts: QuerySet[Attempt]) -> Q | None:
    """The newest that does not fit any more beside those newer than it, and all before it."""
    newest_first = [F("finished_at").desc(), F("pk").desc()]
    so_far = Window(Sum("size"), order_by=newest_first)
    too_much = attempts.annotate(size=stored_bytes()).annotate(so_far=so_far).filter(so_far__gt=most)
    first = too_much.order_by(*newest_first).values_list("finished_at", "pk").first()
    if first is None:
        return None
    at, pk = first
    return Q(finished_at__lt=at) | Q(finished_at=at, pk__lte=pk)
