"""`manage.py cancel`: ask for the end of jobs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.api.serializers import JobSerializer
from jobs.models import Job
from jobs.services import cancel
from jobs.terminal.command import TerminalCommand
from jobs.terminal.lookup import find_job
from jobs.terminal.words import whoever_is_here


class Command(TerminalCommand):
    help = """\
Ask for the end of jobs. One that has not started never starts; one that runs is asked to end, and
killed when its grace is over. It is durable: it works while every worker is down. One that is over
stays as it is."""
    examples = """
manage.py cancel 01a20097-0210-778e-b11a-33259fe8614d
manage.py cancel 9fe8614d 77ab01c2
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="of a job: all of it, or its first or last characters")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [find_job(text) for text in options["ids"]]  # all are found before the first is cancelled
        said = [(job, _cancel(job)) for job in jobs]
        if options["as_json"]:
            self.print_json(JobSerializer(jobs, many=True).data)
            return
        for job, words in said:
            self.stdout.write(f"{job.pk}  {words}")


def _cancel(job: Job) -> str:
    if cancel(job, whoever_is_here()):
        return "cancelled, it never started" if job.is_final else "asked to end"
    return f"is over already: {job.state}" if job.is_final else "was asked to end before"
