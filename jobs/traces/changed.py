"""What changed since a job last worked: its spec and where it ran, how long its phases took, what its failures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from jobs.models import Attempt, Job
from jobs.states import AttemptState
from jobs.verdicts import Kind
from tracing.questions.compare import PhaseDifference, compare
from tracing.questions.differences import Difference, differences, too_few
from tracing.rows import Row

from .attributes import attributes
from .peers import Sameness, same_jobs, successes, without_specs
from .reading import spans_of_attempt
from .sight import Sight
from .specs import Change, changes

ROWS_MOST = 50_000  # spans of earlier runs that phases are compared with
RUNS_MOST = 1000  # attempts of the window, the newest
LAST, LAST_MOST = 20, 100
DAYS, DAYS_MOST = 7, 366
# Of an attempt, not of where it ran: compared with the last success one by one, not as a cause.
RAN_ON = ("digest", "worker", "runtime", "engine", "node", "region", "arch", "memory")


@dataclass(frozen=True)
class Window:
    """`last`: so many successes. `days`: so far back failing and passing runs are looked at, up to `now`."""

    now: datetime
    last: int = LAST
    days: int = DAYS


@dataclass
class Changes:
    """`base`: the newest success before it. `few`: why nothing can be said of what failures share."""

    attempt: Attempt | None
    same: Sameness
    base: Attempt | None = None
    spec: list[Change] = field(default_factory=list)
    successes: int = 0
    phases: list[PhaseDifference] = field(default_factory=list)
    failing: int = 0
    passing: int = 0
    few: str = ""
    attributes: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def what_changed(job: Job, attempt: Attempt | None, window: Window, sight: Sight) -> Changes:
    """Between this attempt (None: it never had one) and the successes of the same job that were submitted before it."""
    found = Changes(attempt, Sameness.of(job))
    earlier = successes(job, sight, window.last)
    found.base, found.successes = next(iter(earlier), None), len(earlier)
    if found.base is None:
        found.notes.append(f"There is no earlier success to compare with among {found.same}.")
    else:
        found.spec = [*changes(found.base.job.spec, job.spec), *_ran_on(found.base, attempt)]
    if attempt:
        _compare_phases(found, attempt, earlier, window.now)
    _tell_failing_from_passing(found, job, window, sight)
    return found


def compared(job: Job, attempt: Attempt | None, other: Job, now: datetime) -> Changes:
    """With the newest attempt of another job, however that ended."""
    found = Changes(attempt, Sameness.of(job), other.current_attempt)
    found.spec = [*changes(other.spec, job.spec), *(_ran_on(found.base, attempt) if found.base else [])]
    if attempt and found.base:
        _compare_phases(found, attempt, [found.base], now)
    return found


def _ran_on(base: Attempt, attempt: Attempt | None) -> list[Change]:
    if attempt is None:
        return []
    before, after = attributes([base, attempt])
    pairs = ((name, before.get(name), after.get(name)) for name in RAN_ON)
    return [Change(f"ran on {name}", old, new) for name, old, new in pairs if old != new]


def _compare_phases(found: Changes, attempt: Attempt, earlier: Sequence[Attempt], now: datetime) -> None:
    own = spans_of_attempt(attempt.job_id, attempt.pk)
    histories = list(_histories(earlier))
    if own and histories:
        found.phases = compare(own, histories, now)
    elif earlier:
        what = "This attempt was not traced" if not own else "Nothing that it is compared with was traced"
        found.notes.append(f"{what}: there are no phases to compare. Set ENABLE_DB_TRACING=true for every process.")


def _histories(earlier: Sequence[Attempt]) -> Iterator[list[Row]]:
    read = 0
    for attempt in earlier:
        rows = spans_of_attempt(attempt.job_id, attempt.pk)
        read += len(rows)
        if rows:
            yield rows
        if read > ROWS_MOST:
            return


def _tell_failing_from_passing(found: Changes, job: Job, window: Window, sight: Sight) -> None:
    runs = _runs(job, window, sight)
    failing = attributes([run for run in runs if run.state != AttemptState.SUCCEEDED])
    passing = attributes([run for run in runs if run.state == AttemptState.SUCCEEDED])
    found.failing, found.passing = len(failing), len(passing)
    found.few = too_few(failing, passing)
    found.attributes = differences(failing, passing)


def _runs(job: Job, window: Window, sight: Sight) -> list[Attempt]:
    """Finished attempts of the same job, itself with them, that nobody cancelled."""
    since = window.now - timedelta(days=window.days)
    over = Q(state__in=[AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.LOST], finished_at__gte=since)
    jobs = same_jobs(job, sight).filter(created_at__gte=since - timedelta(days=1)).values("pk")
    attempts = without_specs(Attempt.objects.filter(over, Q(job__in=jobs) | Q(job=job)))
    newest = attempts.order_by("-pk")[:RUNS_MOST]
    return [run for run in newest if (run.verdict or {}).get("kind") != Kind.CANCELLED]
