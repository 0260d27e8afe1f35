"""Options that choose an attempt of a job, and numbers with bounds."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.models import Attempt, Job
from jobs.traces.answers import NoSuchAttempt, attempt_of

from .command import USAGE
from .lookup import find_job


def add_attempt(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="all of it, or its first or last characters")
    parser.add_argument("--attempt", type=int, metavar="N", help="the number of the try; default the newest")


def chosen_attempt(options: dict[str, Any]) -> tuple[Job, Attempt | None]:
    """The job meant, and its attempt of that number; None: it never had one."""
    job = find_job(options["id"])
    try:
        return job, attempt_of(job, options["attempt"])
    except NoSuchAttempt as error:
        raise CommandError(f"--attempt: {error}: it has {job.attempts_count}") from error


def check_bounds(options: dict[str, Any], **most: int) -> None:
    """Each of these options is from 1 to that."""
    for name, bound in most.items():
        if not 1 <= options[name] <= bound:
            raise CommandError(f"--{name}: must be from 1 to {bound}", returncode=USAGE)
