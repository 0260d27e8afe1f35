"""`manage.py workers`: who runs jobs, and how busy."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.terminal.command import TerminalCommand
from workers.api.serializers import WorkerSerializer
from workers.models import Worker, WorkerState
from workers.terminal.workers import workers_table


class Command(TerminalCommand):
    help = """\
List the workers: their state by the age of their heartbeat, slots in use, the engines they reach, and
the jobs they have. `lost` has not been heard of for a lease, `offline` has stopped in good order."""
    examples = """
manage.py workers
manage.py workers --state online --state draining
manage.py workers --json | jq '.[] | {name, state, used, slots}'
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", action="append", choices=WorkerState.values, help="repeatable; default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["state"] or WorkerState.values
        workers = [worker for worker in Worker.objects.with_clock() if worker.state in wanted]
        if options["as_json"]:
            self.print_json(WorkerSerializer(workers, many=True).data)
        elif workers:
            self.console.print(workers_table(workers))
        elif options["state"]:
            raise CommandError(f"no worker is {' or '.join(wanted)}")
        else:
            self.console.print("no worker has ever registered: `manage.py up` or `manage.py serve run` starts one")
