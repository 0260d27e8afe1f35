"""`manage.py jobs`: the list, once or refreshed."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rich.live import Live

from jobs.api.filters import JobFilter
from jobs.api.serializers import JobSerializer
from jobs.models import Job
from jobs.states import JobState
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.tables import jobs_table
from jobs.waiting import explained

FILTERS = ("project", "name", "runtime", "worker", "verdict", "created_after", "created_before", "q")
REFRESH_SECONDS = 1.0
STATES = f"{', '.join(JobState.values)}; repeatable"


class Command(TerminalCommand):
    help = "List jobs, the newest first. The ids shown are the ends of ids, which every command takes."
    examples = """
manage.py jobs --state queued --state running
manage.py jobs --label team=ml --verdict oom_killed --limit 100
manage.py jobs -q train --json
manage.py jobs --watch
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", action="append", choices=JobState.values, metavar="STATE", help=STATES)
        parser.add_argument("--label", action="append", metavar="K=V", help="repeatable: all must match")
        parser.add_argument("--project")
        parser.add_argument("--name", help="exactly this name")
        parser.add_argument("--runtime", metavar="RUNTIME", help="docker or process")
        parser.add_argument("--worker", help="that ran it, or runs it")
        parser.add_argument("--verdict", metavar="CODE", help="e.g. exit_code, oom_killed, timeout_run")
        parser.add_argument("--created-after", metavar="TIME", help="like 2030-01-31T08:00:00Z")
        parser.add_argument("--created-before", metavar="TIME")
        parser.add_argument("-q", metavar="TEXT", help="in name, image or at the beginning of the id")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most; default 20")
        parser.add_argument("--watch", action="store_true", help="refresh every second until Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit: must be at least 1", returncode=USAGE)
        query = query_of(options)
        if options["as_json"]:
            self.print_json(JobSerializer(explained(wanted(query, options["limit"])), many=True).data)
        elif options["watch"]:
            self._watch(query, options["limit"])
        else:
            self._print(query, options["limit"])

    def _print(self, query: QueryDict, limit: int) -> None:
        jobs = list(wanted(query, limit))
        if not jobs:
            self.console.print("no jobs" if not query else "no job matches")
            return
        self.console.print(jobs_table(jobs, datetime.now(UTC)))

    def _watch(self, query: QueryDict, limit: int) -> None:
        with Live(console=self.console, screen=self.console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(jobs_table(wanted(query, limit), datetime.now(UTC)), refresh=True)
                time.sleep(REFRESH_SECONDS)


def query_of(options: dict[str, Any]) -> QueryDict:
    """The options as REST's parameters, so that both mean the same."""
    query = QueryDict(mutable=True)
    for name in FILTERS:
        if options[name] is not None:
            query[name] = options[name]
    query.setlist("state", options["state"] or [])
    query.setlist("label", [text.replace("=", ":", 1) for text in options["label"] or []])
    return query


def wanted(query: QueryDict, limit: int) -> QuerySet[Job]:
    found = JobFilter(query, Job.objects.select_related("project").prefetch_related("attempts"))
    if not found.is_valid():
        lines = [f"--{name.replace('_', '-')}: {text}" for name, texts in found.errors.items() for text in texts]
        raise CommandError("; ".join(lines), returncode=USAGE)
    try:
        jobs: QuerySet[Job] = found.qs[:limit]
    except ParseError as error:
        raise CommandError("--label: write it as K=V", returncode=USAGE) from error
    return jobs
