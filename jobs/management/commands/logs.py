"""`manage.py logs`: the stored output of a job, and on as it comes."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.logs.dropped import LogDropped, refuse_dropped
from jobs.logs.reader import read_lines, tail_start
from jobs.logs.records import STREAMS, StoredLine
from jobs.models import Attempt, Job
from jobs.terminal import following
from jobs.terminal.command import INTERRUPTED, USAGE, TerminalCommand
from jobs.terminal.lookup import find_job


class Command(TerminalCommand):
    help = """\
Print the output of a job, byte for byte: its stdout to stdout, its stderr to stderr. With --follow
go on until the job is over, over its retries too; the exit code is then the job's, as for `submit`.
With --json every line is an object."""
    examples = """
manage.py logs 9fe8614d
manage.py logs 9fe8614d --tail 20 --timestamps
manage.py logs -f 9fe8614d --stream stderr
manage.py logs 9fe8614d --json | jq -r .text
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", metavar="ID", help="of the job: all of it, or its first or last characters")
        parser.add_argument("-f", "--follow", action="store_true", help="go on until the job is over")
        parser.add_argument("--tail", type=int, metavar="N", help="only the last N lines, and what follows")
        parser.add_argument("--timestamps", action="store_true", help="the time before each line")
        parser.add_argument("--attempt", type=int, metavar="N", help="its number; default: the newest")
        parser.add_argument("--stream", choices=STREAMS, help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tail"] is not None and options["tail"] < 0:
            raise CommandError("--tail: must not be negative", returncode=USAGE)
        job = find_job(options["id"])
        attempt = _attempt(job, options["attempt"])
        try:
            refuse_dropped(attempt)
        except LogDropped as error:
            raise CommandError(str(error)) from error
        print_line = self._printer(options)
        start = _first_line(attempt, options["tail"], options["stream"])
        if options["follow"]:
            number = attempt.number if attempt else None
            sys.exit(self._follow(following.Following(job.pk, print_line, number, start, options["stream"]), options))
        if attempt:
            for line in read_lines(attempt.pk, start=start, stream=options["stream"]):
                print_line(line, attempt.number)

    def _printer(self, options: dict[str, Any]) -> following.Print:
        if options["as_json"]:
            return self._print_row
        return following.print_stamped if options["timestamps"] else following.print_exactly

    def _print_row(self, line: StoredLine, attempt: int) -> None:
        self.print_json({"attempt": attempt, **line.as_json()})

    def _follow(self, wanted: following.Following, options: dict[str, Any]) -> int:
        try:
            end = following.follow_to_end(wanted)
        except KeyboardInterrupt:
            following.say_detached(wanted.job)
            return INTERRUPTED
        if options["as_json"]:
            self.print_json(end)
        following.say_how_it_ended(wanted.job, end)
        return following.exit_code_of(end)


def _attempt(job: Job, number: int | None) -> Attempt | None:
    if number is None:
        return job.current_attempt
    found = job.attempts.filter(number=number).first()
    if found is None:
        there = f"it has {job.attempts_count}" if job.attempts_count else "it has none yet"
        raise CommandError(f"--attempt {number}: the job has no such attempt ({there})", returncode=USAGE)
    return found


def _first_line(attempt: Attempt | None, tail: int | None, stream: str | None) -> int:
    if attempt is None or tail is None:
        return 1
    return tail_start(attempt.pk, attempt.log_lines, tail, stream)
