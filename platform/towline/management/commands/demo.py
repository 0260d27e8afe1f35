"""`manage.py demo`: the platform up, one real job through it with its log live, and what Towline knows of it then."""

from __future__ import annotations

import os
import sys
import urllib.error
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from jobs.models import Job
from jobs.terminal.trace_page import trace_page
from jobs.timeline import phases
from towline.stack.demo import Ground, NoImageError, Rest, demo_job, survey_ground, whole_trace
from towline.stack.stack import Doors, Ports, Stack, StackError, free_port
from tracing.waterfall import draw

from .up import Interrupted, end_on_signals, show_doors

WIDEST = 120


class Command(BaseCommand):
    help = "Start the platform, run a real job with its log live, and stay up until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after the job: 0 if it succeeded")
        parser.add_argument("--no-flower", action="store_true", help="leave Flower out")

    def handle(self, *args: Any, once: bool, no_flower: bool, **options: Any) -> None:
        console = Console(highlight=False)
        end_on_signals()
        os.environ.setdefault("ENABLE_DB_TRACING", "true")  # of the processes that are started below
        try:
            ground = survey_ground()
            if ground.note:
                console.print(Panel(ground.note, title="No Docker engine", border_style="yellow"))
            flower = None if no_flower else port_near(5555)
            stack = Stack(Ports(port_near(8000), flower), console.print)
            with stack as doors:
                succeeded = self._show_job(console, doors, ground)
                show_doors(console, doors)
                if once:
                    sys.exit(0 if succeeded else 1)
                console.print("Up. Ctrl-C ends the platform; containers run on and are adopted at the next start.")
                stack.supervisor.keep()
        except (StackError, NoImageError) as error:
            raise CommandError(str(error)) from error
        except urllib.error.HTTPError as error:
            raise CommandError(f"REST answered {error.code}: {error.read().decode()[:500]}") from error
        except Interrupted:
            console.print("Ended.")
            sys.exit(0)

    def _show_job(self, console: Console, doors: Doors, ground: Ground) -> bool:
        """Submit the demo job over REST, print its log as it comes, then its verdict and where the time went."""
        rest = Rest(doors.url, doors.token)
        job = rest.post("/jobs/", demo_job(ground))
        console.print(f"[bold]Job {job['id']}[/bold] submitted: {ground.image} on {ground.runtime}. Its log, live:\n")
        ending: dict[str, Any] = {}
        for event, data in rest.events(f"/jobs/{job['id']}/logs/"):
            if event == "lines":
                for line in data:
                    style = "red" if line["stream"] == "stderr" else ""
                    console.print(Text("  │ ", "dim") + Text(line["text"], style))
            elif event == "end":
                ending = data
        self._show_end(console, ending)
        self._show_time(console, Job.objects.get(pk=job["id"]))
        return ending.get("state") == "succeeded"

    def _show_time(self, console: Console, job: Job) -> None:
        """Where it went: the trace, or where there is none (ENABLE_DB_TRACING=false) the phases of its life."""
        width, trace = min(console.width, WIDEST), whole_trace(job)
        if trace.rows:
            console.print(trace_page(trace, width, datetime.now(UTC), whole=False))
            console.print(f"\nIts trace: manage.py trace {job.pk}\n")
        else:
            console.print(draw(phases(job), width), markup=False)
            console.print()

    def _show_end(self, console: Console, ending: dict[str, Any]) -> None:
        verdict = ending.get("verdict")
        good = ending.get("state") == "succeeded"
        console.print(
            f"\n[bold {'green' if good else 'red'}]{ending.get('state')}[/]: exit code {ending.get('exit_code')}, "
            f"{ending.get('lines')} lines, {ending.get('bytes')} bytes, SHA-256 {str(ending.get('sha256'))[:16]}…"
        )
        console.print(
            f"Verdict: {verdict['summary']} {verdict['remedy']}\n" if verdict else "Verdict: nothing went wrong.\n"
        )


def port_near(wanted: int) -> int:
    """The usual port, or any when it is taken: a demo should come up."""
    try:
        return free_port(wanted)
    except StackError:
        return free_port(0)
