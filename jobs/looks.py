"""Looks at the database from a stream that lives for minutes or hours.

They run in a few threads of the process, whoever asks, and between two looks a stream keeps neither thread nor
connection: both are far fewer than the people who watch a log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 4
_threads = ThreadPoolExecutor(THREADS, "looks")


async def look(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`ask(…)` in one of those threads, and the connection given back before this returns.

    A loop that was started for a sync caller, as in tests, looks in the caller's thread: its transaction is there.
    """
    loop = asyncio.get_running_loop()
    if loop in AsyncToSync.loop_thread_executors:
        return await sync_to_async(_look)(ask, *args, **kwargs)
    return await loop.run_in_executor(_threads, partial(_look, ask, *args, **kwargs))


def _look(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return ask(*args, **kwargs)
    finally:
        # Django does so when a request ends. With a pool it costs nothing, and SQLite's is kept for its CONN_MAX_AGE.
        if not connection.in_atomic_block:  # a transaction around us, as tests have, is not ours to end
            connection.close_if_unusable_or_obsolete()
