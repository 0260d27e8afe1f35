"""Other runs of the same job: those of its project with its name; without a name, those that run the same in the same image.

Looked for among the newest of the project, at most `LOOK_BACK` old: the cost is bounded, and older ones tell little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jobs.models import Attempt, Job, JobQuerySet
from jobs.states import AttemptState, JobState

from .sight import Sight

LOOK_BACK = timedelta(days=90)
CANDIDATES = 2000  # unnamed jobs of the same image whose commands are compared
WHAT_IT_RUNS = ("entrypoint", "command", "script")


@dataclass(frozen=True)
class Sameness:
    """What makes another job the same."""

    by: str
    project: str
    name: str
    image: str

    @classmethod
    def of(cls, job: Job) -> Sameness:
        by = "project and name" if job.name else "project, image and command"
        return cls(by, job.project.name, job.name, job.image)

    def __str__(self) -> str:
        if self.name:
            return f"jobs called {self.name} in the project {self.project}"
        return f"jobs without a name in the project {self.project} that run the same command in {self.image}"


def successes(job: Job, sight: Sight, most: int) -> list[Attempt]:
    """Attempts of the same job that succeeded, submitted before it; the newest first."""
    before = same_jobs(job, sight).filter(created_at__lt=job.created_at, state=JobState.SUCCEEDED)
    chosen = list(_running_the_same(job, before, most))
    found = Attempt.objects.filter(job__in=chosen, state=AttemptState.SUCCEEDED).select_related("job")
    return sorted(found, key=lambda attempt: (attempt.job.created_at, attempt.pk), reverse=True)


def same_jobs(job: Job, sight: Sight) -> JobQuerySet:
    """Of those without a name: candidates, see `_running_the_same`."""
    named = {"name": job.name} if job.name else {"name": "", "image": job.image}
    since = job.created_at - LOOK_BACK
    return sight.jobs.filter(project=job.project_id, created_at__gte=since, **named).exclude(pk=job.pk)


def _running_the_same(job: Job, jobs: JobQuerySet, most: int) -> Iterator[Job]:
    newest = jobs.order_by("-created_at", "-pk")
    if job.name:
        yield from newest[:most]
        return
    alike = (one for one in newest[:CANDIDATES] if what_it_runs(one) == what_it_runs(job))
    for _, one in zip(range(most), alike, strict=False):
        yield one


def what_it_runs(job: Job) -> tuple[Any, ...]:
    return tuple(job.spec.get(name) for name in WHAT_IT_RUNS)
