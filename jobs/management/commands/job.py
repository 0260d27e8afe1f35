"""`manage.py job ID`: all about one job on one page."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.api.serializers import job_with_history
from jobs.terminal.command import TerminalCommand
from jobs.terminal.lookup import find_job
from jobs.terminal.page import job_page


class Command(TerminalCommand):
    help = """\
Show one job: its state, its verdict with evidence and remedy, where its time went, its attempts and
its time-line. With --json: the job as REST gives it, with its `attempts` and `events`."""
    examples = """
manage.py job 01a20097-0210-778e-b11a-33259fe8614d
manage.py job 9fe8614d
manage.py job 9fe8614d --json | jq .verdict
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", metavar="ID", help="all of it, or its first or last characters")

    def handle(self, *args: Any, **options: Any) -> None:
        job = find_job(options["id"])
        if options["as_json"]:
            self.print_json(job_with_history(job))
        else:
            self.console.print(job_page(job, self.console.width))
