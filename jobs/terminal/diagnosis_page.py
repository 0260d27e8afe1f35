"""What was unusual in a run, and why it failed, on a screen; and runs that are like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tracing.questions.anomalies import Finding
from tracing.waterfall import short_time

from .badges import colour
from .tables import elastic, fixed, folded, new_table, number
from .words import safe, short_id

GAP_WORTH_MS = 1


def diagnosis_page(shown: dict[str, Any], found: Sequence[Finding]) -> Iterator[RenderableType]:
    """Of the answer that REST gives, and all that was judged for it."""
    if found:
        yield _findings(found)
        yield Text(f"\n{len(shown['anomalies'])} of {len(found)} spans are unusual.", style="dim")
    if cause := shown["root_cause"]:
        yield _cause(cause)
    elif found:
        yield Text("It has no root cause: it has not failed.", style="green")
    if shown["note"]:
        yield Text(shown["note"], style="yellow")


def _findings(found: Sequence[Finding]) -> Table:
    table = new_table(
        fixed("SERVICE"),
        elastic("SPAN", 2),
        number("TOOK"),
        number("GAP AFTER"),
        fixed("STATUS"),
        folded("WHY UNUSUAL", 4),
    )
    for each in found:
        table.add_row(
            safe(each.service)[:12],
            Text(safe(each.operation)),
            _time(each.duration_ms) or "open",
            _time(each.gap_after_ms) if (each.gap_after_ms or 0) >= GAP_WORTH_MS else "",
            Text(each.status, style=colour(each.status)),
            Text(safe(each.anomaly_reason or "") if each.is_anomaly else ""),
            style="red" if each.is_anomaly else "",
        )
    return table


def _time(milliseconds: int | None) -> str:
    return "" if milliseconds is None else short_time(milliseconds / 1000)


def _cause(cause: dict[str, Any]) -> Panel:
    where = " ".join(safe(cause[name] or "") for name in ("service", "operation")).strip()
    text = Text.assemble(("It failed at ", ""), (where, "bold"), f": {safe(cause['evidence'])}")
    text.append("\n→ ").append(safe(cause["recommendation"]), style="italic")
    return Panel(text, title=safe(cause["type"]), title_align="left", border_style="red", expand=False)


def similar_page(shown: dict[str, Any]) -> Iterator[RenderableType]:
    if shown["results"]:
        yield _runs(shown["results"])
    elif not shown["note"]:
        yield Text("No other run is known.")
    if shown["note"]:
        yield Text(shown["note"], style="yellow")


def _runs(results: Sequence[dict[str, Any]]) -> Table:
    table = new_table(
        number("ALIKE"),
        fixed("JOB"),
        number("#"),
        elastic("NAME", 2),
        fixed("STATUS"),
        number("TOOK"),
        elastic("FAILED AT", 3),
    )
    for each in results:
        table.add_row(
            f"{each['similarity']:.0%}",
            short_id(each["job_id"]) if each["job_id"] else f"execution {each['execution_id']}",
            str(each["attempt"] or "–"),
            Text(safe(each["job_name"] or "")),
            Text(each["status"], style=colour(each["status"])),
            _time(each["duration_ms"]) or "–",
            Text(safe(each["failure_point"] or "")),
        )
    return table
