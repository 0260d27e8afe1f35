"""`manage.py pack`: move finished logs from the database to the log storage now, or back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.progress import track

from jobs.logs import packing, vault
from jobs.models import Attempt
from jobs.terminal.command import TerminalCommand


class Command(TerminalCommand):
    help = """\
Move the logs of attempts that are over from the database to the log storage. The platform does so by
itself, some time after the end; this is for who wants it now. With --undo they are moved back, which
takes as much room in the database: for going back to a version that knows no storage."""
    examples = """
manage.py pack
manage.py pack --undo
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--undo", action="store_true", help="from the storage back to the database")

    def handle(self, *args: Any, **options: Any) -> None:
        undo = options["undo"]
        found = Attempt.objects.exclude(log_object="") if undo else packing.to_pack()
        done = failed = 0
        for number in track([*found.values_list("pk", flat=True)], "logs", transient=True, console=self.console):
            attempt = Attempt.objects.get(pk=number)
            try:
                (packing.unpack if undo else packing.pack)(attempt)
                done += 1
            except (vault.Unreadable, packing.NotAsSealed, OSError) as error:
                failed += 1
                self.stderr.write(f"{attempt}: {error}")
        if options["as_json"]:
            self.print_json({"moved": done, "failed": failed})
        else:
            self.console.print(f"{done} logs moved {'back to the database' if undo else 'to the storage'}.")
        if failed:
            raise CommandError(f"{failed} logs stay where they are: see above.")
