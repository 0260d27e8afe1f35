"""The trace store as whoever has psql sees it: tables, views, functions, up and down."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from tests.unit.tracing.traces import span

from .test_trace_questions import kept

VIEWS = {"trace_waterfall": 15, "trace_spans_health": 9}
ANSWERS = {
    "diagnose_execution_trace": "service operation started_at completed_at duration_ms gap_after_ms status error_message "
    "is_anomaly anomaly_reason",
    "identify_root_cause": "root_cause_type affected_service affected_operation evidence recommendation",
    "find_similar_traces": "similar_execution_id similarity_score status total_duration_ms failure_point",
}


def columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column[0] for column in cursor.description]


def views() -> set[str]:
    with connection.cursor() as cursor:
        return {found.name for found in connection.introspection.get_table_list(cursor) if found.type == "v"}


def functions() -> set[str]:
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        return {name for (name,) in cursor.fetchall()}


def test_the_schema_is_as_promised() -> None:
    assert len(columns("trace_spans")) == 18
    with connection.cursor() as cursor:
        kept = connection.introspection.get_constraints(cursor, "trace_spans").values()
    assert sum(bool(each["index"] or each["primary_key"]) for each in kept) == 7
    assert {name: len(columns(name)) for name in VIEWS} == VIEWS


@pytest.mark.django_db(transaction=True)
def test_down_and_up_again() -> None:
    before = functions()
    if connection.vendor == "postgresql":
        assert before == {"diagnose_execution_trace", "identify_root_cause", "find_similar_traces"}
    assert views() == set(VIEWS)
    try:
        call_command("migrate", "tracing", "0001", verbosity=0)
        assert (views(), functions()) == (set(), set())
        call_command("migrate", "tracing", "zero", verbosity=0)
        assert "trace_spans" not in connection.introspection.table_names()
    finally:
        call_command("migrate", verbosity=0)
    assert (views(), functions()) == (set(VIEWS), before)


@pytest.mark.django_db(transaction=True)
def test_whoever_has_psql_may_ask() -> None:
    """Over a connection that Django knows nothing of."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no functions in SQL")
    for execution in (1, 2):
        kept(span("call", 0, 1, status="failed", error_message="Connection refused"), execution=execution)
    settings = connection.get_connection_params()
    found = {}
    with psycopg.connect(
        **{name: settings[name] for name in ("dbname", "user", "host", "port") if name in settings}
    ) as plain:
        for name, told in ANSWERS.items():
            asked = plain.execute(f"SELECT * FROM {name}(1)")
            assert [column.name for column in asked.description or ()] == told.split()
            found[name] = asked.fetchall()
    assert found["diagnose_execution_trace"][0][-2:] == (
        True,
        "failed: Connection refused; history too thin: 0 of 4 spans",
    )
    assert found["identify_root_cause"][0][0] == "CONNECTION_FAILURE"
    assert found["find_similar_traces"] == [(2, 1.0, "failed", 1000, "worker: call")]


def test_the_health_of_three_spans_one_of_which_failed() -> None:
    kept(span("a", 0, 1), span("b", 0, 2, status="failed"), span("c", 0, 3, trace_id=UUID(int=8)))
    kept(span("d", 0, status="timeout"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM trace_spans_health")
        names = [column[0] for column in cursor.description]
        health = dict(zip(names, cursor.fetchone(), strict=True))
    assert health.pop("table_size")
    assert health.pop("total_size_with_indexes")
    assert health == {
        "total_spans": 4, "spans_last_24h": 4, "spans_last_hour": 4, "unique_traces": 2, "avg_duration_ms": 2000,
        "failed_spans": 1, "timeout_spans": 1,
    }  # fmt: skip


def test_the_waterfall_is_in_order_of_traces_and_starts() -> None:
    kept(span("later", 5, 6), span("other", 0, 1, trace_id=UUID(int=8)), span("first", 1, 9))
    with connection.cursor() as cursor:
        cursor.execute("SELECT operation FROM trace_waterfall")
        assert [name for (name,) in cursor.fetchall()] == ["first", "later", "other"]
