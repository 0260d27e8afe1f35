"""Trying again by hand what failed or was cancelled, and a message that says what came of it."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest

from jobs.models import Job
from jobs.services import NotTriedAgain, retry


def retry_and_tell(request: HttpRequest, jobs: Iterable[Job]) -> None:
    done: list[Job] = []
    refused: list[Job] = []
    for job in jobs:
        try:
            retry(job, request.user.get_username())
            done.append(job)
        except NotTriedAgain:
            refused.append(job)
    if done:
        one = f"{str(done[0])[:80]} is tried again." if len(done) == 1 else f"{len(done)} jobs are tried again."
        messages.success(request, one)
    if refused:
        which = f"{str(refused[0])[:80]} is {refused[0].state}" if len(refused) == 1 else f"{len(refused)} did not fail"
        messages.warning(request, f"{which}: only failed and cancelled jobs are tried again.")
