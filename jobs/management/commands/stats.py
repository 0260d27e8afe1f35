"""`manage.py stats`: figures over a window of time."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.console import Group
from rich.table import Table
from rich.text import Text

from jobs.api.statistics import StatsSerializer
from jobs.quantities import human_bytes
from jobs.statistics.figures import figures
from jobs.statistics.window import DEFAULT, window
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.tables import elastic, fixed, new_table, number
from jobs.terminal.words import duration, safe, short_id

PERCENTILES = ("p50", "p90", "p95", "p99", "max")


class Command(TerminalCommand):
    help = """\
Show what waits and why, what ended and how, how long jobs waited and ran, and who wrote how much, over a
window of time up to now. With --json: as GET /stats/ answers, of all jobs."""
    examples = """
manage.py stats
manage.py stats --window 7d
manage.py stats --json | jq .logs.noisiest
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--window", default=DEFAULT, help=f"like 30m, 24h, 7d, 2w; default {DEFAULT}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            within = window(options["window"])
        except ValueError as error:
            raise CommandError(f"--window: {error}", returncode=USAGE) from error
        found = figures(within)
        if options["as_json"]:
            self.print_json(StatsSerializer(found).data)
        else:
            self.console.print(Group(_sentences(found), _times(found), _projects(found), _noisiest(found)))


def _sentences(found: dict[str, Any]) -> Text:
    queue, through, logs = found["queue"], found["throughput"], found["logs"]
    lines = [
        f"now        {queue['queued']} queued{_listed(queue['by_reason'])}, {queue['assigned']} assigned, "
        f"{queue['running']} running",
        f"submitted  {through['submitted']}",
        f"ended      {through['finished']}{_listed(through['by_state'])}, {through['per_hour']} an hour",
        f"verdicts   {_listed(found['verdicts'])[2:-1] or 'none'}",
        f"output     {human_bytes(logs['bytes'])}, {logs['lines']:,} lines; {human_bytes(logs['kept_bytes'])} kept",
    ]
    return Text("\n".join([*lines, ""]))


def _listed(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f" ({shown})" if shown else ""


def _times(found: dict[str, Any]) -> Table:
    table = new_table(elastic("SECONDS"), *[number(name) for name in ("jobs", *PERCENTILES)])
    for kind in ("wait", "run"):
        facts = found[f"{kind}_seconds"]
        table.add_row(kind, str(facts["jobs"]), *[duration(facts[name]) for name in PERCENTILES])
    return table


def _projects(found: dict[str, Any]) -> Table:
    table = new_table(elastic("PROJECT"), number("LINES"), number("BYTES"), number("KEPT"))
    for row in found["logs"]["projects"]:
        sizes = (human_bytes(row["bytes"]), human_bytes(row["kept_bytes"]))
        table.add_row(Text(safe(row["project"])), f"{row['lines']:,}", *sizes)
    return table


def _noisiest(found: dict[str, Any]) -> Table:
    table = new_table(fixed("NOISIEST"), elastic("NAME", 3), elastic("PROJECT"), number("LINES"), number("BYTES"))
    for row in found["logs"]["noisiest"]:
        name, project = Text(safe(row["name"])), Text(safe(row["project"]))
        table.add_row(short_id(row["id"]), name, project, f"{row['lines']:,}", human_bytes(row["bytes"]))
    return table
