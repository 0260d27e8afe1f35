"""What changed between runs, on a screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tracing.waterfall import short_time

from .tables import elastic, fixed, folded, new_table, number
from .words import safe

PHASES_SHOWN = 15
WORTH_SECONDS = 0.01  # differences below it are noise to a reader


def changes_page(shown: dict[str, Any]) -> Iterator[RenderableType]:
    """Of the answer that REST gives."""
    yield _compared_with(shown)
    if shown["compared_with"]:
        yield from _section("spec and place", _spec(shown["spec"]), "nothing differs")
    phases = shown["phases"]
    if phases["differences"]:
        title = f"phases, beside the median of {phases['successes']} earlier successes"
        yield from _section(title, phases_table(phases["differences"]), "as long as usual")
    attributes = shown["attributes"]
    runs = f"{attributes['failing']} failing and {attributes['passing']} passing runs of {attributes['days']} days"
    nothing = attributes["note"] or "they share nothing that passing ones lack"
    yield from _section(f"what failures share: {runs}", _attributes(attributes["differences"]), nothing)
    if shown["note"]:
        yield Text(f"\n{shown['note']}", style="yellow")


def comparison_page(shown: dict[str, Any]) -> Iterator[RenderableType]:
    """Of the answer of `compare`."""
    yield from _section("spec and place", _spec(shown["spec"]), "nothing differs")
    yield from _section("phases", phases_table(shown["phases"]), "as long as the other's")
    if shown["note"]:
        yield Text(f"\n{shown['note']}", style="yellow")


def _section(title: str, table: Table | None, nothing: str) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold dim")
    yield table if table and table.row_count else Text(f"  {nothing}")


def _compared_with(shown: dict[str, Any]) -> Text:
    same, base = shown["same"], shown["compared_with"]
    name = safe(same["name"]) or f"unnamed, of {safe(same['image'])}"
    text = Text.assemble("compared by ", same["by"], f": {safe(same['project'])} / ", (name, "bold"))
    return text.append(f"\nlast success: job {base['job_id']}, attempt {base['attempt']}" if base else "", "dim")


def _spec(changes: list[dict[str, Any]]) -> Table:
    table = new_table(fixed("FIELD"), folded("BEFORE"), folded("NOW"))
    for change in changes:
        before, after = change["before"], change["after"]
        hidden = before is None and after is None
        table.add_row(
            safe(change["field"]),
            "differs, not shown" if hidden else _value(before),
            "" if hidden else _value(after),
        )
    return table


def _value(value: Any) -> Text:
    return Text("–" if value is None else safe(value if isinstance(value, str) else json.dumps(value, default=str)))


def phases_table(phases: list[dict[str, Any]]) -> Table:
    """The greatest differences. New and missing phases are told however short they were."""
    worth = [each for each in phases if _is_told(each)]
    table = new_table(fixed("SERVICE"), elastic("PHASE"), number("NOW"), number("USUAL"), number("DIFFERENCE"))
    for each in worth[:PHASES_SHOWN]:
        more = each["difference_seconds"] > 0
        difference = Text(f"{'+' if more else '−'}{short_time(abs(each['difference_seconds']))}")
        difference.append(f"  ×{each['ratio']:.1f}" if each["ratio"] else "")
        difference.stylize("red" if more else "green")
        table.add_row(
            safe(each["service"]),
            Text(safe(each["operation"])),
            "missing" if each["seconds"] is None else short_time(each["seconds"]),
            "new" if each["usual_seconds"] is None else short_time(each["usual_seconds"]),
            difference,
        )
    return table


def _is_told(each: dict[str, Any]) -> bool:
    return None in (each["seconds"], each["usual_seconds"]) or abs(each["difference_seconds"]) >= WORTH_SECONDS


def _attributes(differences: list[dict[str, Any]]) -> Table:
    table = new_table(
        fixed("ATTRIBUTE"),
        elastic("VALUE"),
        number("FAILING"),
        number("PASSING"),
        number("FAIL WITH IT"),
        number("CHANCE"),
    )
    for each in differences:
        table.add_row(
            safe(each["attribute"]),
            Text(safe(each["value"]), style="bold"),
            f"{each['failing']} ({each['failing_share']:.0%})",
            f"{each['passing']} ({each['passing_share']:.0%})",
            f"{each['failure_rate']:.0%}",
            f"{each['chance']:.1g}",
        )
    return table
