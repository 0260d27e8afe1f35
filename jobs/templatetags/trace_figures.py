"""`{% load trace_figures %}`: figures of the trace store, told from estimates."""

from __future__ import annotations

from django import template

from jobs.admin.shown import DASH
from jobs.admin.traces.axis import took
from tracing.health import Health

register = template.Library()


@register.filter
def figure(health: Health, name: str) -> str:
    """A figure of the store by name; `≈` before one that is estimated."""
    value = getattr(health.store, name)
    if value is None:
        return DASH
    said = milliseconds(value) if name.endswith("_ms") else f"{value:,}"
    return f"≈ {said}" if name in health.estimated else said


@register.filter
def milliseconds(value: float | None) -> str:
    """A length of time for people."""
    return DASH if value is None else took(value / 1000)
