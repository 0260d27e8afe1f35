"""`manage.py trace ID`: where the time of a job went, span by span."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from jobs.terminal.command import TerminalCommand
from jobs.terminal.lookup import find_trace
from jobs.terminal.trace_page import trace_page
from jobs.traces.shown import trace_shown


class Command(TerminalCommand):
    help = """\
Draw the waterfall of a job's trace: every span where it was in time, the critical path marked, what failed
in red. Exits with 1 where there is no trace, and says why. With --json: as GET /jobs/{id}/trace/ answers."""
    examples = """
manage.py trace 9fe8614d
manage.py trace 4bf92f3577b34da6a3ce929d0e0e4736 --all
manage.py trace 9fe8614d --json | jq '.spans[] | select(.critical) | .operation'
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "id", metavar="ID", help="of a job, or its first or last characters; or of a trace, all of it"
        )
        parser.add_argument("--all", action="store_true", dest="whole", help="each span, however many are alike")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        found = find_trace(options["id"])
        if options["as_json"]:
            self.print_json(trace_shown(found, now))
        elif found.rows:
            self.console.print(trace_page(found, self.console.width, now, whole=options["whole"]))
        if not found.rows:
            raise CommandError(found.note)
