"""Tracing in this process: begun by whoever starts it, as the settings say; at its end what waits is written."""

from __future__ import annotations

import atexit
import logging

from django.conf import settings

from . import spans
from .export import Export
from .sdk import Backend
from .writer import Writer

log = logging.getLogger(__name__)
_writer: Writer | None = None
_export: Export | None = None
_backend: Backend | None = None


def begin(role: str) -> None:
    """Once a process. Nothing at all where neither the table nor an OTLP endpoint is wanted."""
    global _writer, _export, _backend
    wanted = settings.TOWLINE
    if spans.on() or not wanted.traces:
        return
    try:
        _writer = Writer(role, wanted.TOWLINE_TRACE_BUFFER) if wanted.ENABLE_DB_TRACING else None
        _export = Export(wanted.OTEL_EXPORTER_OTLP_ENDPOINT) if wanted.OTEL_EXPORTER_OTLP_ENDPOINT else None
        _backend = Backend(_writer, _export, wanted.TOWLINE_TRACE_SERVICES)
        _backend.prepare()  # what the SDK has against its own settings, it says now
    except (ValueError, TypeError) as error:
        log.error("nothing is traced here, an OTEL_… setting needs mending: %s", error)  # noqa: TRY400 - for operators
        _writer = _export = _backend = None
        return
    spans.install(_backend)
    atexit.register(end)


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
