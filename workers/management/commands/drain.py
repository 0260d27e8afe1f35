"""`manage.py drain NAME`: let a worker run to their ends the jobs it has, and take no new ones."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError

from jobs.terminal.command import TerminalCommand
from workers.api.serializers import WorkerSerializer
from workers.models import Worker
from workers.services import drain


class WorkerCommand(TerminalCommand):
    """Of commands that do one thing to named workers."""

    do: Callable[[Worker, str], bool]
    done = ""
    not_needed = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME", help="as `manage.py workers` shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = [self._find(name) for name in options["names"]]
        for worker in workers:
            changed = type(self).do(worker, "a command")
            if not options["as_json"]:
                self.stdout.write(f"{worker.name} {self.done if changed else self.not_needed}")
        if options["as_json"]:
            found = Worker.objects.with_clock().filter(pk__in=[worker.pk for worker in workers])
            self.print_json(WorkerSerializer(found, many=True).data)

    def _find(self, name: str) -> Worker:
        worker = Worker.objects.filter(name=name).first()
        if worker is None:
            known = ", ".join(Worker.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"no worker {name!r}; registered: {known}")
        return worker


class Command(WorkerCommand):
    do = staticmethod(drain)
    done = "drains: it takes no new jobs; `manage.py resume` ends that"
    not_needed = "was draining already"
    help = "Let workers finish what they run and take no new jobs, e.g. before a machine is taken away."
    examples = """
manage.py drain run@host1
manage.py workers          # wait until its slots are free
"""
