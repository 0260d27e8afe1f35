"""`manage.py diagnose ID`: what was unusual in a run, and why it failed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.console import Group

from jobs.api.trace_serializers import DiagnosisSerializer
from jobs.terminal.choosing import add_attempt, chosen_attempt
from jobs.terminal.command import TerminalCommand
from jobs.terminal.diagnosis_page import diagnosis_page
from jobs.traces.diagnosis import diagnosis, examine


class Command(TerminalCommand):
    help = """\
Show each span of an attempt with what was unusual about it: three times as long as normal, a hole behind it, a
failure; then the root cause, its evidence and what to do. Exits with 1 where there is neither a trace nor a
verdict to tell. With --json: as GET /jobs/{id}/diagnosis/ answers."""
    examples = """
manage.py diagnose 9fe8614d
manage.py diagnose 9fe8614d --attempt 1
manage.py diagnose 9fe8614d --json | jq .root_cause
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_attempt(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        job, attempt = chosen_attempt(options)
        seen = examine(job, attempt)
        shown = DiagnosisSerializer(diagnosis(job, attempt, seen)).data
        nothing = not seen.findings and not shown["root_cause"]
        if options["as_json"]:
            self.print_json(shown)
        elif not nothing:
            self.console.print(Group(*diagnosis_page(shown, seen.findings)))
        if nothing:
            raise CommandError(shown["note"])
