"""The figures of a run as tables for the terminal, as Markdown, and as JSON."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from docker import APIClient
from docker.utils import kwargs_from_env
from rich.console import Console
from rich.table import Table

from .figures import median, percentile, spread
from .measured import Measured
from .ways import Command, Sdk, Towline

NOTE = (
    "`docker run` and the SDK are timed with the removal of their container, and neither stores anything. A Towline job "
    "is over, its output and verdict stored, before its container is removed."
)
WAYS = (Command.name, Sdk.name, Towline.name)


@dataclass(frozen=True)
class Block:
    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def blocks(found: Measured) -> list[Block]:
    return [_alone(found), _crowded(found), _phases(found), _steps(found)]


def _alone(found: Measured) -> Block:
    base = median(found.totals(Sdk.name))
    rows = []
    for way in WAYS:
        totals = found.totals(way)
        figures = f"{median(totals):.0f}", f"{percentile(totals, 0.9):.0f}", f"{median(totals) / base:.2f}"
        rows.append((way, *figures, f"±{spread(totals) / 2:.0%}"))
    return Block(
        f"One at a time, {len(found.totals(Sdk.name))} rounds: {_added(found)}",
        ("", "median ms", "p90 ms", "× SDK", "noise"),
        rows,
    )


def _added(found: Measured) -> str:
    return f"Towline adds {median(found.added_ms):.0f} ms to the SDK (median of the rounds)"


def _crowded(found: Measured) -> Block:
    rows = []
    for way in WAYS:
        rates, totals = found.crowded[way], [took.total for took in found.crowded_took[way]]
        share = median([ours / theirs for ours, theirs in zip(rates, found.crowded[Sdk.name], strict=True)])
        rows.append(
            (way, f"{median(rates):.2f}", f"{share:.2f}", f"{median(totals):.0f}", f"{percentile(totals, 0.9):.0f}")
        )
    return Block(
        f"{found.at_once} at once, {len(found.crowded[Sdk.name])} rounds",
        ("", "a second", "× SDK", "median ms", "p90 ms"),
        rows,
    )


def _phases(found: Measured) -> Block:
    names = list(found.phases[0])
    alone, crowded = _medians(found.phases), _medians(found.crowded_phases)
    rows = [(name, f"{alone[name]:.0f}", f"{crowded[name]:.0f}") for name in names if name in crowded]
    return Block("Where a Towline job's time goes, median ms", ("", "one at a time", f"{found.at_once} at once"), rows)


def _steps(found: Measured) -> Block:
    alone = _medians([took.steps for took in found.alone[Sdk.name]])
    crowded = _medians([took.steps for took in found.crowded_took[Sdk.name]])
    rows = [(name, f"{alone[name]:.0f}", f"{crowded[name]:.0f}") for name in alone]
    return Block("Where the SDK's time goes, median ms", ("", "one at a time", f"{found.at_once} at once"), rows)


def _medians(many: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for one in many for name in one))
    return {name: median([one[name] for one in many if name in one]) for name in names}


def facts(found: Measured) -> dict[str, str]:
    """Of the machine and the run: without them the figures say nothing."""
    engine = APIClient(**kwargs_from_env()).info()
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Machine": f"{os.cpu_count()} cpus, {engine['MemTotal'] >> 30} GiB, {platform.machine()}, Linux {platform.release()}",
        "Engine": f"Docker {engine['ServerVersion']}, {engine['Driver']}, cgroup v{engine.get('CgroupVersion', '1')}",
        "Python": platform.python_version(),
        "Database": "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite",
        "Command": " ".join(found.argv),
        "Load before and after": f"{found.load[0]:.1f}, {found.load[1]:.1f}",
        "Commit": _commit(),
    }


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def show(found: Measured, console: Console) -> None:
    for block in blocks(found):
        table = Table(title=block.title, title_justify="left", title_style="bold")
        for number, head in enumerate(block.heads):
            table.add_column(head, justify="right" if number else "left")
        for row in block.rows:
            table.add_row(*row)
        console.print(table)
    console.print(NOTE)
    for aim, reached in found.aims:
        console.print(f"[{'green' if reached else 'red'}]{'pass' if reached else 'FAIL'}[/]  {aim}")
    console.print(" · ".join(f"{name}: {fact}" for name, fact in facts(found).items()), style="dim", soft_wrap=True)


def as_markdown(found: Measured) -> list[str]:
    lines = [
        "Written by `python -m benchmarks.overhead --write docs/benchmarks.md`; not edited by hand.",
        "",
    ]
    lines += [f"* {name}: {fact}" for name, fact in facts(found).items()]
    lines += ["", NOTE]
    for block in blocks(found):
        lines += ["", f"## {block.title}", "", f"| {' | '.join(block.heads)} |"]
        lines += ["|---" + "|---:" * (len(block.heads) - 1) + "|", *(f"| {' | '.join(row)} |" for row in block.rows)]
    lines += ["", "## Aims", "", *(f"* {'reached' if reached else 'missed'}: {aim}" for aim, reached in found.aims)]
    return lines


def as_json(found: Measured) -> dict[str, Any]:
    return {
        "facts": facts(found),
        "added_ms": round(median(found.added_ms), 1),
        "throughput_share": round(median(found.throughput_shares), 3),
        "aims": dict(found.aims),
        "alone_ms": {way: [round(total, 1) for total in found.totals(way)] for way in WAYS},
        "crowded_per_second": {way: [round(rate, 3) for rate in found.crowded[way]] for way in WAYS},
        "phases_ms": {"alone": _rounded(found.phases), "crowded": _rounded(found.crowded_phases)},
    }


def _rounded(many: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in _medians(many).items()}
