"""A record as values for the table's columns, without what a database refuses. Pure; run by the writer, not by who traces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from .models import Span
from .records import Record

Values = dict[str, Any]
EPOCH, LAST_DAY = datetime(1970, 1, 1), datetime(9999, 1, 1)
LAST_NS = int((LAST_DAY - EPOCH).total_seconds()) * 1_000_000_000
INTEGER_MOST, BIGINT_MOST = 2**31 - 1, 2**63 - 1
MESSAGE_MOST = 4000
METADATA_MOST = 16 * 1024  # bytes of JSON
SHORT_TEXT, SHORT_LIST, DEEPEST = 500, 50, 20
MOST = {
    name: getattr(Span._meta.get_field(name), "max_length", None)
    for name in ("service", "operation", "status", "job_id", "model_id", "region", "error_type")
}


def values_of(record: Record, writer: UUID | None = None) -> Values:
    """By column, but for `id` and `created_at`: ids in digits, times as text in UTC, `metadata` as JSON.

    `writer` is noted in the metadata of a span that is open, so that somebody can close it if that process is gone.
    """
    started = min(max(record.started_ns, 0), LAST_NS)
    ended = None if record.ended_ns is None else min(max(record.ended_ns, started), LAST_NS)
    noted = {**record.metadata, "writer": str(writer)} if writer and ended is None else record.metadata
    return {
        "trace_id": _digits(record.trace_id, 128),
        "span_id": _digits(record.span_id, 64),
        "parent_span_id": _digits(record.parent_span_id, 64) if record.parent_span_id else None,
        "started_at": _moment(started),
        "completed_at": None if ended is None else _moment(ended),
        "duration_ms": None if ended is None else min((ended - started) // 1_000_000, INTEGER_MOST),
        "execution_id": _whole(record.execution_id),
        "metadata": json_of(noted) if noted else None,
        "error_message": _text(record.error_message, MESSAGE_MOST),
        **{name: _text(getattr(record, name), most) for name, most in MOST.items()},
    }


def json_of(value: Mapping[str, Any]) -> bytes:
    """JSON that PostgreSQL takes, of METADATA_MOST bytes at most."""
    try:
        found = orjson.dumps(value)
    except TypeError:  # half of a surrogate pair, a whole number of more than 64 bits, a key that is no text …
        found = orjson.dumps(_plain(value))
    if b"\\u0000" in found:
        found = orjson.dumps(_plain(value))
    if len(found) > METADATA_MOST:
        shortened = {**_plain(value, SHORT_TEXT, SHORT_LIST), "shortened": True}
        found = orjson.dumps(shortened)
    return found if len(found) <= METADATA_MOST else orjson.dumps({"shortened": True, "bytes": len(found)})


def _plain(value: Any, text: int = METADATA_MOST, items: int = METADATA_MOST, deep: int = 0) -> Any:
    """The same, of what JSON and PostgreSQL have in common. At most `items` of each list, `text` characters of each text."""
    if isinstance(value, Mapping) and deep < DEEPEST:
        kept = list(value.items())[:items]
        return {_text(str(key), 255): _plain(one, text, items, deep + 1) for key, one in kept}
    if isinstance(value, list | tuple) and deep < DEEPEST:
        return [_plain(one, text, items, deep + 1) for one in value[:items]]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) <= BIGINT_MOST:
        return value
    return _text(f"{value}"[: text + 1], text)


def _text(value: str | None, most: int | None) -> str | None:
    if value is None or (value.isascii() and "\x00" not in value):
        return value and value[:most]
    return value.replace("\x00", "\ufffd").encode(errors="replace").decode()[:most]


def _digits(number: int, bits: int) -> str:
    return f"{number & ((1 << bits) - 1):032x}"


def _moment(ns: int) -> str:
    """As Django writes it, without a fraction where that is zero."""
    seconds, rest = divmod(ns // 1000, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}" if rest else _second(seconds)


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Spans come many in a second, and this is the dearest part of one."""
    return str(EPOCH + timedelta(seconds=seconds))


def _whole(number: int | None) -> int | None:
    return number if number is not None and abs(number) <= BIGINT_MOST else None
