"""`manage.py retention`: drop finished logs, and spans, that were kept for long enough, or say which."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from rich.text import Text

from jobs.logs.retention import Round, retention_round, what_is_due
from jobs.quantities import human_bytes
from jobs.terminal.command import TerminalCommand
from jobs.terminal.progress import progress_bar
from jobs.terminal.tables import elastic, fixed, new_table, number
from jobs.terminal.words import clock, safe
from tracing import retention as traces


class Command(TerminalCommand):
    help = """\
Remove the logs of finished attempts that were kept for long enough: by age, successes sooner than failures,
and by size, the oldest first (TOWLINE_LOG_KEEP_…, and each project's own). Jobs, attempts, verdicts, events and
the facts of a log stay. And spans of traces, by age (TOWLINE_TRACE_KEEP_DAYS). Beat does the same all the time;
doing it twice, or at once, is harmless."""
    examples = """
manage.py retention --dry-run
manage.py retention --json
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    def handle(self, *args: Any, **options: Any) -> None:
        dry = options["dry_run"]
        did = what_is_due() if dry else self._drop()
        spans = traces.what_is_due() if dry else traces.retention_round()
        if options["as_json"]:
            facts = {**asdict(did), "attempts": did.attempts, "bytes": did.bytes, "spans": spans.spans}
            self.print_json({"dry_run": dry, **facts})
        else:
            self._say(did, spans, "would go" if dry else "went")
        if did.objects_left:
            self.stderr.write(f"{did.objects_left} objects stay in the log storage until the next round; see the log")
            sys.exit(1)

    def _drop(self) -> Round:
        with progress_bar("attempts") as bar:
            if not bar.disable:
                bar.expect(what_is_due().attempts)
            return retention_round(bar.advance)

    def _say(self, did: Round, spans: traces.Round, what: str) -> None:
        if did.rows:
            self._print(did, what)
        else:
            self.stdout.write("no log is due")
        if spans.spans and spans.oldest:
            kept = f"of more than {spans.days} {'day' if spans.days == 1 else 'days'}"
            self.console.print(f"{spans.spans:,} spans {kept} {what}, the oldest of {clock(spans.oldest)}")

    def _print(self, did: Round, what: str) -> None:
        table = new_table(fixed("PROJECT"), elastic("RULE"), number("ATTEMPTS"), number("BYTES"), fixed("OLDEST"))
        for row in did.rows:
            says = Text(safe(row.says))
            table.add_row(safe(row.project), says, f"{row.attempts:,}", human_bytes(row.bytes), clock(row.oldest))
        self.console.print(table)
        self.console.print(
            f"{did.attempts:,} {'log' if did.attempts == 1 else 'logs'} {what}, {human_bytes(did.bytes)}"
        )
