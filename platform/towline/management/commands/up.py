"""`manage.py up`: the whole platform on this machine, supervised, until Ctrl-C. Containers run on."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from towline.stack.stack import Doors, Ports, Stack, StackError, free_port


class Interrupted(BaseException):
    """The process was told to end, by Ctrl-C or SIGTERM."""


def end_on_signals() -> None:
    """SIGTERM and SIGINT raise Interrupted once; what comes after the first changes nothing about the orderly end."""

    def stop(signum: int, frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def show_doors(console: Console, doors: Doors) -> None:
    rows = [
        ("Admin", f"{doors.url}/admin/"),
        ("REST", f"{doors.url}/api/v1/"),
        ("API docs", f"{doors.url}/api/v1/docs/"),
        ("Flower", doors.flower_url or "not started"),
        ("Login", f"{doors.username} / {doors.password}"),
        ("Token", doors.token),
        ("Data", str(doors.data_dir)),
    ]
    for name, value in rows:
        # Never cut: people copy these.
        console.print(f"  [bold]{name:<10}[/bold]{value}", soft_wrap=True)


class Command(BaseCommand):
    help = "Start the whole platform here and keep it running: Redis, web, control and run worker, beat, Flower."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web, 0 for any free one (default 8000)")
        parser.add_argument("--flower-port", type=int, default=5555, help="Flower, 0 for any (default 5555)")
        parser.add_argument("--no-flower", action="store_true", help="leave Flower out")
        parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")

    def handle(
        self,
        *args: Any,
        port: int,
        flower_port: int,
        no_flower: bool,
        json: bool,
        **options: Any,
    ) -> None:
        console = Console(stderr=True)
        end_on_signals()
        try:
            stack = Stack(Ports(free_port(port), None if no_flower else free_port(flower_port)), console.print)
            with stack as doors:
                if json:
                    self.stdout.write(doors.as_json())
                    self.stdout.flush()
                else:
                    show_doors(Console(), doors)
                console.print("Up. Ctrl-C ends the platform; containers run on and are adopted at the next start.")
                stack.supervisor.keep()
        except StackError as error:
            raise CommandError(str(error)) from error
        except Interrupted:
            console.print("Ended. Jobs that run go on without us.")
            sys.exit(0)
