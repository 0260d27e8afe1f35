"""Where in which trace this thread is, for lines in the log and for exemplars."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace

from .identity import span_hex, trace_hex
from .records import EXECUTION, JOB
from .spans import _SUBJECT, here

FIELDS = {JOB: "job_id", EXECUTION: "execution_id"}


def whereabouts() -> dict[str, Any]:
    """`trace_id`, `span_id`, and what is known of `job_id` and `execution_id`; empty where nothing is traced."""
    place = here()
    if place is None or not place.sampled:
        return {}
    ids: dict[str, Any] = {"trace_id": trace_hex(place.trace_id), "span_id": span_hex(place.span_id)}
    about: Any = contexts.get_value(_SUBJECT)
    known = {**(about.attributes() if about else {}), **(getattr(trace.get_current_span(), "attributes", None) or {})}
    return ids | {field: known[name] for name, field in FIELDS.items() if name in known}
