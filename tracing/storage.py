"""The table of spans as the database sees it: its size, about how many rows, and whether its views and functions are there."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from .models import Span

TABLE = Span._meta.db_table
VIEWS = ("trace_waterfall", "trace_spans_health")
FUNCTIONS = ("diagnose_execution_trace", "identify_root_cause", "find_similar_traces")
WALKED_MOST = 100_000  # spans up to which SQLite's pages are counted one by one


@dataclass(frozen=True)
class Sizes:
    """In bytes."""

    table: int
    with_indexes: int
    estimated: bool = False


def sizes(spans: int) -> Sizes:
    """Of the table with `spans` rows."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_table_size(%s::regclass), pg_total_relation_size(%s::regclass)", [TABLE, TABLE])
            return Sizes(*cursor.fetchone())
    return _sizes_of_sqlite(spans)


def _sizes_of_sqlite(spans: int) -> Sizes:
    """By its own table of pages, which reads all of them: of a large one, the whole file's size stands for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'")
        if cursor.fetchone() is None or spans > WALKED_MOST:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            (whole,) = cursor.fetchone()
            return Sizes(whole, whole, estimated=True)
        cursor.execute("SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE aggregate = 1 AND name = %s", [TABLE])
        (table,) = cursor.fetchone()
        cursor.execute(
            "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE aggregate = 1 AND name IN "
            "(SELECT name FROM sqlite_schema WHERE tbl_name = %s)",
            [TABLE],
        )
        return Sizes(table, *cursor.fetchone())


def estimate(spans: QuerySet[Span]) -> int:
    """About how many these are, without counting them: PostgreSQL's plan, or how far SQLite's keys are apart."""
    if connection.vendor == "postgresql":
        query, parameters = spans.order_by().values("pk").query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", parameters)
            (plan,) = cursor.fetchone()
        return int(plan[0]["Plan"]["Plan Rows"])
    edges = [spans.order_by(order).values_list("pk", flat=True).first() for order in ("created_at", "-created_at")]
    return edges[1] - edges[0] + 1 if edges[0] and edges[1] else 0


def missing() -> list[str]:
    """Of the views and functions that PostgreSQL has; elsewhere they are answered here, and nothing is missing."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT viewname FROM pg_views WHERE schemaname = ANY(current_schemas(false))")
        views = {name for (name,) in cursor.fetchall()}
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(current_schemas(false))"
        )
        functions = {name for (name,) in cursor.fetchall()}
    return [*(name for name in VIEWS if name not in views), *(name for name in FUNCTIONS if name not in functions)]
