"""What a span is of, job, execution, model and region: by its own word, else its maker's, else that of the span above. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..records import EXECUTION, JOB, MODEL, REGION, Record

EXECUTION_MOST = 2**63 - 1
# Ours, the plain ones, and what OpenTelemetry's conventions call the same; and how much of a text the column takes.
_TEXTS = {
    "job_id": ((JOB, "job_id", "job.id"), 255),
    "model_id": ((MODEL, "model_id", "model.id", "gen_ai.request.model"), 100),
    "region": ((REGION, "region", "cloud.region"), 50),
}
_EXECUTIONS = (EXECUTION, "execution_id", "execution.id")
NAMES = frozenset({*_EXECUTIONS, *(name for names, _ in _TEXTS.values() for name in names)})


def columns_said(attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """By column; what the span says comes before what its maker says."""
    said = {**resource, **attributes}
    found: dict[str, Any] = {column: _first(said, names)[:most] or None for column, (names, most) in _TEXTS.items()}
    execution = _first(said, _EXECUTIONS)
    whole = execution.isascii() and execution.isdigit() and len(execution) < 20
    found["execution_id"] = int(execution) if whole and int(execution) <= EXECUTION_MOST else None
    return found


def pass_down(records: Sequence[Record]) -> None:
    """To spans that say nothing of it, as most systems tell it once, at the top. Job and execution go together."""
    known = {record.key: record for record in records}
    done: set[int] = set()
    for record in records:
        line = list(_line(record, known, done))
        for above, below in zip(line[::-1], line[-2::-1], strict=False):
            if below.job_id is None and below.execution_id is None:
                below.job_id, below.execution_id = above.job_id, above.execution_id
            below.model_id = below.model_id or above.model_id
            below.region = below.region or above.region


def _line(record: Record, known: Mapping[tuple[int, int], Record], done: set[int]) -> Iterator[Record]:
    """Itself and what is above, up to the top or to one that has been given all there is. Not round and round in a ring."""
    at: Record | None = record
    while at is not None:
        yield at
        if id(at) in done:
            return
        done.add(id(at))
        at = known.get((at.trace_id, at.parent_span_id)) if at.parent_span_id else None


def text_of(value: Any) -> str:
    """Empty of what is no single value."""
    return "" if value is None or isinstance(value, list | dict) else str(value)


def _first(said: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((text for name in names if (text := text_of(said.get(name)))), "")
