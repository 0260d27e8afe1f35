"""What of tracing is switched on in this process, for whoever shows it. No credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from .services import SERVICES


@dataclass(frozen=True)
class Switches:
    """`endpoint` is empty where nothing is exported; `services` are those that are traced; `keep_days` 0: for ever.

    `disabled`: by OpenTelemetry's own OTEL_SDK_DISABLED, whatever else is set.
    """

    table: bool
    endpoint: str
    sampler: str
    services: tuple[str, ...]
    keep_days: int
    buffer: int
    disabled: bool = False

    @property
    def on(self) -> bool:
        return (self.table or bool(self.endpoint)) and not self.disabled


def switches() -> Switches:
    wanted = settings.TOWLINE
    return Switches(
        wanted.ENABLE_DB_TRACING,
        _without_credentials(wanted.OTEL_EXPORTER_OTLP_ENDPOINT or ""),
        _sampler(),
        tuple(wanted.TOWLINE_TRACE_SERVICES or SERVICES),
        wanted.TOWLINE_TRACE_KEEP_DAYS,
        wanted.TOWLINE_TRACE_BUFFER,
        wanted.OTEL_SDK_DISABLED,
    )


def _sampler() -> str:
    """As OpenTelemetry's own variables name it."""
    name = os.environ.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    share = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    return f"{name} {share}".strip()


def _without_credentials(url: str) -> str:
    """Of an endpoint, who is asked and nothing else: users, passwords and keys may stand before and behind it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if url else ""
