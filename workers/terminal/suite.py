"""A suite's results as a table and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from jobs.quantities import human_bytes
from jobs.terminal.badges import badge
from jobs.terminal.tables import elastic, fixed, new_table, number
from jobs.terminal.words import duration, safe, short_id
from workers.suites.running import Result


def suite_table(results: Sequence[Result]) -> Table:
    table = new_table(
        fixed("EXAMPLE"),
        fixed("JOB"),
        fixed("RESULT"),
        number("LINES"),
        number("TOOK"),
        number("PEAK"),
        elastic("REMARK"),
    )
    for result in results:
        table.add_row(
            result.example.name,
            short_id(result.job.pk),
            _badge(result),
            str(result.lines) if result.over else "",
            duration(result.seconds),
            human_bytes(result.peak_bytes),
            Text(safe(remark(result))),
        )
    return table


def _badge(result: Result) -> Text:
    if not result.over:
        return badge(result.job.state)
    return Text("✓ passed", style="bold green") if result.passed else Text("✗ failed", style="bold red")


def remark(result: Result) -> str:
    if result.problems:
        return "; ".join(result.problems)
    if not result.over and result.job.waiting_reason:
        return f"{result.job.waiting_reason}: {result.job.waiting_detail}"
    if result.waited:
        return f"waits, as it must here: {result.waited}"
    return f"scaled to {result.scaled}" if result.scaled else ""


def suite_verdict(results: Sequence[Result]) -> Text:
    """How many passed, and of the others everything that was wrong, uncut."""
    bad = [result for result in results if not result.passed]
    passed = len(results) - len(bad)
    text = Text(f"\n{passed} of {len(results)} passed", style="bold red" if bad else "bold green")
    for result in bad:
        text.append(f"\n{result.example.name} ({result.job.pk}):", style="not bold")
        for problem in result.problems:
            text.append(f"\n  · {safe(problem)}", style="not bold")
        text.append(f"\n  → manage.py logs {short_id(result.job.pk)}", style="not bold dim")
    return text
