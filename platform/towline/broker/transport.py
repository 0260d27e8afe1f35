"""Kombu's Redis transport, for messages that may get lost: no copies are kept of them, and none costs a worker."""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

log = logging.getLogger(__name__)
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)


class Channel(redis.Channel):
    # Celery 5.7.0 closes a broken connection twice. What was received and not yet begun would be given back the second
    # time, when it no longer can: with `ack_emulation` the worker ends of it, without there is a dump in /tmp each time.
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
