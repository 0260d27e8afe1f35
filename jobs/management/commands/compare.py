"""`manage.py compare ID OTHER`: two runs side by side."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from rich.console import Group

from jobs.api.trace_serializers import ComparisonSerializer
from jobs.terminal.changes_page import comparison_page
from jobs.terminal.choosing import add_attempt, chosen_attempt
from jobs.terminal.command import TerminalCommand
from jobs.terminal.lookup import find_job
from jobs.traces.answers import comparison_shown
from jobs.traces.changed import compared


class Command(TerminalCommand):
    help = """\
Show how a run differs from another one, of the same job or not: fields of the spec, where they ran, and how
long each phase took."""
    examples = """
manage.py compare 9fe8614d 33259fe8
manage.py compare 9fe8614d 33259fe8 --json | jq '.phases[0]'
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_attempt(parser)
        parser.add_argument("other", metavar="OTHER", help="a job to compare with; its newest attempt counts")

    def handle(self, *args: Any, **options: Any) -> None:
        job, attempt = chosen_attempt(options)
        other = find_job(options["other"])
        found = compared(job, attempt, other, datetime.now(UTC))
        shown = ComparisonSerializer(comparison_shown(found, job)).data
        if options["as_json"]:
            self.print_json(shown)
        else:
            self.console.print(Group(*comparison_page(shown)))
