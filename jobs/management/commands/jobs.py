"""`manage.py jobs`: the list, once or refreshed."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.http import QueryDict
from rich.live import Live

from jobs.api.serializers import JobSerializer
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.filtering import add_filters, query_of, wanted
from jobs.terminal.tables import jobs_table
from jobs.waiting import explained

REFRESH_SECONDS = 1.0


class Command(TerminalCommand):
    help = "List jobs, the newest first. The ids shown are the ends of ids, which every command takes."
    examples = """
manage.py jobs --state queued --state running
manage.py jobs --label team=ml --verdict oom_killed --limit 100
manage.py jobs -q train --json
manage.py jobs --watch
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_filters(parser)
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most; default 20")
        parser.add_argument("--watch", action="store_true", help="refresh every second until Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit: must be at least 1", returncode=USAGE)
        query = query_of(options)
        if options["as_json"]:
            self.print_json(JobSerializer(explained(wanted(query)[: options["limit"]]), many=True).data)
        elif options["watch"]:
            self._watch(query, options["limit"])
        else:
            self._print(query, options["limit"])

    def _print(self, query: QueryDict, limit: int) -> None:
        jobs = list(wanted(query)[:limit])
        if not jobs:
            self.console.print("no jobs" if not query else "no job matches")
            return
        self.console.print(jobs_table(jobs, datetime.now(UTC)))

    def _watch(self, query: QueryDict, limit: int) -> None:
        with Live(console=self.console, screen=self.console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(jobs_table(wanted(query)[:limit], datetime.now(UTC)), refresh=True)
                time.sleep(REFRESH_SECONDS)
