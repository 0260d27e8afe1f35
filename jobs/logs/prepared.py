"""Queries that are made many times a second: Django writes their SQL once, as that takes ten times as long as the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet


class Prepared:
    """The rows of a `values_list`. `make` builds it with any values in its filters; `rows` takes them in that order.

    What comes is as the database's driver has it: JSON may be text.
    """

    def __init__(self, make: Callable[[], QuerySet[Any, Any]]) -> None:
        self._make = make

    @cached_property
    def _sql(self) -> str:
        sql, _ = self._make().query.sql_with_params()
        return str(sql)

    def rows(self, *values: int) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(self._sql, values)
            return list(cursor.fetchall())
