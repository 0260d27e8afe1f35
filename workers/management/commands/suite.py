"""`manage.py suite RUNTIME`: run the example jobs and check each by its output."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from pydantic import ValidationError
from rich.live import Live

from jobs.api.serializers import JobSerializer
from jobs.spec import field_errors
from jobs.terminal.command import USAGE, TerminalCommand
from workers.suites import running
from workers.suites.example import FOLDER, Example, UnusableError, examples
from workers.suites.image import have_demo_image
from workers.suites.running import DEMO_IMAGE, Result
from workers.terminal.suite import suite_table, suite_verdict

RUNTIMES = ("docker", "kubernetes", "process")


class Command(TerminalCommand):
    help = """\
Run the example jobs on a runtime, all at once, and check each by the lines it wrote, by its duration
and by the memory it used: an exit code of 0 alone proves nothing. Exit code 1 when one is not as it
should be. Requests larger than the biggest worker are scaled to it; in a cluster, to half of its largest node.
Needs a live worker."""
    examples = """
manage.py suite
manage.py suite process --only hello --only cpu
manage.py suite kubernetes --image registry.example/busybox:1.36
manage.py suite docker --json | jq '.examples[] | select(.passed | not)'
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("runtime", nargs="?", choices=RUNTIMES, default="docker", help="default: docker")
        parser.add_argument(
            "--image", metavar="IMAGE", help="with a shell and awk; default: one that is made here, or for pulling"
        )
        parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one of them; repeatable")
        parser.add_argument("--timeout", type=float, default=180, metavar="N", help="seconds for all; default 180")
        parser.add_argument("--folder", type=Path, default=FOLDER, help="of TOML files, instead of the built-in ones")

    def handle(self, *args: Any, **options: Any) -> None:
        runtime = options["runtime"]
        chosen = self._chosen(runtime, options)
        room = _room(runtime)
        image = options["image"] or (settings.TOWLINE.TOWLINE_DEMO_IMAGE if runtime == "kubernetes" else DEMO_IMAGE)
        if runtime == "docker" and image == DEMO_IMAGE:
            have_demo_image()
        results = self._run(_start_all(chosen, runtime, room, image), options)
        if options["as_json"]:
            self.print_json({"runtime": runtime, "passed": _all_passed(results), "examples": list(map(_row, results))})
        elif not self.console.is_terminal:
            self.console.print(suite_table(results))
        if not options["as_json"]:
            self.console.print(suite_verdict(results))
        sys.exit(0 if _all_passed(results) else 1)

    def _chosen(self, runtime: str, options: dict[str, Any]) -> list[Example]:
        try:
            chosen = examples(runtime, options["folder"], options["only"])
        except UnusableError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        if not chosen:
            raise CommandError(f"{options['folder']} has no example for {runtime}", returncode=USAGE)
        return chosen

    def _run(self, results: list[Result], options: dict[str, Any]) -> list[Result]:
        """Until all are over; shown live on a terminal. Ctrl-C cancels what is left."""
        live = Live(console=self.console) if self.console.is_terminal and not options["as_json"] else nullcontext()
        try:
            with live as screen:
                for results in running.until_all_are_over(results, options["timeout"]):  # noqa: B020 - as they stand
                    if screen:
                        screen.update(suite_table(results))
        except KeyboardInterrupt:
            running.abandon(results)
            raise
        return results


def _room(runtime: str) -> running.Room:
    try:
        return running.room_for(runtime)
    except running.NoWorkerError as error:
        start = f"TOWLINE_RUNTIMES={runtime} manage.py up"
        raise CommandError(f"no live worker offers {runtime}: start one ({start}), see `manage.py workers`") from error


def _start_all(chosen: Sequence[Example], runtime: str, room: running.Room, image: str) -> list[Result]:
    try:
        return [running.start(example, runtime, room, image) for example in chosen]
    except ValidationError as error:
        raise CommandError(f"an example's spec is refused: {field_errors(error)}", returncode=USAGE) from error


def _all_passed(results: Sequence[Result]) -> bool:
    return all(result.passed for result in results)


def _row(result: Result) -> dict[str, Any]:
    return {
        "name": result.example.name,
        "passed": result.passed,
        "problems": list(result.problems),
        "lines": result.lines,
        "seconds": result.seconds,
        "memory_peak_bytes": result.peak_bytes,
        "scaled": result.scaled or None,
        "waited": result.waited or None,
        "job": JobSerializer(result.job).data,
    }
