"""A trace on a screen: its waterfall, the critical path marked in the first column, what failed in red with its message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from jobs.traces.reading import Trace
from jobs.traces.shown import FAILED, hex_or_none, summary
from tracing.folding import Folded, fold
from tracing.models import Status
from tracing.questions.waterfall import Step, waterfall
from tracing.waterfall import Phase, axis, rows, short_time

from .words import clock, safe

Line = Step | Folded
CRITICAL, ASIDE = "┃ ", "  "
DEEPEST = 12  # levels that are indented, where there is room
NAME_SHORTEST, NAME_LONGEST = 12, 40
COLOURS = {
    "web": "magenta",
    "command": "magenta",
    "job": "white",
    "control": "yellow",
    "worker": "cyan",
    "engine": "blue",
    "container": "green",
}
STATUSES = {Status.COMPLETED: "ok", Status.STARTED: "open"}


def trace_page(trace: Trace, width: int, now: datetime, *, whole: bool) -> Group:
    """For a screen of that width. Unless it is the `whole`, siblings alike are folded."""
    steps = waterfall(trace.rows, now)
    lines: Sequence[Line] = steps if whole else fold(steps)
    parts: list[RenderableType] = [_heading(trace, len(lines))]
    if lines:
        parts += [Text(), drawn(lines, width, now), Text(), _legend(steps)]
    if trace.note:
        parts.append(Text(trace.note, style="yellow"))
    return Group(*parts)


def drawn(lines: Sequence[Line], width: int, now: datetime) -> Text:
    """The waterfall below its axis."""
    services = [safe(line.service if isinstance(line, Folded) else line.row.service)[:12] for line in lines]
    beside = max(map(len, services)) + 1
    phases = [_phase(line, width, now) for line in lines]
    bars = rows(phases, width - beside - len(CRITICAL))
    columns = len(bars[0].blank + bars[0].bar + bars[0].rest)
    before = len(CRITICAL) + beside + len(bars[0].name) + 1
    shown = [Text(" " * before + axis(phases, columns), style="dim")]
    last_told = _last_told(lines)
    for place, (line, service, row) in enumerate(zip(lines, services, bars, strict=True)):
        colour = "red" if row.status not in ("ok", "open") else COLOURS.get(service, "green")
        marked = (CRITICAL, "bold") if line.critical else (ASIDE, "")
        name = (f"{service.ljust(beside)}{row.name} ", f"bold {colour}" if line.critical else colour)
        time = (f" {row.time.rstrip()}", "red" if colour == "red" else "dim")
        shown.append(Text.assemble(marked, name, row.blank, (row.bar, colour), row.rest, time))
        if place in last_told and isinstance(line, Step):
            shown.append(_message(line, len(CRITICAL) + beside + 2 * _levels(line, width)))
    for text in shown:
        text.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(shown)


def _phase(line: Line, width: int, now: datetime) -> Phase:
    depth = _levels(line, width)
    if isinstance(line, Folded):
        shortest, longest = map(short_time, line.seconds(now))
        each = f"{shortest} each" if shortest == longest else f"{shortest} to {longest}"
        return Phase(_cut(f"+ {line.count} more, {each}", width), line.start, line.end(now), depth)
    row = line.row
    name = _cut(safe(row.operation), width)
    return Phase(name, row.started_at, row.end(now), depth, STATUSES.get(Status(row.status), row.status))


def _levels(line: Line, width: int) -> int:
    return min(line.depth, DEEPEST, width // 12)


def _cut(name: str, width: int) -> str:
    most = min(max(width // 4, NAME_SHORTEST), NAME_LONGEST)
    return name if len(name) <= most else name[: most - 1] + "…"


def _last_told(lines: Sequence[Line]) -> set[int]:
    """A failure is often told by every span around it: its message is shown once, at the last of them."""
    told = {
        (line.row.error_type, line.row.error_message): place
        for place, line in enumerate(lines)
        if isinstance(line, Step) and line.row.status in FAILED and (line.row.error_type or line.row.error_message)
    }
    return set(told.values())


def _message(step: Step, indent: int) -> Text:
    told = ": ".join(filter(None, [step.row.error_type, step.row.error_message]))
    return Text(f"{' ' * indent}✗ {safe(told)}", style="red")


def _heading(trace: Trace, shown: int) -> Text:
    text = Text.assemble("trace ", (hex_or_none(trace.trace_id) or "none", "bold"))
    if not trace.rows:
        return text
    facts = summary(trace.rows)
    took = "open" if facts["duration_ms"] is None else short_time(facts["duration_ms"] / 1000)
    failed = f", {facts['failed']} failed" if facts["failed"] else ""
    text.append(f"\n{clock(facts['started_at'])}, {took}, {facts['status']}, {facts['spans']} spans{failed}", "dim")
    return text.append(f"; {shown} lines, --all shows each span" if shown < facts["spans"] else "", "dim")


def _legend(steps: Sequence[Step]) -> Text:
    ends = "; ░ is not over" if any(step.row.completed_at is None for step in steps) else ""
    return Text(f"{CRITICAL}the critical path: what determined when it was over{ends}", style="dim")
