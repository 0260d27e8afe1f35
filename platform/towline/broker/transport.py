"""Kombu's Redis transport, for messages that may get lost: no copies are kept of them, and none costs a worker."""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

log = logging.getLogger(__name__)
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)


class Channel(redis.Channel):
    # Celery 5.7.0 closes a broken connection twice. The second time, giving back what was received but not yet begun
    # fails with an AttributeError that nobody catches, and the worker ends (tests/system/test_reconnect.py shows it).
    do_restore = False

    def _brpop_read(self, **options: Any) -> Any:
        """What is no message of Celery's, put there by whomever, is dropped. Kombu would let the worker end."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # not in the stubs
        except UNREADABLE as error:
            log.warning("dropped a message that can't be read: %r", error)
            raise Empty from error


class Transport(redis.Transport):
    Channel = Channel


def install() -> None:
    """Make it the one that `redis://`, `rediss://` and `redis+socket://` mean in this process."""
    name = f"{Transport.__module__}:{Transport.__qualname__}"
    TRANSPORT_ALIASES.update(redis=name, rediss=name)
