"""`manage.py sweep`: remove containers of ours that no live attempt stands behind."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.terminal.command import TerminalCommand
from workers.drivers.protocol import Unavailable
from workers.engines import driver, offered
from workers.sweeping import Stray, TooManyStrays, find_strays, sweep


class Command(TerminalCommand):
    help = """\
Remove stray containers on this machine's engines: labelled as this installation's, not young, and without
a live attempt. Run workers do the same every minute. Containers of others are never touched."""
    examples = """
manage.py sweep --dry-run
manage.py sweep --json
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--force", action="store_true", help="even if that is most of what runs")

    def handle(self, *args: Any, **options: Any) -> None:
        act = find_strays if options["dry_run"] else sweep
        try:
            found = [stray for name in offered() for stray in act(driver(name), force=options["force"])]
        except Unavailable as error:
            raise CommandError(f"the engine can't be asked: {error}") from error
        except TooManyStrays as error:
            raise CommandError(f"{error}. Is this the right database? --force if so.") from error
        if options["as_json"]:
            self.print_json([_shown(stray) for stray in found])
        for stray in found if not options["as_json"] else []:
            self.stdout.write(f"{stray.seen.handle.name}: {stray.why}")
        if not found and not options["as_json"]:
            self.stdout.write("no strays")


def _shown(stray: Stray) -> dict[str, str]:
    return {"name": stray.seen.handle.name, "phase": stray.seen.phase.value, "why": stray.why}
