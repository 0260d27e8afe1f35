"""`manage.py changes ID`: what changed since a job last worked."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from rich.console import Group

from jobs.api.trace_serializers import ChangesSerializer
from jobs.terminal.changes_page import changes_page
from jobs.terminal.choosing import add_attempt, check_bounds, chosen_attempt
from jobs.terminal.command import TerminalCommand
from jobs.traces.answers import changes_shown
from jobs.traces.changed import DAYS, DAYS_MOST, LAST, LAST_MOST, Window, what_changed
from jobs.traces.sight import Sight


class Command(TerminalCommand):
    help = """\
Show what changed since the same job last worked: fields of its spec, where it ran, phases beside the median
of its last successes, and what its failures share that passing runs lack. The same job is one of that name in
that project; without a name, one that runs the same in the same image. With --json: as GET /jobs/{id}/changes/."""
    examples = """
manage.py changes 9fe8614d
manage.py changes 9fe8614d --last 5 --days 30
manage.py changes 9fe8614d --json | jq .spec
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_attempt(parser)
        parser.add_argument("--last", type=int, default=LAST, metavar="N", help=f"successes; default {LAST}")
        parser.add_argument("--days", type=int, default=DAYS, metavar="N", help=f"window of runs; default {DAYS}")

    def handle(self, *args: Any, **options: Any) -> None:
        check_bounds(options, last=LAST_MOST, days=DAYS_MOST)
        job, attempt = chosen_attempt(options)
        window = Window(datetime.now(UTC), options["last"], options["days"])
        found = what_changed(job, attempt, window, Sight())
        shown = ChangesSerializer(changes_shown(found, job, window)).data
        if options["as_json"]:
            self.print_json(shown)
        else:
            self.console.print(Group(*changes_page(shown)))
