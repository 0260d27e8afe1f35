"""Jobs that come after others: what has succeeded holds nobody up any more, and what failed ends those behind it."""

from __future__ import annotations

from django.db.models import Q

from jobs.clock import Now
from jobs.models import Dependency, Job, StampedQuerySet
from jobs.moves import move
from jobs.states import JobState
from jobs.verdicts import Verdict
from jobs.waiting import WAITS_FOR_OTHERS

MOST = 2000
UNSUCCESSFUL = (JobState.FAILED, JobState.CANCELLED)


def unsettled() -> StampedQuerySet[Dependency]:
    return Dependency.objects.filter(settled=False)


def settle() -> None:
    """Bring what waits for others up to date, in the placement's transaction."""
    if not unsettled().exists():
        return
    unsettled().filter(on__state=JobState.SUCCEEDED).update(settled=True)
    while _end_hopeless():
        pass  # who came after those ended just now is hopeless, too
    _forget_ended()
    held_up = Job.objects.filter(state=JobState.QUEUED, pk__in=unsettled().values("job"))
    due = held_up.filter(Q(not_before=None) | Q(not_before__lte=Now())).exclude(waiting_reason="dependency")
    due.update(waiting_reason="dependency", waiting_detail=WAITS_FOR_OTHERS)


def _end_hopeless() -> bool:
    hopeless = unsettled().filter(job__state=JobState.QUEUED, on__state__in=UNSUCCESSFUL)
    found = {link.job_id: link for link in hopeless.select_related("job", "on").order_by("-on")[:MOST]}
    ended = [pk for pk, link in found.items() if _end(link)]
    unsettled().filter(job__in=ended).update(settled=True)
    return bool(found)


def _end(link: Dependency) -> bool:
    verdict = _because_of(link.on)
    return move(
        link.job,
        JobState.CANCELLED,
        actor="placement",
        data={"on": str(link.on_id)},
        verdict=verdict.as_json(),
        verdict_code=verdict.code,
    )


def _forget_ended() -> None:
    """Whoever is over waits for nobody. With their rows locked, as one that is just tried again would be let go unawaited."""
    waited = Job.objects.filter(pk__in=unsettled().values("job"))
    ended = waited.exclude(state=JobState.QUEUED).order_by().select_for_update(skip_locked=True, no_key=True)
    unsettled().filter(job__in=list(ended.values_list("pk", flat=True)[:MOST])).update(settled=True)


def _because_of(on: Job) -> Verdict:
    why = (on.verdict or {}).get("summary", "")
    return Verdict(
        "dependency_failed",
        f"A job that it comes after {'was cancelled' if on.state == JobState.CANCELLED else 'failed'}.",
        (f"job {on.pk} is {on.state}: {on.verdict_code}", *([why] if why else [])),
        "Try that job again, then this one.",
    )
