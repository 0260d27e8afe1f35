"""What both databases compute for themselves, each in its own words. Django's own ways are Python a row on SQLite."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, CharField, FloatField, Func
from django.db.models.sql.compiler import SQLCompiler


class Seconds(Func):
    """From the first time to the second."""

    output_field = FloatField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return self._between("(JULIANDAY({end}) - JULIANDAY({start})) * 86400.0", compiler)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return self._between("EXTRACT(EPOCH FROM ({end} - {start}))", compiler)

    def _between(self, template: str, compiler: SQLCompiler) -> tuple[str, list[Any]]:
        (start, before), (end, behind) = map(compiler.compile, self.get_source_expressions())
        return f"({template.format(start=start, end=end)})", [*behind, *before]


class Bucket(Func):
    """A time's hour, `2030-01-31 08`, or its day, in UTC, as text."""

    output_field = CharField()

    def __init__(self, moment: str, *, hourly: bool) -> None:
        super().__init__(moment)
        self.hourly = hourly

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        # Times are stored as text, in UTC.
        return self.as_sql(compiler, connection, template=f"SUBSTR(%(expressions)s, 1, {13 if self.hourly else 10})")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        form = "YYYY-MM-DD HH24" if self.hourly else "YYYY-MM-DD"
        template = f"TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', '{form}')"
        return self.as_sql(compiler, connection, template=template)


class PercentileCont(Aggregate):
    """PostgreSQL's: interpolated between the two nearest values; NULLs do not count."""

    template = "PERCENTILE_CONT(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, share: float) -> None:
        super().__init__(expression, share=share)
