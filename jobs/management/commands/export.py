"""`manage.py export`: jobs with their logs, into a file, to stdout or into a bucket."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from functools import reduce
from operator import or_
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q, QuerySet
from rich.console import Console

from jobs.exporting.chosen import ExportBroken, bytes_of
from jobs.exporting.delivery import deliver
from jobs.exporting.forms import DEFAULT, FORMS
from jobs.models import Job
from jobs.quantities import human_bytes
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.filtering import add_filters, query_of, wanted
from jobs.terminal.lookup import find_job
from jobs.terminal.progress import progress_bar


class Command(TerminalCommand):
    help = """\
Write jobs with their logs into a file: a compressed tar with a job.json and the exact bytes of each attempt
(tar.zst), or all lines as JSON (ndjson). Without IDs: all jobs that match the filters. The file is there once it is
whole. s3://bucket/key needs the extra `s3`; endpoint and credentials come from AWS_* variables."""
    examples = """
manage.py export 9fe8614d --output job.tar.zst
manage.py export --project ml --state failed --created-after 2030-01-31T00:00:00Z --output failed.tar.zst
manage.py export --label team=ml --format ndjson --output - | jq -r .text
manage.py export --output s3://archive/towline/all.tar.zst
"""
    reads_json = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="all of it, or its first or last characters")
        add_filters(parser)
        parser.add_argument(
            "-o", "--output", required=True, metavar="FILE", help="a path, s3://bucket/key, or - for stdout"
        )
        parser.add_argument("--format", choices=list(FORMS), default=DEFAULT, help=f"default {DEFAULT}")

    def handle(self, *args: Any, **options: Any) -> None:
        output, form = options["output"], FORMS[options["format"]]
        if output == "-" and form is FORMS[DEFAULT] and sys.stdout.isatty():
            raise CommandError("--output: an archive is not for a terminal; name a file, or pipe it", returncode=USAGE)
        jobs = _chosen(options)
        count = jobs.count()
        if not count:
            raise CommandError("no job matches: nothing is written")
        with progress_bar("exporting", in_bytes=True) as bar:
            total = bytes_of(jobs)
            bar.expect(total)
            try:
                deliver(form.pieces(jobs, bar.advance), output)
            except ExportBroken as error:
                raise CommandError(str(error)) from error
        said = Console(stderr=True, highlight=False)
        said.print(f"{count:,} {'job' if count == 1 else 'jobs'}, {human_bytes(total)} of logs", soft_wrap=True)


def _chosen(options: dict[str, Any]) -> QuerySet[Job]:
    jobs = wanted(query_of(options))
    named = [Q(pk=find_job(text).pk) for text in options["ids"]]
    return jobs.filter(reduce(or_, named)) if named else jobs
