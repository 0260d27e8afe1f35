"""`trace-health`: is tracing switched on, has it a table with all that belongs to it, and is it written to? In that order."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.db import connection

from jobs.quantities import human_bytes
from towline import health as parts
from tracing import storage
from tracing.health import Health, Service, health
from tracing.switches import Switches, switches

from .finding import Check, Finding, failed, fine, warn

NAME = "trace-health"
REACH_SECONDS = 2
MIGRATE = "Run `manage.py migrate`."


def tracing() -> list[Finding]:
    found = switches()
    if not found.on:
        return [fine(NAME, f"off (ENABLE_DB_TRACING){_kept()}")]
    return [*_settings(found), *(_store() if found.table else ())]


def _kept() -> str:
    """Of the time when it was on."""
    if storage.TABLE not in connection.introspection.table_names():
        return ""
    spans = health().store.total_spans
    return f", {spans:,} spans are kept from before" if spans else ""


def _settings(found: Switches) -> Iterator[Finding]:
    keep = f"kept {found.keep_days} days" if found.keep_days else "kept for ever"
    where = [*(["the table"] if found.table else []), *([f"OTLP to {found.endpoint}"] if found.endpoint else [])]
    said = f"on: {' and '.join(where)}; sampler {found.sampler}; services {', '.join(found.services)}; {keep}"
    yield fine(NAME, f"{said}; at most {found.buffer:,} spans wait in a process")
    if found.endpoint:
        yield judge_endpoint(found.endpoint)


def judge_endpoint(url: str) -> Finding:
    """Whether somebody listens there; not whether OTLP is spoken."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), REACH_SECONDS).close()
    except OSError as error:
        remedy = "Start the collector, or mend OTEL_EXPORTER_OTLP_ENDPOINT: what can't be exported is dropped."
        return warn(NAME, f"nobody answers at {url}: {error}", remedy)
    return fine(NAME, f"somebody listens at {url}")


def _store() -> Iterator[Finding]:
    parts.database()
    yield fine(NAME, "the database answers")
    if storage.TABLE not in connection.introspection.table_names():
        yield failed(NAME, f"there is no table {storage.TABLE}", MIGRATE)
        return
    found = health()
    yield _table(found)
    yield _functions()
    yield from judge_writers(found)
    yield _services(found.services)


def _table(found: Health) -> Finding:
    store, about = found.store, "about " if "total_spans" in found.estimated else ""
    oldest = f", the oldest of {store.oldest_at:%Y-%m-%d %H:%M:%S} UTC" if store.oldest_at else ""
    sizes = f"{human_bytes(store.table_size)}, {human_bytes(store.total_size_with_indexes)} with its indexes"
    rates = (
        f"{store.per_second_last_minute:.1f}/s in the last minute, {store.per_second_last_hour:.1f}/s in the last hour"
    )
    rows = f"{about}{store.total_spans:,} spans of {store.unique_traces:,} traces"
    ends = f"{store.failed_spans:,} failed, {store.timeout_spans:,} timed out, {store.open_spans:,} open"
    return fine(NAME, f"{storage.TABLE} has {rows} ({ends}); {sizes}{oldest}; {rates}")


def _functions() -> Finding:
    if missing := storage.missing():
        return failed(NAME, f"not in the database: {', '.join(missing)}", MIGRATE)
    if connection.vendor != "postgresql":
        return fine(NAME, "views and functions: not in SQLite, Python answers instead")
    return fine(NAME, f"views and functions are there: {', '.join((*storage.VIEWS, *storage.FUNCTIONS))}")


def judge_writers(found: Health) -> Iterator[Finding]:
    late = sum(writer.dropped for writer in found.writers)
    said = f"{found.written:,} spans written, {found.dropped:,} dropped, {late:,} of them by those of the last day"
    if late:
        remedy = "Look at the log of the writer; raise TOWLINE_TRACE_BUFFER, or trace less (TOWLINE_TRACE_SERVICES)."
        who = ", ".join(f"{writer.process} {writer.dropped:,}" for writer in found.writers if writer.dropped)
        yield warn(NAME, f"{said}: {who}", remedy)
    else:
        yield fine(NAME, said)
    for writer in found.silent:
        remedy = "It was killed, or can't write: what it left open is closed as lost. Look at its log if it runs."
        yield warn(NAME, f"{writer.process} is silent since {writer.seen_at:%Y-%m-%d %H:%M:%S} UTC", remedy)


def _services(services: tuple[Service, ...]) -> Finding:
    told = ", ".join(
        f"{each.service} {each.spans:,} ({each.failed:,} failed, {each.open:,} open, "
        f"{each.avg_duration_ms or 0:,.0f} ms on average)"
        for each in services
    )
    return fine(NAME, f"in the last hour: {told or 'no span'}")


CHECKS = (Check(NAME, tracing, "Look at DATABASE_URL, and whether the server there runs."),)
