"""Where a job stands, as one look at the database found it: what of it followers are shown."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobs.models import Attempt, Job

from .gaps import Gap
from .prepared import Prepared
from .steps import News

_JOB = ("state", "attempts_count", "waiting_reason", "waiting_detail", "exit_code", "verdict", "finished_at")
_NOT_OF_AN_ATTEMPT = ("handle", "usage", "log_cursor", "image_digest")
# All that may change while an attempt runs; its log's length last, which does so most.
_SHOWN = ("state", "worker", "progress", "log_gaps", "log_bytes", "log_lines")
_pulse = Prepared(
    lambda: Attempt.objects.filter(pk=0).values_list(
        *(f"job__{name}" for name in ("state", "attempts_count", "waiting_reason", "waiting_detail")), *_SHOWN
    )
)
Pulse = tuple[Any, ...] | None


@dataclass(frozen=True)
class Standing:
    """`attempts` by number. Of each, all lines up to its `log_lines` were stored, and all gaps before them known, when
    this was read.
    """

    job: Job
    attempts: Mapping[int, Attempt]
    pulse: Pulse = None
    _news: dict[int | None, News] = field(default_factory=dict)

    @property
    def newest(self) -> int | None:
        return max(self.attempts, default=None)

    def news(self, number: int | None) -> News:
        """Of who follows that attempt; the same object for all of them."""
        if number not in self._news:
            self._news[number] = News(describe(self.job, self.attempts.get(number or 0)))
        return self._news[number]

    def gaps(self, number: int) -> list[Gap]:
        return [Gap.of(stored) for stored in self.attempts[number].log_gaps]


def stand(job_id: UUID, before: Standing | None) -> Standing | None:
    """As it is now; None when the job is not there any more. What was final before is not read again."""
    running = before.attempts[before.newest] if before and before.newest else None
    pulse = next(iter(_pulse.rows(running.pk)), None) if running and not running.is_final else None
    if before and running and pulse and before.pulse and pulse[:-2] == before.pulse[:-2]:
        return _longer(before, running, pulse)
    return _read(job_id, before.attempts if before else {}, pulse)


def _longer(before: Standing, running: Attempt, pulse: tuple[Any, ...]) -> Standing:
    """Nothing is new but lines."""
    attempt = copy(running)
    attempt.log_bytes, attempt.log_lines = pulse[-2:]
    return Standing(before.job, {**before.attempts, attempt.number: attempt}, pulse)


def _read(job_id: UUID, before: Mapping[int, Attempt], pulse: Pulse) -> Standing | None:
    # The job first: if that is final, so are its attempts when they are read.
    job = Job.objects.only(*_JOB).filter(pk=job_id).first()
    if job is None:
        return None
    settled = {n: attempt for n, attempt in before.items() if attempt.is_final}
    open_ones = Attempt.objects.filter(job_id=job_id, number__gt=max(settled, default=0)).defer(*_NOT_OF_AN_ATTEMPT)
    return Standing(job, settled | {attempt.number: attempt for attempt in open_ones}, pulse)


def describe(job: Job, attempt: Attempt | None) -> dict[str, Any]:
    """What a follower is shown of where the job stands."""
    return {
        "state": job.state,
        "attempt": attempt.number if attempt else None,
        "attempt_state": attempt.state if attempt else None,
        "worker": attempt.worker if attempt else None,
        "waiting_reason": job.waiting_reason or None,
        "waiting_detail": job.waiting_detail or None,
        "progress": attempt.progress if attempt else None,
        "log_lines": attempt.log_lines if attempt else 0,
    }


def ending(job: Job, attempt: Attempt | None) -> dict[str, Any]:
    facts = attempt.log_facts() if attempt else {"lines": 0, "bytes": 0, "sha256": None, "complete": None}
    return {
        "state": job.state,
        "exit_code": job.exit_code,
        "verdict": job.verdict,
        **{key: facts[key] for key in ("lines", "bytes", "sha256", "complete")},
    }
