"""The table of spans as its writers see it: many rows in one statement, on either database. Within a transaction of the caller.

A row whose id is known is written again, and only `created_at` stays; any other is new. A row that was meant to be written
again and is gone is new, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from django.db import OperationalError, connection, transaction

from .columns import Values

Key = tuple[int, int]  # trace, span
TYPES = {
    "id": "bigint", "trace_id": "uuid", "span_id": "uuid", "parent_span_id": "uuid", "service": "text", "operation": "text",
    "started_at": "timestamp", "completed_at": "timestamp", "duration_ms": "int", "status": "text", "job_id": "text",
    "execution_id": "bigint", "model_id": "text", "region": "text", "metadata": "jsonb", "error_message": "text",
    "error_type": "text",
}  # fmt: skip
COLUMNS = tuple(TYPES)
_INTO = f"INSERT INTO trace_spans ({', '.join(COLUMNS)})"
_AGAIN = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
# The span itself is compared for a table that was made anew: its ids begin from 1 again.
_SAME = " AND ".join(f"trace_spans.{name} = excluded.{name}" for name in ("trace_id", "span_id"))
_OR_AGAIN = f"ON CONFLICT (id) DO UPDATE SET {_AGAIN} WHERE {_SAME}"
_SQLITE = f"{_INTO} VALUES ({', '.join(['%s'] * len(COLUMNS))}) {_OR_AGAIN}"
_SEQUENCE = "nextval(pg_get_serial_sequence('trace_spans', 'id'))"
_SELECTED = {
    "id": f"coalesce(id, {_SEQUENCE})",
    "started_at": "started_at AT TIME ZONE 'UTC'",
    "completed_at": "completed_at AT TIME ZONE 'UTC'",
}
_POSTGRES = (
    f"{_INTO} SELECT {', '.join(_SELECTED.get(name, name) for name in COLUMNS)} "  # noqa: S608 - names of ours
    f"FROM json_to_recordset(%s) AS given({', '.join(f'{name} {kind}' for name, kind in TYPES.items())}) {_OR_AGAIN}"
)
_COPY = f"COPY trace_spans ({', '.join(COLUMNS[1:])}) FROM STDIN"
_IDS = "SELECT trace_id, span_id, id FROM trace_spans WHERE"
_OVER_LAST = "ORDER BY completed_at IS NULL DESC, id DESC"
LOCK_SECONDS = 1
LOCKS = 0x74_72_63  # of two numbers, so that none of them is ever a lock of somebody else's, which traces could choose


def write(rows: Sequence[Values]) -> None:
    """Rows with an `id`, and such as have none yet."""
    known = [row for row in rows if row.get("id") is not None]
    new = [row for row in rows if row.get("id") is None]
    write_new = _copy if connection.vendor == "postgresql" else _write_known
    # In this order: SQLite gives the next id, and must not give one that `new_ids` gave.
    if known:
        _write_known(known)
    if new:
        write_new(new)


def _write_known(rows: Sequence[Values]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES, [orjson.dumps([_embedded(row) for row in rows]).decode()])
        else:
            cursor.executemany(_SQLITE, [tuple(_as_text(row.get(name)) for name in COLUMNS) for row in rows])


def _copy(rows: Sequence[Values]) -> None:
    """Most rows, in half the time. Times without a zone are in that of the connection, which is UTC."""
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY) as into:
        for row in rows:
            into.write_row([_as_text(row[name]) for name in COLUMNS[1:]])


def _embedded(row: Values) -> Values:
    return {**row, "metadata": row["metadata"] and orjson.Fragment(row["metadata"])}


def _as_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def new_ids(count: int) -> list[int]:
    """For rows that will be written again."""
    if not count:
        return []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT {_SEQUENCE} FROM generate_series(1, %s)", [count])  # noqa: S608
            return [row[0] for row in cursor.fetchall()]
        # Whoever writes is alone here until the transaction is over.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'trace_spans'")
        last = (cursor.fetchone() or (0,))[0]
    return list(range(last + 1, last + 1 + count))


def ids_of(keys: Collection[Key]) -> dict[Key, int]:
    """Of those that are there; of one that is there twice, the one that is over."""
    if not keys:
        return {}
    traces, spans = (sorted({f"{key[part]:032x}" for key in keys}) for part in (0, 1))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"{_IDS} trace_id = ANY(%s::uuid[]) AND span_id = ANY(%s::uuid[]) {_OVER_LAST}", [traces, spans]
            )
            known = {(trace.int, span.int): pk for trace, span, pk in cursor.fetchall()}
        else:
            of_traces, of_spans = (", ".join(["%s"] * len(each)) for each in (traces, spans))
            where = f"trace_id IN ({of_traces}) AND span_id IN ({of_spans})"
            cursor.execute(f"{_IDS} {where} {_OVER_LAST}", [*traces, *spans])
            known = {(int(trace, 16), int(span, 16)): pk for trace, span, pk in cursor.fetchall()}
    return {key: known[key] for key in keys if key in known}


def lock(traces: Collection[int]) -> None:
    """Until the transaction is over, nobody else who asks for one of these traces goes on. A span of two processes is one row.

    Who holds one for long is not waited for: a row that is there twice is the lesser evil, see `tracing.rows`.
    """
    if connection.vendor != "postgresql" or not traces:
        return
    keys = sorted({(trace & (2**32 - 1)) - 2**31 for trace in traces})
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute("SELECT count(pg_advisory_xact_lock(%s, key)) FROM unnest(%s::int[]) AS key", [LOCKS, keys])
    except OperationalError:
        if connection.needs_rollback or not connection.is_usable():
            raise
