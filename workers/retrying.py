"""Whether an attempt that ended is followed by another one, when, and with how much memory: the job's retry policy."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from jobs.clock import Now
from jobs.hints import hand_over
from jobs.models import Attempt, Job
from jobs.moves import move
from jobs.needs import Needs
from jobs.spec import Retry
from jobs.states import JobState
from jobs.verdicts import Kind, Verdict

from .floor import most_memory

PUNCTUAL_SECONDS = 60.0  # a hint is held that long at most; what is due later, the timer places
OUT_OF_MEMORY = ("oom_killed", "oom_child")


def tries_of(attempt: Attempt) -> int:
    """Which try of the policy's it is: what was before a retry by hand, or never begun, does not count."""
    earlier = Attempt.objects.filter(job=attempt.job_id, number__lt=attempt.number)
    begun = earlier.filter(number__gt=attempt.job.attempts_before, claimed_at__isnull=False)
    return begun.count() + 1


def delay_of(job: Job, tries: int, verdict: Verdict | None) -> float | None:
    """Seconds until the next try by the job's policy; None: there is none. Jitter of a tenth keeps herds apart."""
    policy = Retry.model_validate(job.spec["retry"])
    if verdict is None or tries >= policy.max_attempts or not _is_allowed(policy, verdict):
        return None
    delay = min(policy.backoff * policy.factor ** (tries - 1), policy.max_backoff)
    return delay * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


def _is_allowed(policy: Retry, verdict: Verdict) -> bool:
    if verdict.kind is Kind.CANCELLED:
        return False
    grows = policy.memory_factor > 1 and verdict.code in OUT_OF_MEMORY
    return grows or verdict.code in policy.on or verdict.kind.value in policy.on


def queue_again(job: Job, attempt: Attempt, delay: float, verdict: Verdict | None) -> None:
    """In the transaction that ends the attempt."""
    queue_seconds = job.spec["timeouts"]["queue"]
    if delay <= PUNCTUAL_SECONDS:
        hand_over("workers.place", countdown=delay + 0.05)
    grown = _grown(job, verdict)
    move(
        job,
        JobState.QUEUED,
        where={"attempts_count": attempt.number},
        actor="retry policy",
        data={"after_seconds": round(delay, 1), **({"memory_bytes": grown["needs"]["memory_bytes"]} if grown else {})},
        queued_at=Now(),
        not_before=Now() + timedelta(seconds=delay),
        queue_until=Now() + timedelta(seconds=delay + queue_seconds) if queue_seconds else None,
        waiting_reason="backoff",
        waiting_detail=f"Attempt {attempt.number} ended, the next is due in {delay:.0f} s.",
        **grown,
    )


def _grown(job: Job, verdict: Verdict | None) -> dict[str, Any]:
    """The job's needs with more memory, if it ran out of it: never more than the biggest worker has."""
    factor = job.spec["retry"]["memory_factor"]
    if verdict is None or verdict.code not in OUT_OF_MEMORY or factor <= 1:
        return {}
    had = Needs.from_json(job.needs)
    wanted = int(had.memory_bytes * factor)
    needs = had.with_memory(max(had.memory_bytes, min(wanted, most_memory(had) or had.memory_bytes)))
    return {} if needs == had else {"needs": needs.as_json(), "shape": needs.shape}
