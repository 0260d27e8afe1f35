"""Other runs of the same job: those of its project with its name; without a name, those that run the same in the same image.

Looked for among those of the project, at most `LOOK_BACK` older: the cost is bounded, and older ones tell little.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from jobs.models import Attempt, Job, JobQuerySet
from jobs.states import AttemptState, JobState

from .sight import Sight

LOOK_BACK = timedelta(days=90)
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
    """Attempts of the same job that succeeded, submitted before it; the newest first. Their specs are read on demand."""
    before = same_jobs(job, sight).filter(created_at__lt=job.created_at, state=JobState.SUCCEEDED)
    newest = list(before.order_by("-created_at", "-pk").values_list("pk", flat=True)[:most])
    found = without_specs(Attempt.objects.filter(job__in=newest, state=AttemptState.SUCCEEDED))
    return sorted(found, key=lambda attempt: (attempt.job.created_at, attempt.pk), reverse=True)


def same_jobs(job: Job, sight: Sight) -> JobQuerySet:
    """Others, of any state."""
    alike = sight.jobs.filter(project=job.project_id, name=job.name, created_at__gte=job.created_at - LOOK_BACK)
    if not job.name:
        runs = {f"spec__{name}": job.spec.get(name) for name in WHAT_IT_RUNS}
        alike = alike.filter(image=job.image, **runs)
    return alike.exclude(pk=job.pk)


def without_specs(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """A spec may have megabytes, and there may be a thousand of them."""
    return attempts.select_related("job__project").defer("job__spec", "secrets")
