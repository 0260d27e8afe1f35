"""Writes that outlast a database that is away: a running job must not end because the database restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)
DATABASE_TROUBLE = (OperationalError, InterfaceError)
T = TypeVar("T")


def patiently(write: Callable[[], T], pause: Callable[[float], None]) -> T:
    """`write()`, again and again while the database does not answer. `pause(seconds)` waits, or raises to give up.

    A commit whose answer got lost may have happened: `write` must find that out by itself.
    """
    seconds = 0.1
    while True:
        try:
            return write()
        except DATABASE_TROUBLE as error:
            log.warning("the database does not answer, trying again in %.1f s: %s", seconds, error)
            connection.close()
            pause(seconds)
            seconds = min(seconds * 2, 5.0)
