"""`manage.py grep`: lines of all logs that have a text, or match an expression."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError
from django.utils.dateparse import parse_datetime
from rich.text import Text

from jobs.logs.query import BadQuery, Query
from jobs.logs.records import STREAMS
from jobs.logs.search import Hit, Searched, Wanted, search
from jobs.models import Attempt
from jobs.quantities import human_bytes
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.filtering import add_filters, query_of
from jobs.terminal.filtering import wanted as jobs_wanted
from jobs.terminal.words import safe

FOUND, NOT_FOUND = 0, 1
SHOWN_CHARACTERS = 2000


class Command(TerminalCommand):
    help = """\
Search the logs of all jobs, the newest attempts first. What is printed: the job, its attempt where it
is not the first, the line's number, the line. Exits as grep does: 0 with hits, 1 without, 2 for a usage
that is wrong."""
    examples = """
manage.py grep "connection reset"
manage.py grep -i traceback --project training --verdict exit_code
manage.py grep -E "took [0-9]{4,} ms" --since 2030-01-31T08:00:00Z --json
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pattern", metavar="TEXT", help="what a line has in it")
        parser.add_argument("-E", "--regex", action="store_true", help="TEXT is an expression as RE2 knows them")
        parser.add_argument("-i", "--ignore-case", action="store_true")
        parser.add_argument("--stream", choices=STREAMS, help="only this one")
        parser.add_argument("--since", metavar="TIME", help="lines of that time or later, like 2030-01-31T08:00:00Z")
        parser.add_argument("--until", metavar="TIME", help="lines before that time")
        parser.add_argument(
            "-m", "--limit", type=int, default=1000, metavar="N", help="at most so many lines; default 1000"
        )
        add_filters(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit: must be at least 1", returncode=USAGE)
        try:
            query = Query(options["pattern"], options["regex"], options["ignore_case"])
        except BadQuery as error:
            raise CommandError(f"TEXT: {error}", returncode=USAGE) from error
        wanted = Wanted(query, options["stream"], _moment(options, "since"), _moment(options, "until"))
        attempts, searched = Attempt.objects.filter(job__in=jobs_wanted(query_of(options))), Searched()
        hits = self._print(search(attempts, wanted, searched), query, options)
        for trouble in searched.unreadable:
            self.stderr.write(trouble)
        if not options["as_json"] and self.console.is_terminal:
            read, passed = human_bytes(searched.bytes), human_bytes(searched.passed_over_bytes)
            self.console.print(f"[dim]{hits} lines; {searched.attempts} logs, {read} read, {passed} passed over[/dim]")
        sys.exit(FOUND if hits else NOT_FOUND)

    def _print(self, found: Any, query: Query, options: dict[str, Any]) -> int:
        hits = 0
        for hit in found:
            if hit is None:
                continue
            hits += 1
            if options["as_json"]:
                self.print_json(hit.as_json())
            else:
                self.console.print(_shown(hit, query), soft_wrap=True)
            if hits >= options["limit"]:
                break
        return hits


def _shown(hit: Hit, query: Query) -> Text:
    number = f":a{hit.number}" if hit.number > 1 else ""
    text = Text(safe(hit.line.text[:SHOWN_CHARACTERS]))
    flags = re.IGNORECASE if query.ignore_case else 0
    with suppress(re.error):  # RE2 knows it, Python does not: found, but not marked
        text.highlight_regex(re.compile(query.text if query.regex else re.escape(query.text), flags), "bold red")
    return Text.assemble((f"{hit.job}{number}", "magenta"), ":", (str(hit.line.n), "green"), ": ", text)


def _moment(options: dict[str, Any], name: str) -> Any:
    if not options[name]:
        return None
    try:
        moment = parse_datetime(options[name])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"--{name}: write it with its zone, like 2030-01-31T08:00:00Z", returncode=USAGE)
    return moment
