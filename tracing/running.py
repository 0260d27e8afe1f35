"""Tracing in this process: begun by whoever starts it, as the settings say; at its end what waits is written."""

from __future__ import annotations

import atexit
import os
import socket

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from . import spans
from .sdk import Backend
from .writer import Writer

_writer: Writer | None = None


def begin(role: str) -> None:
    """Once a process. Nothing at all where neither the table nor an OTLP endpoint is wanted."""
    wanted = settings.TOWLINE
    if spans.on() or not (wanted.ENABLE_DB_TRACING or wanted.OTEL_EXPORTER_OTLP_ENDPOINT):
        return
    export = BatchSpanProcessor(OTLPSpanExporter()) if wanted.OTEL_EXPORTER_OTLP_ENDPOINT else None
    backend = Backend(_table_writer(role) if wanted.ENABLE_DB_TRACING else None, export, wanted.TOWLINE_TRACE_SERVICES)
    spans.install(backend)
    if export:
        atexit.register(export.shutdown)


def _table_writer(role: str) -> Writer:
    global _writer
    process = f"{role} {socket.gethostname()} {os.getpid()}"
    _writer = Writer(process, settings.TOWLINE.TOWLINE_TRACE_BUFFER)
    _writer.start()
    atexit.register(_writer.stop)
    return _writer


def writer() -> Writer | None:
    """Of this process; None where nothing is written to the table."""
    return _writer
