"""`manage.py reconcile`: one round of recovery by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jobs.terminal.command import TerminalCommand
from workers.reconcile import reconcile


class Command(TerminalCommand):
    help = """\
Compare what the database says with who is alive, once: hand attempts that nobody keeps to a worker that
reaches their engine, declare lost what nobody can, end waiting jobs that were cancelled, and place what
waits. Workers and beat do the same all the time; doing it twice, or at once, is harmless."""
    examples = """
manage.py reconcile
manage.py reconcile --json
"""

    def handle(self, *args: Any, **options: Any) -> None:
        did = asdict(reconcile())
        if options["as_json"]:
            self.print_json(did)
        elif not any(did.values()):
            self.stdout.write("nothing to put right")
        else:
            self.stdout.write(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in did.items() if count))
