"""Tracing in this process: begun by whoever starts it, as the settings say; at its end what waits is written."""

from __future__ import annotations

import atexit
import os

from django.conf import settings
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED

from . import spans
from .export import Export
from .sdk import Backend
from .writer import Writer

_writer: Writer | None = None
_export: Export | None = None
_backend: Backend | None = None


def begin(role: str) -> None:
    """Once a process. Nothing at all where neither the table nor an OTLP endpoint is wanted."""
    global _writer, _export, _backend
    wanted = settings.TOWLINE
    if spans.on() or not (wanted.ENABLE_DB_TRACING or wanted.OTEL_EXPORTER_OTLP_ENDPOINT) or _disabled():
        return
    _writer = Writer(role, wanted.TOWLINE_TRACE_BUFFER) if wanted.ENABLE_DB_TRACING else None
    _export = Export(wanted.OTEL_EXPORTER_OTLP_ENDPOINT) if wanted.OTEL_EXPORTER_OTLP_ENDPOINT else None
    _backend = Backend(_writer, _export, wanted.TOWLINE_TRACE_SERVICES)
    spans.install(_backend)
    atexit.register(end)


def _disabled() -> bool:
    return os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"


def end() -> None:
    """What waits is written and exported, as far as that takes seconds. From now on nothing is traced."""
    global _writer, _export, _backend
    spans.install(None)
    for part in (_writer, _export):
        if part is not None:
            part.stop()
    _writer = _export = _backend = None


def writer() -> Writer | None:
    """Of this process; None where nothing is written to the table."""
    return _writer


def backend() -> Backend | None:
    """Of this process; None where nothing is traced."""
    return _backend
