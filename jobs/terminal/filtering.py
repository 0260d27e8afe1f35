"""Options that choose jobs: REST's filters, under the same names."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ParseError

from jobs.api.filters import JobFilter
from jobs.models import Job
from jobs.spec import RUNTIMES
from jobs.states import JobState

from .command import USAGE

FILTERS = ("project", "name", "runtime", "worker", "verdict", "created_after", "created_before", "q")
STATES = f"{', '.join(JobState.values)}; repeatable"


def add_filters(parser: ArgumentParser) -> None:
    parser.add_argument("--state", action="append", choices=JobState.values, metavar="STATE", help=STATES)
    parser.add_argument("--label", action="append", metavar="K=V", help="repeatable: all must match")
    parser.add_argument("--project")
    parser.add_argument("--name", help="exactly this name")
    parser.add_argument("--runtime", metavar="RUNTIME", help=f"one of {', '.join(RUNTIMES)}")
    parser.add_argument("--worker", help="that ran it, or runs it")
    parser.add_argument("--verdict", metavar="CODE", help="e.g. exit_code, oom_killed, timeout_run")
    parser.add_argument("--created-after", metavar="TIME", help="like 2030-01-31T08:00:00Z")
    parser.add_argument("--created-before", metavar="TIME")
    parser.add_argument("-q", metavar="TEXT", help="in name, image or at the beginning of the id")


def query_of(options: dict[str, Any]) -> QueryDict:
    """The options as REST's parameters, so that both mean the same."""
    query = QueryDict(mutable=True)
    for name in FILTERS:
        if options[name] is not None:
            query[name] = options[name]
    query.setlist("state", options["state"] or [])
    query.setlist("label", [text.replace("=", ":", 1) for text in options["label"] or []])
    return query


def wanted(query: QueryDict) -> QuerySet[Job]:
    """The jobs that match, the newest first. CommandError names the option that can't be."""
    found = JobFilter(query, Job.objects.select_related("project").prefetch_related("attempts"))
    if not found.is_valid():
        lines = [f"--{name.replace('_', '-')}: {text}" for name, texts in found.errors.items() for text in texts]
        raise CommandError("; ".join(lines), returncode=USAGE)
    try:
        jobs: QuerySet[Job] = found.qs
    except ParseError as error:
        raise CommandError("--label: write it as K=V", returncode=USAGE) from error
    return jobs
