"""`manage.py retry`: try jobs again that failed or were cancelled."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.api.serializers import JobSerializer
from jobs.models import Job
from jobs.services import NotTriedAgain, retry
from jobs.terminal.command import TerminalCommand
from jobs.terminal.lookup import find_job
from jobs.terminal.words import whoever_is_here


class Command(TerminalCommand):
    help = """\
Try jobs again that failed or were cancelled. Each gets a new attempt with a log of its own; what the
attempts before left behind stays. The retry policy begins anew. Others stay as they are: exit code 1."""
    examples = """
manage.py retry 01a20097-0210-778e-b11a-33259fe8614d
manage.py retry 9fe8614d 77ab01c2 --json
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="of a job: all of it, or its first or last characters")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [find_job(text) for text in options["ids"]]  # all are found before the first is tried again
        refused = [words for job in jobs if (words := _refusal(job))]
        if options["as_json"]:
            self.print_json(JobSerializer(jobs, many=True).data)
        else:
            for job in jobs:
                self.stdout.write(f"{job.pk}  {job.state}")
        if refused:
            raise CommandError("\n".join(refused))


def _refusal(job: Job) -> str | None:
    try:
        retry(job, whoever_is_here())
    except NotTriedAgain as error:
        return f"{job.pk}: {error}"
    return None
