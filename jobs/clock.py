"""The database's clock: the one clock that all processes share. Use this `Now`, not Django's."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now as DjangosNow
from django.db.models.sql.compiler import SQLCompiler


class Now(DjangosNow):
    """On SQLite, times are text and compared as such: this one writes them exactly as Django writes a parameter.

    Django's own has three digits behind the second where a parameter has six or none, so that a row's time is smaller
    than itself.
    """

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        template = "REPLACE(STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW') || '000', '.000000', '')"
        return self.as_sql(compiler, connection, template=template, **context)
