"""All that is known of one span, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.admin.shown import pretty, shortened
from tracing.identity import span_hex, trace_hex
from tracing.rows import Row

from .around import Around
from .axis import took

ATTRIBUTES_MOST = 100
LONGEST = 500


@dataclass(frozen=True)
class Details:
    """`events`: (when after the span's start, name, attributes)."""

    row: Row
    key: str
    trace_key: str
    parent: tuple[str, str] | None  # id, operation
    took: str
    after: str
    attributes: tuple[tuple[str, str], ...]
    left_out: int
    events: tuple[tuple[str, str, str], ...]
    links: tuple[str, ...]
    below: int


def details(found: Around, now: datetime) -> Details:
    row, parent = found.row, found.parent
    attributes = [(key, _plain(value)) for key, value in sorted(row.attributes.items())]
    return Details(
        row,
        span_hex(row.span_id),
        trace_hex(row.trace_id),
        (span_hex(parent.span_id), parent.operation) if parent else None,
        took(row.seconds(now)),
        took((row.started_at - found.begin).total_seconds()),
        tuple(attributes[:ATTRIBUTES_MOST]),
        max(0, len(attributes) - ATTRIBUTES_MOST),
        tuple(_events(row)),
        tuple(_links(row)),
        found.below,
    )


def _events(row: Row) -> Iterator[tuple[str, str, str]]:
    for event in _listed(row, "events")[:50]:
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(event.get("time_ns") or 0) // 1000)
        told = event.get("attributes")
        after = took(max(0.0, (at - row.started_at).total_seconds()))
        yield after, shortened(event.get("name", ""), LONGEST), pretty(told, LONGEST) if told else ""


def _links(row: Row) -> Iterator[str]:
    for link in _listed(row, "links")[:20]:
        yield shortened(link.get("trace_id", ""), 32)


def _listed(row: Row, name: str) -> list[dict[str, Any]]:
    """Containers send what they like."""
    found = (row.metadata or {}).get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _plain(value: Any) -> str:
    return shortened(value if isinstance(value, str) else pretty(value), LONGEST)
