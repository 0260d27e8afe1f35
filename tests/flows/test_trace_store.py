"""The trace store as whoever has psql sees it: tables, views, functions, up and down."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

VIEWS = {"trace_waterfall": 15, "trace_spans_health": 9}
postgres = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQL functions are PostgreSQL's")


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
