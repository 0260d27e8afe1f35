"""`manage.py drill NAME`: one fault on this installation, what must hold, and whether it did."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from jobs.terminal.command import USAGE, TerminalCommand
from workers.drills.catalogue import DRILLS
from workers.drills.drill import Drill, Refused, Ways
from workers.drills.ground import RUNTIMES
from workers.drills.running import Report, carry_out, prepare
from workers.drills.scene import Scene
from workers.terminal.drill import Narrator, drills_table


class Command(TerminalCommand):
    help = """\
Run one fault on this installation: tell what is expected, do it, and assert it with jobs of its own.
Exit code 0 when every promise held, 1 when one did not, 2 when the drill can't be run here. What others
notice is asked about first, on a terminal. Ctrl-C undoes what was done and cancels the drill's jobs."""
    examples = """
manage.py drill --list
manage.py drill kill-worker
manage.py drill restart-redis --command 'systemctl restart redis' --yes
manage.py drill oom --runtime docker --json | jq '.findings[] | select(.held | not)'
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", choices=DRILLS, metavar="NAME", help="of a drill; see --list")
        parser.add_argument("--list", action="store_true", dest="as_list", help="all drills, and what they do")
        parser.add_argument("--worker", metavar="NAME", help="the run worker; default: any that fits")
        parser.add_argument("--runtime", choices=RUNTIMES, help="default: docker where a worker offers it")
        parser.add_argument("--image", help="of the drill's Docker jobs, with a shell; default: made on the spot")
        parser.add_argument("--command", metavar="CMD", help="does the fault in the drill's place")
        parser.add_argument("--stop", metavar="CMD", help="stops the engine")
        parser.add_argument("--start", metavar="CMD", help="starts it")
        parser.add_argument("--folder", type=Path, help="a small file system to fill")
        parser.add_argument(
            "--limit",
            type=float,
            default=Ways.limit,
            metavar="N",
            help="seconds for a supervisor to restart; default 60",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["as_list"]:
            self._list(as_json=options["as_json"])
            return
        if not options["name"]:
            raise CommandError("which one? `manage.py drill --list` has them", returncode=USAGE)
        # A process that is told to end must undo what it did, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        narrator = Narrator(self.console, silent=options["as_json"])
        try:
            report = self._run(DRILLS[options["name"]](), ways_of(options), narrator, options)
        except Refused as refused:
            raise CommandError(str(refused), returncode=USAGE) from refused
        narrator.ends(report)
        if options["as_json"]:
            self.print_json(report.as_json())
        sys.exit(0 if report.passed else 1)

    def _list(self, *, as_json: bool) -> None:
        if not as_json:
            self.console.print(drills_table(DRILLS.values()))
            return
        rows = [
            {"name": drill.name, "about": drill.about, "disturbs": drill.disturbs, "options": sorted(drill.takes)}
            for drill in DRILLS.values()
        ]
        self.print_json(rows)

    def _run(self, drill: Drill, ways: Ways, narrator: Narrator, options: dict[str, Any]) -> Report:
        scene = prepare(drill, ways, narrator)
        narrator.begins(scene)
        if not options["yes"]:
            self._ask(scene)
        return carry_out(scene)

    def _ask(self, scene: Scene) -> None:
        """Only before what others notice, and only somebody who is there: a script means what it says."""
        if not scene.drill.disturbs or not sys.stdin.isatty():
            return
        sys.stderr.write("Go on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Refused("not run")


def ways_of(options: dict[str, Any]) -> Ways:
    return Ways(
        worker=options["worker"],
        runtime=options["runtime"],
        image=options["image"],
        command=options["command"],
        stop=options["stop"],
        start=options["start"],
        folder=options["folder"],
        limit=options["limit"],
    )
