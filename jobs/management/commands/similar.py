"""`manage.py similar ID`: runs that are like one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.console import Group

from jobs.api.trace_serializers import SIMILAR, SIMILAR_MOST, SimilarSerializer
from jobs.terminal.choosing import add_attempt, check_bounds, chosen_attempt
from jobs.terminal.command import TerminalCommand
from jobs.terminal.diagnosis_page import similar_page
from jobs.traces.likeness import similar
from jobs.traces.sight import Sight


class Command(TerminalCommand):
    help = """\
Show runs, of any job, that did the same in the same order and failed alike: the most similar first. Exits with 1
where it has no trace to compare. With --json: as GET /jobs/{id}/similar/ answers."""
    examples = """
manage.py similar 9fe8614d
manage.py similar 9fe8614d --limit 20 --json
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_attempt(parser)
        parser.add_argument("--limit", type=int, default=SIMILAR, metavar="N", help=f"at most; default {SIMILAR}")

    def handle(self, *args: Any, **options: Any) -> None:
        check_bounds(options, limit=SIMILAR_MOST)
        job, attempt = chosen_attempt(options)
        shown = SimilarSerializer(similar(job, attempt, options["limit"], Sight())).data
        untold = not shown["results"] and bool(shown["note"])
        if options["as_json"]:
            self.print_json(shown)
        elif not untold:
            self.console.print(Group(*similar_page(shown)))
        if untold:
            raise CommandError(shown["note"])
