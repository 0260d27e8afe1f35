"""A job on one page: what it is, why it ended, where its time went, its tries and its time-line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from jobs.models import Attempt, Event, Job
from jobs.quantities import human_bytes
from jobs.spec import JobSpec
from jobs.timeline import phases
from jobs.waiting import waiting
from tracing.waterfall import rows

from .badges import badge, colour
from .tables import elastic, fixed, new_table, number
from .words import after, clock, duration, safe, seconds_between

BAR_COLOURS = {"ok": "green", "open": "blue"}


def job_page(job: Job, width: int) -> Group:
    """Everything of one job, for a screen of that width."""
    parts: list[RenderableType] = [_heading(job), facts_table(_facts(job))]
    if job.verdict:
        parts.append(verdict_panel(job.verdict, job.state))
    parts += [_section("where the time went"), Padding(waterfall(job, width - 2), (0, 0, 0, 2))]
    attempts = list(job.attempts.order_by("number"))
    if attempts:
        parts += [_section("attempts"), _attempts_table(attempts)]
    parts += [_section("time-line"), _events_table(job), Text(), _next_steps(job)]
    return Group(*parts)


def _heading(job: Job) -> Text:
    return Text.assemble(badge(job.state), "  ", (safe(job.name or job.image), "bold"), f"  {job.pk}")


def _section(title: str) -> Text:
    return Text(f"\n{title}", style="bold dim")


def facts_table(facts: Iterator[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(f"  {name}", Text(safe(text)))
    return table


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    """What is as by default is left out."""
    spec, attempt, now = job.wanted, job.current_attempt, datetime.now(UTC)
    if waits := waiting(job):
        place = f" (number {waits['position']} in the queue)" if waits["position"] else ""
        yield "waits", f"{waits['reason']}: {waits['detail']}{place}"
        if waits["blocked_by"]:
            yield "for", ", ".join(map(str, waits["blocked_by"]))
    yield "project", f"{job.project}, owner {job.owner or 'nobody'}"
    yield "image", job.image
    if attempt and attempt.image_digest not in ("", job.image):
        yield "digest", attempt.image_digest
    yield from _what_it_runs(spec)
    yield "resources", _resources(spec)
    yield "submitted", clock(job.created_at)
    if job.started_at:
        took = duration(seconds_between(job.started_at, job.finished_at or now))
        yield "ran", f"{took}, started {clock(job.started_at)}"
    if job.exit_code is not None:
        yield "exit code", str(job.exit_code)
    if attempt:
        yield "log", _log(attempt)


def _what_it_runs(spec: JobSpec) -> Iterator[tuple[str, str]]:
    if spec.script is not None:
        lines = spec.script.splitlines()
        yield "script", f"{lines[0]}  ({len(lines)} lines)"
    command = [*(spec.entrypoint or []), *(spec.command or [])]
    if command:
        yield "command", shlex.join(command)
    for name in ("env", "labels", "requires"):
        if pairs := getattr(spec, name):
            # Values of variables may be secrets, and a page is often shown to others.
            yield name, ", ".join(pairs if name == "env" else (f"{key}={text}" for key, text in pairs.items()))
    for name in ("runtime", "arch", "region", "user", "working_dir", "run_at"):
        if (value := getattr(spec, name)) is not None:
            yield name.replace("_", " "), str(value)
    if spec.retry.max_attempts > 1:
        yield "retries", f"{spec.retry.max_attempts} attempts in all, on {', '.join(spec.retry.on)}"


def _resources(spec: JobSpec) -> str:
    wants, times = spec.resources, spec.timeouts
    parts = [f"{wants.cpus:g} cpus", str(wants.memory), f"{wants.pids} pids"]
    parts += [f"{wants.gpus} gpus"] if wants.gpus else []
    parts += [f"disk {wants.disk}"] if wants.disk else []
    parts += [f"at most {duration(times.run)}"] if times.run else []
    return ", ".join(parts)


def _log(attempt: Attempt) -> str:
    facts = attempt.log_facts()
    sealed = f", sha256 {facts['sha256'][:12]}…" if facts["sha256"] else ""
    gaps = f", {len(facts['gaps'])} gaps" if facts["gaps"] else ""
    return f"{facts['lines']} lines, {human_bytes(facts['bytes'])}{sealed}{gaps}"


def verdict_panel(verdict: dict[str, Any], state: str) -> Panel:
    text = Text(safe(verdict["summary"]), style="bold")
    for line in verdict["evidence"]:
        text.append(f"\n· {safe(line)}", style="not bold")
    if verdict["remedy"]:
        text.append("\n→ ", style="not bold").append(safe(verdict["remedy"]), style="not bold italic")
    title = f"{verdict['code']} ({verdict['kind']})"
    return Panel(text, title=title, title_align="left", border_style=colour(state), expand=False)


def waterfall(job: Job, width: int) -> Text:
    """The phases of its life as bars."""
    lines = [
        Text.assemble(
            f"{row.name} {row.blank}", (row.bar, BAR_COLOURS.get(row.status, "red")), row.rest, (f" {row.time}", "dim")
        )
        for row in rows(phases(job), width)
    ]
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _attempts_table(attempts: list[Attempt]) -> Table:
    table = new_table(
        number("#"),
        fixed("STATE"),
        elastic("WORKER"),
        fixed("RUNTIME"),
        number("RAN"),
        number("EXIT"),
        number("PEAK"),
        elastic("VERDICT"),
    )
    for attempt in attempts:
        table.add_row(
            str(attempt.number),
            badge(attempt.state),
            Text(safe(attempt.worker)),
            attempt.runtime,
            duration(seconds_between(attempt.started_at, attempt.finished_at)),
            "–" if attempt.exit_code is None else str(attempt.exit_code),
            human_bytes(attempt.usage.get("memory_peak_bytes")),
            (attempt.verdict or {}).get("code", ""),
        )
    return table


def _events_table(job: Job) -> Table:
    table = Table.grid(number(""), fixed(""), elastic(""), padding=(0, 2, 0, 0), expand=True)
    for event in job.events.select_related("attempt"):
        since = after(job.created_at, event.created_at)
        table.add_row(f"  {since}", event.kind, Text(safe(_detail(event)), style="dim"))
    return table


def _detail(event: Event) -> str:
    attempt = event.attempt.number if event.attempt else 1
    parts = [event.actor, f"attempt {attempt}" if attempt > 1 else ""]
    parts += [f"{key} {value}" for key, value in event.data.items() if value not in (None, "")]
    return "  ".join(part for part in parts if part)


def _next_steps(job: Job) -> Text:
    steps = [f"manage.py logs {'' if job.is_final else '-f '}{job.pk}"]
    if not job.is_final:
        steps.append(f"manage.py cancel {job.pk}")
    return Text("  ".join(steps), style="dim")
