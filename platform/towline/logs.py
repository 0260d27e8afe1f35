"""The two forms of a line in the log, by structlog: for people, and as JSON. Both name the span under way, if one is traced.

Messages come as they are: what is secret was masked by who wrote them.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog
from opentelemetry import trace
from structlog.stdlib import ProcessorFormatter

from .settings.logs import PLAIN

Event = MutableMapping[str, Any]


def line() -> logging.Formatter:
    """As Python's own, with ` trace=… span=…` behind the message."""
    return ProcessorFormatter(
        processors=[_with_span], keep_exc_info=True, keep_stack_info=True, fmt=PLAIN["format"], style="{"
    )


def json_line() -> logging.Formatter:
    """`time` (UTC), `level`, `logger`, `event`; `trace_id`, `span_id`, `job_id`, `execution_id`, `exception` where there is one."""
    render = structlog.processors.JSONRenderer()
    return ProcessorFormatter(processors=[_as_fields, structlog.processors.format_exc_info, render])


def _with_span(logger: Any, method: str, event: Event) -> str:
    found = _under_way()
    said = f" trace={found['trace_id']} span={found['span_id']}" if found else ""
    return f"{event['event']}{said}"


def _as_fields(logger: Any, method: str, event: Event) -> Event:
    record: logging.LogRecord = event["_record"]
    fields = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"],
        **_under_way(),
    }
    return {**fields, **{name: event[name] for name in ("exc_info", "stack_info") if name in event}}


def _under_way() -> dict[str, Any]:
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    from tracing.whereabouts import whereabouts  # not above: lines are logged before Django's apps are there

    return whereabouts()
