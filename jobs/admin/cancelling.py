"""Cancelling by hand: a question first, then `jobs.services.cancel`, and a message that says what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.template.response import TemplateResponse

from jobs.models import Job
from jobs.services import cancel
from jobs.states import JobState

SHOWN_MOST = 100


class Outcome(Enum):
    """What asking for the end came to, as (one job, several)."""

    NEVER_STARTS = ("{job} is cancelled: it had not started, and never will.", "{n} had not started and never will")
    ASKED = (
        "{job} is asked to end; it may take its grace time.",
        "{n} are asked to end; that may take their grace time",
    )
    BEFORE = ("{job} was being cancelled already.", "{n} were being cancelled already")
    OVER = ("{job} was over already; nothing changed.", "{n} were over already")


def may_cancel(request: HttpRequest) -> bool:
    return request.user.has_perm("jobs.change_job")


def cancel_one(job: Job, actor: str) -> Outcome:
    was_over = job.is_final
    asked = cancel(job, actor)
    if job.state == JobState.CANCELLED and asked:
        return Outcome.NEVER_STARTS
    if asked:
        return Outcome.ASKED
    return Outcome.OVER if was_over or job.is_final else Outcome.BEFORE


def cancel_and_tell(request: HttpRequest, jobs: Iterable[Job]) -> None:
    actor = request.user.get_username()
    done = [(job, cancel_one(job, actor)) for job in jobs]
    nothing_changed = all(outcome in (Outcome.OVER, Outcome.BEFORE) for _, outcome in done)
    level = messages.WARNING if nothing_changed else messages.SUCCESS
    if len(done) == 1:
        job, outcome = done[0]
        messages.add_message(request, level, outcome.value[0].format(job=str(job)[:80]))
        return
    counts = Counter(outcome for _, outcome in done)
    told = [outcome.value[1].format(n=counts[outcome]) for outcome in Outcome if counts[outcome]]
    messages.add_message(request, level, f"Of {len(done)} jobs: {'; '.join(told)}.")


def ask_first(request: HttpRequest, site: admin.AdminSite, jobs: list[Job], **context: Any) -> TemplateResponse:
    """The page that asks whether it is meant."""
    shown = {
        **site.each_context(request),
        "title": "Cancel this job?" if len(jobs) == 1 else f"Cancel these {len(jobs)} jobs?",
        "opts": Job._meta,
        "jobs": jobs[:SHOWN_MOST],
        "jobs_count": len(jobs),
        "left_out": max(0, len(jobs) - SHOWN_MOST),
        **context,
    }
    request.current_app = site.name
    return TemplateResponse(request, "towline/cancel.html", shown)
