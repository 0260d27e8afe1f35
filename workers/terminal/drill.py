"""A drill as it is told: what is expected, what happens, what was found."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.terminal.tables import fixed, folded, new_table
from jobs.terminal.words import duration, safe
from workers.drills.drill import Drill
from workers.drills.promise import Finding
from workers.drills.running import Report
from workers.drills.scene import Scene


def drills_table(drills: Iterable[type[Drill]]) -> Table:
    table = new_table(fixed("DRILL"), folded("WHAT IT DOES", 3), folded("WHAT OTHERS NOTICE", 2), fixed("OPTIONS"))
    for drill in drills:
        options = " ".join(f"--{name}" for name in sorted(drill.takes))
        table.add_row(drill.name, drill.about, drill.disturbs or "nothing", options)
    return table


class Narrator:
    """Tells it line by line; nothing, when `silent`."""

    def __init__(self, console: Console, *, silent: bool) -> None:
        self._console = console
        self._silent = silent

    def begins(self, scene: Scene) -> None:
        drill, bounds = scene.drill, scene.bounds
        self._say(Text(f"{drill.name}: {drill.about}", style="bold"))
        beats = f"heartbeat {bounds.heartbeat:g} s, lease {bounds.lease:g} s, grace {bounds.grace:g} s"
        self._say(Text(f"{scene.worker}, {scene.runtime}; {beats}", style="dim"))
        self._say(Text("\nexpected:", style="bold dim"))
        for promise in scene.promises:
            self._say(Text(f"  · {safe(str(promise))}"))
        if drill.disturbs:
            self._say(Text(f"\nothers notice: {drill.disturbs}", style="yellow"))
        self._say(Text())

    def happens(self, text: str) -> None:
        self._say(Text(f"→ {safe(text)}", style="cyan"))

    def found(self, finding: Finding) -> None:
        self._say(finding_line(finding))

    def ends(self, report: Report) -> None:
        for finding in report.findings:
            if not finding.held and finding.detail.startswith("not seen"):
                self.found(finding)
        held = sum(finding.held for finding in report.findings)
        style = "bold green" if report.passed else "bold red"
        self._say(Text(f"\n{held} of {len(report.findings)} promises held", style=style))
        for job in report.jobs if not report.passed else ():
            self._say(Text(f"  → manage.py job {job.pk}", style="dim"))

    def _say(self, text: Text) -> None:
        if not self._silent:
            self._console.print(text, soft_wrap=True)


def finding_line(finding: Finding) -> Text:
    mark, style = ("✓", "bold green") if finding.held else ("✗", "bold red")
    line = Text.assemble((mark, style), f" {safe(finding.promise.says)}")
    if finding.seconds is not None:
        limit = f" of {finding.promise.seconds:g} s" if finding.promise.seconds else ""
        line.append(f"  {duration(finding.seconds)}{limit}", style="dim")
    if finding.detail:
        line.append(f"\n    {safe(finding.detail)}")
    return line
