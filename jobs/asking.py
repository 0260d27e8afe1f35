"""Reading the database from an event loop: in a thread, and with the connection given back after every look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(read: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """`read` for an event loop. A stream may live for hours: kept as long, a few followers would empty the pool."""

    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:  # a transaction around us, as tests have, is not ours to end
                connection.close_if_unusable_or_obsolete()

    return sync_to_async(reading)
