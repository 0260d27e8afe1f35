"""Looks at the database from a stream that lives for minutes or hours.

Between two looks it keeps no connection: the pool is far smaller than the number of people who watch a log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")


async def look(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`ask(…)` in the request's own thread, and the connection given back before this returns."""
    return await sync_to_async(_look)(ask, *args, **kwargs)


def _look(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return ask(*args, **kwargs)
    finally:
        # Django does so when a request ends. With a pool it costs nothing, and SQLite's is kept for its CONN_MAX_AGE.
        if not connection.in_atomic_block:  # a transaction around us, as tests have, is not ours to end
            connection.close_if_unusable_or_obsolete()
